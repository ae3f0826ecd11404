package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/server"
	"vernal/templates"
)

// Both listeners show the branding of the page's language, and serve the files that it
// needs.
func TestBothListenersServeBranding(t *testing.T) {
	t.Parallel()
	const path = templates.BrandPrefix + "logo.svg"
	f := fixture.New(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), func(c *installation.Config) {
		c.Branding = &templates.Brand{
			Langs: map[templates.Lang]templates.Branding{"es": {LogoURL: path, Name: "Acceso"}},
			Files: []templates.BrandFile{{Path: path, Type: "image/svg+xml", CSP: "sandbox", Data: []byte("<svg/>")}},
		}
	})
	s := &server.Server{Installation: f.Installation, Idle: time.Minute, Absolute: time.Hour}
	for name, open := range map[string]func() (http.Handler, error){"public": s.Handler, "admin": s.AdminHandler} {
		h, err := open()
		if err != nil {
			t.Fatal(err)
		}
		get := func(target string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Host = "localhost"
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Accept-Language", "es")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		if w := get("/unknown"); !strings.Contains(w.Body.String(), `src="`+path+`"`) || !strings.Contains(w.Body.String(), "Acceso") {
			t.Errorf("%s: status %d, no branding in\n%s", name, w.Code, w.Body)
		}
		if w := get(path); w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != "sandbox" || w.Body.String() != "<svg/>" {
			t.Errorf("%s: status %d, headers %v", name, w.Code, w.Header())
		}
	}
}
