package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestUntrustedProxyIsLoggedOnceAnHour(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	m := &Middleware{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		UntrustedPeers: &UntrustedPeers{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Clock: func() time.Time { return now },
		},
	}
	send := func(peer, forwarded string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		m.clientAddress(r)
	}
	want := func(n int, what string) {
		t.Helper()
		if got := strings.Count(log.String(), "level=WARN"); got != n {
			t.Errorf("%s: %d warnings, want %d\n%s", what, got, n, &log)
		}
	}
	send("203.0.113.7:1", "")
	send("10.0.0.1:1", "192.0.2.1")
	want(0, "no header, and a trusted proxy")
	send("203.0.113.7:1", "192.0.2.1")
	want(1, "a peer that is not trusted")
	if !strings.Contains(log.String(), "peer=203.0.113.7") {
		t.Errorf("the peer is not named: %s", &log)
	}
	now = now.Add(59 * time.Minute)
	send("203.0.113.8:1", "192.0.2.1")
	want(1, "within the hour")
	now = now.Add(2 * time.Minute)
	send("203.0.113.8:1", "192.0.2.1")
	send("203.0.113.8:1", "192.0.2.1")
	want(2, "an hour later")
	m.TrustedProxies = nil
	now = now.Add(2 * time.Hour)
	send("203.0.113.8:1", "192.0.2.1")
	want(3, "no proxy is trusted")
}
