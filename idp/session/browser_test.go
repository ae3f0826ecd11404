package session_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/idp/session"
)

// A browser's cookie has one token for each of its users, the last one first, and at most five.
func TestBrowserCookie(t *testing.T) {
	t.Parallel()
	m := &session.Manager{Secure: true}
	request := func(value string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if value != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-vernal-browser", Value: value})
		}
		return r
	}
	var value string
	var hashes [][]byte
	for range 7 {
		c, hash := m.NewBrowser(request(value))
		if c.Name != "__Host-vernal-browser" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.MaxAge != int(365*24*time.Hour/time.Second) {
			t.Fatalf("cookie %v", c)
		}
		value, hashes = c.Value, append([][]byte{hash}, hashes...)
	}
	check := func(value string, want [][]byte) {
		t.Helper()
		if got := m.BrowserHashes(request(value)); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%q: %x, want %x", value, got, want)
		}
	}
	check(value, hashes[:5])
	check(m.RenewBrowser(request(value), hashes[3]).Value, [][]byte{hashes[3], hashes[0], hashes[1], hashes[2], hashes[4]})
	tokens := strings.Split(value, ".")
	check(tokens[1]+"."+tokens[1]+".short.", [][]byte{hashes[1]})
	for _, foreign := range []string{"", ".", "x", strings.Repeat("x", 44), strings.Repeat("x.", 1000), value + "." + tokens[0]} {
		check(foreign, nil)
	}
}
