package adminhttp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vernal/idp/sharelink"
)

// TestGuardRefusesForeignHostsAndSites sends what a browser on this machine could be
// made to send, and requests through a proxy. "open" is the board, "secret" a wall.
func TestGuardRefusesForeignHostsAndSites(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	wall, _ := w.link(sharelink.Link{Kind: sharelink.Wallboard})
	const cross, same = "cross-site", "same-site"
	tests := []struct {
		name         string
		headers      []string
		open, secret int
	}{
		{"plain", nil, 200, 200},
		{"address", []string{"Host", "127.0.0.1:9090"}, 200, 200},
		{"another of loopback", []string{"Host", "127.9.9.9"}, 200, 200},
		{"IPv6", []string{"Host", "[::1]:9090"}, 200, 200},
		{"IPv4 in IPv6", []string{"Host", "[::ffff:127.0.0.1]:9090"}, 200, 200},
		{"upper case, dot", []string{"Host", "LOCALHOST.:9090"}, 200, 200},
		{"below localhost", []string{"Host", "vernal.localhost:9090"}, 200, 200},
		{"rebound name", []string{"Host", "evil.example:9090"}, 403, 403},
		{"name that begins so", []string{"Host", "localhost.evil.example"}, 403, 403},
		{"name that ends so", []string{"Host", "evillocalhost"}, 403, 403},
		{"address that begins so", []string{"Host", "127.0.0.1.evil.example"}, 403, 403},
		{"any address", []string{"Host", "0.0.0.0:9090"}, 403, 403},
		{"no Host", []string{"Host", ""}, 403, 403},
		{"Host in brackets only", []string{"Host", "[]"}, 403, 403},
		{"admin_url", []string{"Host", "watch.agency.example"}, 404, 200},
		{"admin_url with port", []string{"Host", "Watch.Agency.Example:443"}, 404, 200},
		{"below admin_url", []string{"Host", "x.watch.agency.example"}, 403, 403},
		{"X-Forwarded-For", []string{"X-Forwarded-For", "203.0.113.9"}, 404, 200},
		{"empty X-Forwarded-For", []string{"X-Forwarded-For", ""}, 404, 200},
		{"Forwarded", []string{"Forwarded", "for=203.0.113.9"}, 404, 200},
		{"X-Real-IP", []string{"X-Real-IP", "203.0.113.9"}, 404, 200},
		{"X-Forwarded-Proto", []string{"X-Forwarded-Proto", "https"}, 404, 200},
		{"Via", []string{"Via", "1.1 proxy"}, 404, 200},
		{"rebound through a proxy", []string{"Host", "evil.example", "X-Forwarded-For", "203.0.113.9"}, 403, 403},
		{"typed", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200, 200},
		{"our own link", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200, 200},
		{"link from another site", []string{"Sec-Fetch-Site", cross, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200, 200},
		{"frame from another site", []string{"Sec-Fetch-Site", cross, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403, 403},
		{"image from another site", []string{"Sec-Fetch-Site", cross, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403, 403},
		{"script on another port", []string{"Sec-Fetch-Site", same, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}, 403, 403},
		{"fetch from another site", []string{"Sec-Fetch-Site", cross, "Sec-Fetch-Mode", "cors", "Origin", "https://evil.example"}, 403, 403},
		{"old browser, Origin", []string{"Origin", "https://evil.example"}, 403, 403},
		{"sandboxed frame", []string{"Origin", "null"}, 403, 403},
		{"our own Origin", []string{"Origin", "http://localhost:9090"}, 200, 200},
		{"unknown kind of site", []string{"Sec-Fetch-Site", "odd"}, 403, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, want := range map[string]int{boardPath: tt.open, dataPath: tt.open, wall: tt.secret} {
				rec := w.get(path, tt.headers...)
				if rec.Code != want {
					t.Errorf("%s: %d, want %d", path, rec.Code, want)
				}
				if rec.Code == http.StatusForbidden && !strings.HasPrefix(rec.Body.String(), "refused: ") {
					t.Errorf("refused without a reason: %q", rec.Body)
				}
				for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
					"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY"} {
					if got := rec.Header().Get(name); got != want {
						t.Errorf("%s: %s is %q", path, name, got)
					}
				}
			}
		})
	}
}

// TestGuardRefusesForeignNonGET checks that another site can only link to the pages: any
// request of it other than a navigation by GET is refused.
func TestGuardRefusesForeignNonGET(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"} {
		r := httptest.NewRequest(method, "http://localhost:9090/rotation", nil)
		want := http.StatusMethodNotAllowed
		if method == "HEAD" {
			want = http.StatusOK
		}
		rec := w.do(r)
		if rec.Code != want || want == 405 && rec.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, rec.Header().Get("Allow"))
		}
		r = httptest.NewRequest(method, "http://localhost:9090/rotation", nil)
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"} {
			r.Header.Set(name, value)
		}
		if rec := w.do(r); rec.Code != http.StatusForbidden {
			t.Errorf("%s from another origin: %d", method, rec.Code)
		}
	}
}

