package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolveTo returns a resolver for which every name is the address. Its server is on
// loopback.
func resolveTo(t *testing.T, addr string) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	a := netip.MustParseAddr(addr)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, Type: m.Questions[0].Type}
			switch {
			case a.Is4() && header.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: a.As4()}}}
			case a.Is6() && header.Type == dnsmessage.TypeAAAA:
				m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// portURL returns the port of a server's URL.
func portURL(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// A partner's URL does not reach this machine, however its host is spelled: the connection is
// checked after the name is resolved. Nothing in the error says where the name leads.
func TestPartnersURLNeverReachesLoopback(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	srv.Config.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	srv.Start()
	t.Cleanup(srv.Close)
	port := portURL(t, srv)
	for _, name := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "a.localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
		"0.0.0.0", "[::]", "127.1", "127.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1.",
		"sp.example", "sp.example.", "127.0.0.1.nip.example", "１２７.0.0.1", "ⓛocalhost",
	} {
		for _, resolved := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254"} {
			c := &Client{resolver: resolveTo(t, resolved)}
			resp, err := c.Do(t.Context(), &Request{URL: "http://" + name + ":" + port + "/secret-path?secret", AllowHTTP: true, MaxBytes: 10})
			if !HasCode(err, CodeAddress) && !HasCode(err, CodeURL) && !HasCode(err, CodeConnection) {
				t.Errorf("%s (%s): %+v, %v", name, resolved, resp, err)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(name, "example") && !strings.Contains(name, "127") && strings.Contains(err.Error(), resolved)) {
				t.Errorf("%s: the error says too much: %v", name, err)
			}
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the server was reached %d times", n)
	}
	refused, ok := errors.AsType[*Error](dialError(t, &Client{resolver: resolveTo(t, "10.9.8.7")}))
	if !ok || refused.Code != CodeAddress || refused.Addr != netip.MustParseAddr("10.9.8.7") {
		t.Errorf("for operators: %+v", refused)
	}
}

func dialError(t *testing.T, c *Client) error {
	t.Helper()
	conn, err := c.Dial(t.Context(), "udp", "time.example:123", Partner)
	if err == nil {
		conn.Close()
	}
	return err
}

func TestDialFollowsTheRules(t *testing.T) {
	t.Parallel()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	conn, err := new(Client).Dial(t.Context(), "udp", pc.LocalAddr().String(), Operator)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := new(Client).Dial(t.Context(), "udp", pc.LocalAddr().String(), Partner); !HasCode(err, CodeAddress) {
		t.Errorf("partner: %v", err)
	}
	if _, err := new(Client).Dial(t.Context(), "udp", "no port", Operator); !HasCode(err, CodeURL) {
		t.Errorf("no port: %v", err)
	}
}

