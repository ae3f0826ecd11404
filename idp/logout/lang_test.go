package logout_test

import (
	"net/http"
	"strings"
	"testing"

	"vernal/idp/idptest"
)

// Each page of a logout is in the language that the request asks for, or else in the one that
// the browser prefers.
func TestLogoutPagesUseRequestedLanguage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, locale, accept string
		lang                 string
		signedOut, asks      string
		gone, closed         string
	}{
		{"nothing said", "", "", "en", "You are signed out", "Do you want to sign out?", "URLs are closed", "Sign out here"},
		{"locale", "&locale=es", "fr", "es", "Ha cerrado la sesión", "¿Desea cerrar la sesión?", "Las URL de", "Cerrar sesión aquí"},
		{"locale in upper case", "&locale=FR", "", "fr", "Déconnexion de", "Voulez-vous vous déconnecter", "Les URL de", "Se déconnecter ici"},
		{"browser, Spanish", "", "es-MX, en;q=0.5", "es", "Ha cerrado la sesión", "¿Desea cerrar la sesión?", "Las URL de", "Cerrar sesión aquí"},
		{"browser, French", "", "fr-CA", "fr", "Déconnexion de", "Voulez-vous vous déconnecter", "Les URL de", "Se déconnecter ici"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			year := w.Year()
			w.ada.browser.Language, w.bob.browser.Language = tt.accept, tt.accept
			in := func(page *idptest.Page, status int, word string) {
				t.Helper()
				if page.Status != status || page.Header.Get("Content-Language") != tt.lang {
					t.Errorf("%s: %d in %q, want %d in %q", page.URL, page.Status, page.Header.Get("Content-Language"), status, tt.lang)
				}
				for _, want := range []string{`<html lang="` + tt.lang + `">`, word} {
					if !strings.Contains(string(page.Body), want) {
						t.Errorf("%s: no %q in:\n%s", page.URL, want, page.Text())
					}
				}
			}
			in(w.bob.browser.Get("/api/saml/logout"+string(year)+"?"+strings.TrimPrefix(tt.locale, "&")), http.StatusOK, tt.asks)
			r := &idptest.LogoutRequest{NameID: w.ada.name}
			page := w.ada.browser.Get(w.a.LogoutURL(r) + tt.locale)
			in(page, http.StatusOK, tt.signedOut)
			checkLogoutResponse(t, page, w.a, r, ok, "")
			if strings.Contains(string(page.Body), "hreflang") {
				t.Error("the page offers other languages, in which its list would be lost")
			}
			// The URL to which a POST is redirected does not name the language.
			r = &idptest.LogoutRequest{NameID: "nobody"}
			page = w.bob.browser.CrossSitePost(w.a.LogoutEndpoint(r)+"?"+strings.TrimPrefix(tt.locale, "&"), w.a.LogoutForm(r))
			in(page, http.StatusOK, "")
			checkLogoutResponse(t, page, w.a, r, requester, unknownPrincipal)

			w.Retire(year)
			in(w.ada.browser.Get(w.a.URL(&idptest.Request{Year: year})+tt.locale), http.StatusGone, tt.gone)
			in(w.bob.browser.Get(w.a.LogoutURL(&idptest.LogoutRequest{NameID: w.bob.name, Year: year})+tt.locale), http.StatusGone, tt.closed)
		})
	}
}