// TestProxyReachesOnlySecretLinks checks that a request through a proxy opens a secret URL
// or gets always the same answer.
func TestProxyReachesOnlySecretLinks(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	wall, _ := w.link(sharelink.Link{Kind: sharelink.Wallboard})
	static := w.watch.Pages.Set.StaticPrefix() + "css/vernal.css"
	if rec := w.get(static); rec.Code != http.StatusOK {
		t.Fatalf("%s: %d", static, rec.Code)
	}
	want := w.get("/nothing", "Via", "1.1 proxy", "Accept", "text/html")
	if want.Code != http.StatusNotFound || strings.Contains(want.Body.String(), static[:8]) {
		t.Fatalf("%d, with files that do not exist: %s", want.Code, want.Body)
	}
	for _, path := range []string{
		"/", boardPath, dataPath, metricsPath, static, wallPrefix, wallPrefix + "x", wall + "x", wall + "/x", calendarPrefix + "x.ics",
		calendarPrefix + strings.TrimPrefix(wall, wallPrefix) + ".ics", boardPath + "/", "/ROTATION",
	} {
		rec := w.get(path, "Via", "1.1 proxy", "Accept", "text/html")
		if rec.Code != want.Code || rec.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %q", path, rec.Code, rec.Body)
		}
	}
	// What looks like a secret address and means another one leads to no page.
	for _, path := range []string{wallPrefix + "../../rotation", wallPrefix + "%2e%2e/%2e%2e/rotation", wallPrefix + "..%2f..%2frotation"} {
		if rec := w.get(path, "Via", "1.1 proxy"); rec.Code == http.StatusOK {
			t.Errorf("%s: %q", path, rec.Body)
		}
	}
}

// TestLogHidesTokens checks that the log contains neither valid nor invalid tokens, nor any
// other path that was requested.
func TestLogHidesTokens(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	wall, id := w.link(sharelink.Link{Kind: sharelink.Wallboard})
	feed, _ := w.link(sharelink.Link{Kind: sharelink.Calendar})
	for _, path := range []string{wall, feed, wall + "x", "/" + wall, wall + "/", "/rotation/wall/typed-wrongly", "/rotation/calendar/typed-wrongly", feed + "?q=typed-wrongly"} {
		w.get(path)
		w.get(path, "Host", "evil.example")
		w.get(path, "Via", "1.1 proxy")
	}
	log := w.log.String()
	for _, secret := range []string{strings.TrimPrefix(wall, wallPrefix), strings.TrimSuffix(strings.TrimPrefix(feed, calendarPrefix), ".ics"), "typed-wrongly"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	for _, want := range []string{"path=/rotation/wall/{token}", "path=/rotation/calendar/{token}.ics", "path=(unknown)", "link=" + id} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
}