// The hosts that an operator wrote are trusted, not those that they redirect to.
func TestRedirectsLoseTrust(t *testing.T) {
	t.Parallel()
	var seen []http.Header
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	other := httptest.NewServer(mux)
	t.Cleanup(other.Close)
	port, otherPort := portURL(t, srv), portURL(t, other)
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		fmt.Fprint(w, "end")
	})
	for path, to := range map[string]string{
		"/same": "/end", "/same-absolute": "http://127.0.0.1:" + port + "/end", "/name": "http://localhost:" + port + "/end",
		"/port": "http://127.0.0.1:" + otherPort + "/end", "/back": "http://localhost:" + port + "/return",
		"/return": "http://127.0.0.1:" + port + "/end", "/twice": "/same", "/loop": "/loop", "/plain": "http://sp.example/",
		"/file": "file:///etc/passwd", "/user": "http://user:password@127.0.0.1:" + port + "/end", "/bad": "http://[::1", "/metadata": "http://169.254.169.254/",
		"/relative": "end", "/cookie": "/end",
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "c", Value: "v", Path: "/"})
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		})
	}
	loopback, err := ParseAllow([]string{"127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	base := "http://127.0.0.1:" + port
	tests := []struct {
		path      string
		redirects int
		allow     Allow
		want      Code
	}{
		{"/same", 1, Allow{}, ""},
		{"/same-absolute", 1, Allow{}, ""},
		{"/relative", 1, Allow{}, ""},
		{"/twice", 2, Allow{}, ""},
		{"/twice", 1, Allow{}, CodeRedirects},
		{"/loop", 5, Allow{}, CodeRedirects},
		{"/name", 5, Allow{}, CodeAddress},
		{"/name", 5, loopback, ""},
		{"/port", 5, Allow{}, CodeAddress},
		{"/port", 5, loopback, ""},
		{"/back", 5, Allow{}, CodeAddress},
		{"/metadata", 5, loopback, CodePlain},
		{"/plain", 5, Allow{}, CodePlain},
		{"/file", 5, Allow{}, CodeURL},
		{"/user", 5, Allow{}, CodeURL},
		{"/bad", 5, Allow{}, CodeURL},
		{"/cookie", 1, Allow{}, ""},
	}
	for _, tt := range tests {
		seen = nil
		c := &Client{Allow: tt.allow}
		header := http.Header{"Authorization": {"Bearer secret"}, "Accept": {"text/plain"}}
		resp, err := c.Do(t.Context(), &Request{URL: base + tt.path, Trust: Operator, Redirects: tt.redirects, MaxBytes: 100, Header: header})
		switch {
		case tt.want != "" && !HasCode(err, tt.want):
			t.Errorf("%s: %v, want %s", tt.path, err, tt.want)
		case tt.want == "" && (err != nil || string(resp.Body) != "end" || len(seen) != 1):
			t.Errorf("%s: %v", tt.path, err)
		case tt.want == "":
			kept := resp.URL.Host == "127.0.0.1:"+port
			if got := seen[0].Get("Authorization") != ""; got != kept {
				t.Errorf("%s: Authorization was sent: %t", tt.path, got)
			}
			if seen[0].Get("Accept") != "text/plain" || seen[0].Get("User-Agent") != "Vernal" || seen[0].Get("Cookie") != "" || seen[0].Get("Referer") != "" {
				t.Errorf("%s: %v", tt.path, seen[0])
			}
		}
	}
	// Without redirects the redirect is the answer. A POST is never sent again.
	for _, r := range []Request{{URL: base + "/same", Trust: Operator}, {URL: base + "/same", Trust: Operator, Method: http.MethodPost, Body: []byte("x"), Redirects: 5}} {
		seen = nil
		if resp, err := new(Client).Do(t.Context(), &r); err != nil || resp.Status != http.StatusFound || len(seen) > 0 {
			t.Errorf("%+v: %+v, %v", r, resp, err)
		}
	}
	// A URL of a partner gains nothing by redirects either.
	onlyFirst, err := ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Client{Allow: onlyFirst, resolver: resolveTo(t, "::1")}).Do(t.Context(), &Request{URL: base + "/plain", Redirects: 5, AllowHTTP: true}); !HasCode(err, CodeAddress) {
		t.Errorf("redirect of a partner: %v", err)
	}
}

func TestIsSameServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"https://a.example/x", "https://a.example/y", true},
		{"https://a.example/x", "https://A.example:443/y", true},
		{"http://a.example/", "https://a.example/", true},
		{"https://a.example/", "http://a.example/", false},
		{"http://a.example:8080/", "https://a.example/", false},
		{"https://a.example/", "https://a.example:8443/", false},
		{"https://a.example/", "https://b.example/", false},
		{"https://a.example/", "https://a.example.b.example/", false},
		{"http://a.example/", "http://a.example:443/", false},
	} {
		from, _ := url.Parse(tt.from)
		to, _ := url.Parse(tt.to)
		if got := isSameServer(from, to); got != tt.want {
			t.Errorf("%s to %s: %t", tt.from, tt.to, got)
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ten", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Accept-Encoding")) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		url     string
		max     int
		timeout time.Duration
		want    Code
		body    string
	}{
		{srv.URL + "/ten", 10, 0, "", "0123456789"},
		{srv.URL + "/ten", 9, 0, CodeTooLong, ""},
		{srv.URL + "/ten", 0, 0, "", ""},
		{srv.URL + "/gzip", 10, 0, "", ""},
		{srv.URL + "/endless", 1 << 16, 0, CodeTooLong, ""},
		{srv.URL + "/endless", 0, 0, "", ""},
		{srv.URL + "/header", 10, 0, CodeConnection, ""},
		{srv.URL + "/hang", 10, 50 * time.Millisecond, CodeTimeout, ""},
		{srv.URL + "/drip", 10, 50 * time.Millisecond, CodeTimeout, ""},
		{"http://127.0.0.1:1/secret", 10, 0, CodeConnection, ""},
		{"http://sp.example/secret", 10, 0, CodePlain, ""},
		{"https://user:secret@sp.example/", 10, 0, CodeURL, ""},
		{"https:///secret", 10, 0, CodeURL, ""},
		{"https:secret", 10, 0, CodeURL, ""},
		{"/secret", 10, 0, CodeURL, ""},
		{"ftp://sp.example/secret", 10, 0, CodeURL, ""},
		{"unix:///secret", 10, 0, CodeURL, ""},
		{"http://[::1/secret", 10, 0, CodeURL, ""},
		{"", 10, 0, CodeURL, ""},
	} {
		resp, err := new(Client).Do(t.Context(), &Request{URL: tt.url, Trust: Operator, MaxBytes: tt.max, Timeout: tt.timeout})
		switch {
		case tt.want != "" && !HasCode(err, tt.want):
			t.Errorf("%s: %v, want %s", tt.url, err, tt.want)
		case tt.want == "" && (err != nil || resp.Status != http.StatusOK || string(resp.Body) != tt.body):
			t.Errorf("%s: %+v, %v", tt.url, resp, err)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error contains the URL: %v", tt.url, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := new(Client).Do(ended, &Request{URL: srv.URL + "/ten", Trust: Operator}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}

func TestTLSIsStrict(t *testing.T) {
	t.Parallel()
	var proto atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { proto.Store(int32(r.ProtoMajor)) }))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	resp, err := (&Client{Roots: roots}).Do(t.Context(), &Request{URL: srv.URL, Trust: Operator})
	if err != nil || resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 || proto.Load() != 1 {
		t.Errorf("%+v, %v, HTTP/%d", resp, err, proto.Load())
	}
	if _, err := new(Client).Do(t.Context(), &Request{URL: srv.URL, Trust: Operator}); !HasCode(err, CodeCertificate) {
		t.Errorf("unknown authority: %v", err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	down := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(down.Close)
	if _, err := (&Client{Roots: roots}).Do(t.Context(), &Request{URL: down.URL, Trust: Operator, Redirects: 1, AllowHTTP: true}); !HasCode(err, CodePlain) {
		t.Errorf("redirect from https to http: %v", err)
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	t.Cleanup(old.Close)
	if _, err := (&Client{Roots: roots}).Do(t.Context(), &Request{URL: old.URL, Trust: Operator}); !HasCode(err, CodeConnection) {
		t.Errorf("TLS 1.1: %v", err)
	}
}

// A proxy in the environment would resolve names in our place.
func TestProxyOfEnvironmentIsNotUsed(t *testing.T) {
	var asProxy atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.IsAbs() || r.Method == http.MethodConnect {
			asProxy.Store(true)
		}
	}))
	t.Cleanup(srv.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, srv.URL)
	}
	c := &Client{resolver: resolveTo(t, "127.0.0.1")}
	resp, err := c.Do(t.Context(), &Request{URL: "http://sp.example:" + portURL(t, srv), Trust: Operator, AllowHTTP: true})
	if err != nil || resp.Status != http.StatusOK || asProxy.Load() {
		t.Errorf("%+v, %v, as a proxy: %t", resp, err, asProxy.Load())
	}
}

// A connection that one URL may make is not used for another.
func TestConnectionsAreNotShared(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(srv.Close)
	c := &Client{}
	if _, err := c.Do(t.Context(), &Request{URL: srv.URL, Trust: Operator, MaxBytes: 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), &Request{URL: srv.URL, MaxBytes: 10}); !HasCode(err, CodeAddress) {
		t.Errorf("a partner's URL after an operator's: %v", err)
	}
}

// An error about a partner's URL names neither our own IP address nor that of the resolver.
func TestPartnersErrorNamesNoInternalAddress(t *testing.T) {
	t.Parallel()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	deaf := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", closed.LocalAddr().String())
	}}
	hangsUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset
			conn.Close()
		}
	}))
	t.Cleanup(hangsUp.Close)
	allow, err := ParseAllow([]string{"sp.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		resolver *net.Resolver
		port     string
	}{
		"resolver": {deaf, "80"},
		"refused":  {resolveTo(t, "127.0.0.1"), "1"},
		"reset":    {resolveTo(t, "127.0.0.1"), portURL(t, hangsUp)},
	} {
		c := &Client{Allow: allow, resolver: tt.resolver}
		_, err := c.Do(t.Context(), &Request{URL: "http://sp.example:" + tt.port, AllowHTTP: true, MaxBytes: 10})
		if !HasCode(err, CodeConnection) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
