package web

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestClientAddressTrustsOnlyProxies checks the IP address of a request. Throttles and the
// audit trail use it, so clients must not be able to choose their own.
func TestClientAddressTrustsOnlyProxies(t *testing.T) {
	t.Parallel()
	const proxy, other = "10.0.0.1:4000", "203.0.113.7:4000"
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	tests := []struct {
		name      string
		peer      string
		trusted   []netip.Prefix
		forwarded []string // headers, in their order
		want      string
	}{
		{"no proxy", other, nil, nil, "203.0.113.7"},
		{"no proxy is trusted", other, nil, []string{"192.0.2.1"}, "203.0.113.7"},
		{"the peer is no proxy", other, trusted, []string{"192.0.2.1"}, "203.0.113.7"},
		{"a proxy", proxy, trusted, []string{"192.0.2.1"}, "192.0.2.1"},
		{"what the client wrote itself", proxy, trusted, []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		{"in a header of its own", proxy, trusted, []string{"198.51.100.1", "192.0.2.1"}, "192.0.2.1"},
		{"a trusted one that the client made up", proxy, trusted, []string{"10.0.0.9, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", proxy, trusted, []string{"198.51.100.1, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"all of them are proxies", proxy, trusted, []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"with a port", proxy, trusted, []string{"192.0.2.1:51234"}, "192.0.2.1"},
		{"IPv6 with a port", proxy, trusted, []string{"[2001:db8::1]:51234"}, "2001:db8::1"},
		{"IPv6 of IPv4", proxy, trusted, []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"with a zone", proxy, trusted, []string{"fe80::1%x\n"}, "fe80::1"},
		{"IPv6 proxy", "[2001:db8:1::5]:1", trusted, []string{"2001:db8:2::7"}, "2001:db8:2::7"},
		{"nothing", proxy, trusted, nil, "10.0.0.1"},
		{"not an address", proxy, trusted, []string{"unknown"}, "10.0.0.1"},
		{"not an address before a proxy", proxy, trusted, []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			r.Header.Set("Forwarded", "for=198.51.100.9")
			r.Header.Set("X-Real-Ip", "198.51.100.9")
			if got := (&Middleware{TrustedProxies: tt.trusted}).clientAddress(r); got != netip.MustParseAddr(tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A request whose first line names another host is not redirected there.
func TestRouterNeverRedirectsToOtherHost(t *testing.T) {
	t.Parallel()
	rt := NewRouter(newPages(t, "en"))
	rt.Handle("/a", Methods{http.MethodGet: func(w http.ResponseWriter, _ *http.Request) error { return nil }})
	for _, target := range []string{
		"http://evil.example//a", "http://evil.example/x/../a", "http://user@evil.example//a", "//evil.example/../a",
		"/.//evil.example", "/%2f%2fevil.example/..", "/%5c%5cevil.example/..", "javascript:alert(1)", "http:evil.example",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: evil.example\r\n\r\n")))
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
			t.Errorf("%s leads to %q", target, to)
		}
	}
}
