package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vernal/templates"
)

func TestBrandFilesAreServedHarmlessly(t *testing.T) {
	t.Parallel()
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	brand := &templates.Brand{Files: []templates.BrandFile{
		{Path: templates.BrandPrefix + "a.svg", Type: "image/svg+xml", CSP: "default-src 'none'; sandbox", Data: []byte("<svg/>")},
	}}
	for _, tt := range []struct {
		brand  *templates.Brand
		path   string
		status int
	}{
		{brand, "a.svg", http.StatusOK},
		{brand, "b.svg", http.StatusNotFound},
		{brand, "", http.StatusNotFound},
		{brand, "../a.svg", http.StatusNotFound},
		{nil, "a.svg", http.StatusNotFound},
	} {
		rt := NewRouter(&Pages{Set: set})
		rt.HandlePrefix(templates.BrandPrefix, ServeBrand(tt.brand))
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = templates.BrandPrefix + tt.path
		rt.ServeHTTP(w, addEvent(r, &Event{}))
		if w.Code != tt.status && w.Code != http.StatusMovedPermanently {
			t.Errorf("%q: status %d, want %d", tt.path, w.Code, tt.status)
			continue
		}
		if tt.status != http.StatusOK {
			continue
		}
		h := w.Header()
		if h.Get("Content-Type") != "image/svg+xml" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || w.Body.String() != "<svg/>" {
			t.Errorf("%q: headers %v, body %q", tt.path, h, w.Body)
		}
	}
}

// No page loads an image from another site.
func TestPagesLoadOwnImagesOnly(t *testing.T) {
	t.Parallel()
	policies := map[string]string{"default": DefaultCSP}
	w := httptest.NewRecorder()
	AllowScript(w)
	policies["script"] = w.Header().Get("Content-Security-Policy")
	AllowPost(w, "https://sp.example")
	policies["post"] = w.Header().Get("Content-Security-Policy")
	for name, policy := range policies {
		found := false
		for directive := range strings.SplitSeq(policy, ";") {
			if f := strings.Fields(directive); len(f) > 0 && f[0] == "img-src" {
				found = len(f) == 2 && f[1] == "'self'"
			}
		}
		if !found {
			t.Errorf("%s: %q", name, policy)
		}
	}
}
