package sso_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// switchTo selects a language with the switcher of the page.
func switchTo(t *testing.T, b *idptest.Browser, page *idptest.Page, lang string) *idptest.Page {
	t.Helper()
	for n := range page.Doc.Descendants() {
		if n.Data != "input" && n.Data != "button" {
			continue
		}
		field := map[string]string{}
		for _, a := range n.Attr {
			field[a.Key] = a.Val
		}
		if field["name"] == "language" && field["form"] != "" {
			form := page.Form()
			form.Fields.Set("language", lang)
			return b.Post(form.Action, form.Fields)
		}
		if field["name"] == "return" {
			return b.Post("/language", url.Values{"return": {field["value"]}, "language": {lang}})
		}
	}
	t.Fatalf("no switcher on the page %s", page.URL)
	return nil
}

// checkLanguage checks that the page is in the language and declares it to browser and cache.
func checkLanguage(t *testing.T, page *idptest.Page, lang string, words ...string) {
	t.Helper()
	if got := page.Header.Get("Content-Language"); got != lang {
		t.Errorf("%s: Content-Language %q, want %q", page.URL, got, lang)
	}
	if got := strings.Join(page.Header.Values("Vary"), ", "); strings.TrimPrefix(got, "Accept, ") != "Accept-Language, Cookie" {
		t.Errorf("%s: Vary %q", page.URL, got)
	}
	for _, word := range words {
		if !strings.Contains(string(page.Body), word) {
			t.Errorf("%s: no %q in:\n%s", page.URL, word, page.Text())
		}
	}
}

// TestSignInUsesRequestedLocale checks that a sign-in uses the language of its request, from
// the first page to the attribute, and that the user's own choice counts from when it is made.
func TestSignInUsesRequestedLocale(t *testing.T) {
	t.Parallel()
	w := idptest.New(t, idptest.Options{})
	p := w.AddProvider(spA, func(r *idp.ServiceProvider) { r.Attributes = []string{"email", "locale"} })
	person := w.AddUser("ada@example.gov")
	b := w.Browser()
	b.Language = "en-US"

	r := &idptest.Request{}
	page := b.Get(p.URL(r) + "&locale=ES")
	checkLanguage(t, page, "es", `<html lang="es">`, "Contraseña")
	checkLanguage(t, b.Post("/sign-in", url.Values{"request": {page.URL.Query().Get("request")}}), "es", "Ingrese su dirección de correo electrónico")
	page = b.GivePassword(page, person)
	checkLanguage(t, page, "es", "Ingrese su código")
	page = switchTo(t, b, page, "fr")
	checkLanguage(t, page, "fr", "Saisissez votre code", page.URL.Query().Get("request"))
	a := accept(t, p, r, b.GiveCode(page, person))
	if got := attribute(a, "locale"); got != "fr" {
		t.Errorf("attribute locale is %q, want fr", got)
	}

	// The choice stays while no request names another language. A newer request outweighs it.
	checkLanguage(t, b.Get("/account"), "fr", "Votre compte")
	w.Clock.Advance(time.Minute)
	for locale, want := range map[string]string{"": "fr", "&locale=es": "es", "&locale=xx": "fr"} {
		r := &idptest.Request{}
		a := accept(t, p, r, b.Get(p.URL(r)+locale))
		if got := attribute(a, "locale"); got != want {
			t.Errorf("locale %q: attribute is %q, want %q", locale, got, want)
		}
	}
}

// TestPostedLocaleSetsLanguage checks that a form field sets the language as the query does.
func TestPostedLocaleSetsLanguage(t *testing.T) {
	t.Parallel()
	w := idptest.New(t, idptest.Options{})
	p := w.AddProvider(spA)
	form := p.Form(&idptest.Request{})
	form.Set("locale", "fr")
	checkLanguage(t, w.Browser().CrossSitePost("/api/saml/auth"+string(w.Year()), form), "fr", "Mot de passe")
}

// TestRefusalUsesUsersLanguage checks that errors are in the user's language as well, as a
// page and as text.
func TestRefusalUsesUsersLanguage(t *testing.T) {
	t.Parallel()
	w := idptest.New(t, idptest.Options{})
	p := w.AddProvider(spA, func(r *idp.ServiceProvider) { r.Active = false })
	b := w.Browser()
	b.Language = "fr-CA, en;q=0.5"
	checkLanguage(t, b.Get(p.URL(&idptest.Request{})), "fr", "demande de connexion", "Ce fournisseur de services est désactivé")
	page := b.Get(p.URL(&idptest.Request{}) + "&locale=es")
	checkLanguage(t, page, "es", "Este proveedor de servicios está desactivado")
	checkLanguage(t, switchTo(t, b, page, "en"), "en", "sp_inactive")
	form := p.Form(&idptest.Request{})
	form.Set("locale", "es")
	checkLanguage(t, w.Browser().CrossSitePost("/api/saml/auth"+string(w.Year()), form), "es", "Este proveedor de servicios está desactivado")

	// The same at the continue URL of a request that came by POST.
	p, person := w.AddProvider(spB), w.AddUser("ada@example.gov")
	c := w.Browser()
	signIn(c, p, &idptest.Request{}, person)
	form = p.Form(&idptest.Request{ClassRefs: []string{hspd12}})
	form.Set("locale", "es")
	checkLanguage(t, c.CrossSitePost("/api/saml/auth"+string(w.Year()), form), "es", "PIV/CAC")
	if got := b.Get("/no-such-page"); got.Status != http.StatusNotFound || !strings.Contains(string(got.Body), "Page not found") {
		t.Errorf("after the switch: %s", got.Body)
	}
	program := httptest.NewRequest(http.MethodGet, w.URL+"/api/saml/metadata1999", nil)
	program.Header.Set("Accept-Language", "es")
	got := httptest.NewRecorder()
	w.Handler.ServeHTTP(got, program)
	if !strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain") || !strings.Contains(got.Body.String(), "ningún año en servicio") {
		t.Errorf("plain text: %s %s", got.Header().Get("Content-Type"), got.Body)
	}
}

// TestSignInPageShowsProvidersHelp checks that the page shows the service provider's own text
// checkLanguage its language, without anything that is not allowed there.
func TestSignInPageShowsProvidersHelp(t *testing.T) {
	t.Parallel()
	w := idptest.New(t, idptest.Options{})
	p := w.AddProvider(spA, func(r *idp.ServiceProvider) {
		r.HelpText = map[string]string{"en": "<p>Help for %{sp_name}<script>x</script></p>", "es": "<p>Ayuda</p>"}
	})
	checkLanguage(t, w.Browser().Get(p.URL(&idptest.Request{})+"&locale=es"), "es", `<div lang="es"><p>Ayuda</p></div>`)
	checkLanguage(t, w.Browser().Get(p.URL(&idptest.Request{})+"&locale=fr"), "fr", `<div lang="en"><p>Help for Test `+spA+`</p></div>`)
}
