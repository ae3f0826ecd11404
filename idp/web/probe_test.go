package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// Only the awaited token is noted, once it arrives and until it was taken. Other requests get no
// cookie and leave nothing behind.
func TestProbeIsRecognizedByToken(t *testing.T) {
	t.Parallel()
	m := &Middleware{
		Next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Clock: time.Now, Log: slog.New(slog.DiscardHandler),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Probe: NewProbe(), HSTS: true,
	}
	send := func(tokens ...string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, "http://login.example.gov/", nil)
		r.RemoteAddr = "10.0.0.1:99"
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		r.Header.Set("X-Forwarded-Proto", "HTTPS")
		r.Header[ProbeHeader] = tokens
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		return w.Result()
	}
	token, take := m.Probe.Await()
	for _, wrong := range [][]string{nil, {""}, {"made up"}, {token, token}} {
		if len(send(wrong...).Cookies()) > 0 {
			t.Errorf("%q: a cookie", wrong)
		}
	}
	cookies := send(token).Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("cookies: %v", cookies)
	}
	want := Sighting{Peer: netip.MustParseAddr("10.0.0.1"), IsTrusted: true, HasForwardedFor: true, ForwardedProto: "https", Host: "login.example.gov"}
	if seen := take(); seen == nil || *seen != want {
		t.Errorf("seen: %+v, want %+v", seen, want)
	}
	if len(send(token).Cookies()) > 0 || len(m.Probe.sightings) > 0 {
		t.Error("the token is still known")
	}
	_, take = m.Probe.Await()
	if seen := take(); seen != nil {
		t.Errorf("seen without a request: %+v", seen)
	}
}
