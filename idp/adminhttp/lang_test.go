package adminhttp

import (
	"net/http"
	"strings"
	"testing"

	"vernal/idp/sharelink"
)

// TestAdminPagesKeepChosenLanguage checks that the pages of the admin listener choose their
// language as all others do, write dates in its form, and keep it from link to link.
func TestAdminPagesKeepChosenLanguage(t *testing.T) {
	t.Parallel()
	w := populated(t)
	wall, _ := w.link(sharelink.Link{Kind: sharelink.Wallboard})
	tests := []struct {
		name, path, accept string
		lang               string
		want               []string
	}{
		{"board", "/rotation", "", "en", []string{"Certificate rotation", "April 1, 2031", "Moving (using both)"}},
		{"board by locale", "/rotation?locale=es", "fr", "es", []string{"Rotación del certificado", "1 de abril de 2031", "Migrando (usa ambos)", "próximo a vencer (expiring)",
			"/rotation?locale=es&amp;show=unmoved", `name="locale" value="es"`}},
		{"board by the browser", "/rotation", "fr-CA", "fr", []string{"Rotation du certificat", "1er avril 2031", "En cours (utilise les deux)", "en fin de validité (expiring)", "/rotation?show=unmoved"}},
		{"board, part of the list", "/rotation?show=both&locale=FR", "", "fr", []string{"Both Bureau", "?show=both&amp;locale=es"}},
		{"wall", wall, "ja", "en", []string{"2030 to 2031", "?refresh=off"}},
		{"wall by locale", wall + "?locale=fr", "es", "fr", []string{"De 2030 à 2031", "1er avril 2031", "?locale=fr&amp;refresh=off", "?locale=es"}},
		{"wall without refresh", wall + "?locale=fr&refresh=off", "", "fr", []string{`href="?locale=fr"`, "?refresh=off&amp;locale=es"}},
		{"wall by the browser", wall, "es-US, en;q=0.1", "es", []string{"De 2030 a 2031", "1 de abril de 2031"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{"Accept", "text/html"}
			if tt.accept != "" {
				headers = append(headers, "Accept-Language", tt.accept)
			}
			rec := w.get(tt.path, headers...)
			if rec.Code != http.StatusOK || rec.Header().Get("Content-Language") != tt.lang || !strings.Contains(rec.Header().Get("Vary"), "Accept-Language") {
				t.Errorf("%d %v", rec.Code, rec.Header())
			}
			page := rec.Body.String()
			for _, want := range append(tt.want, `<html lang="`+tt.lang+`">`, `aria-current="true">`+map[string]string{"en": "English", "es": "Español", "fr": "Français"}[tt.lang]) {
				if !strings.Contains(page, want) {
					t.Errorf("no %q in:\n%s", want, page)
				}
			}
			if strings.Contains(page, "/language") || strings.Contains(page, `method="post"`) {
				t.Error("the page wants to post, and nothing can be posted here")
			}
		})
	}
	// The first page leads on in the same language.
	if rec := w.get("/?locale=es"); rec.Header().Get("Location") != "/rotation?locale=es" {
		t.Errorf("the first page leads to %q", rec.Header().Get("Location"))
	}
	if rec := w.get(`/rotation?locale="><script>`, "Accept", "text/html"); strings.Contains(rec.Body.String(), `"><script>`) {
		t.Error("a locale is markup")
	}
}
