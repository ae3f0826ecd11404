package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"vernal/templates"
)

func newPages(t *testing.T, langs ...templates.Lang) *Pages {
	t.Helper()
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	return &Pages{Set: set, Langs: langs, BaseURL: "https://id.example"}
}

func TestLanguageIsChosenInOrder(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Hour), now.Add(time.Minute)
	chosen := func(lang string, at time.Time) string { return lang + "." + strconv.FormatInt(at.UnixMilli(), 10) }
	tests := []struct {
		name   string
		cookie string
		asked  string // by a request received at noon
		query  string // of this page, opened at noon
		accept string
		langs  []templates.Lang
		want   templates.Lang
	}{
		{name: "nothing", want: "en"},
		{name: "nothing, another default", langs: []templates.Lang{"es", "en"}, want: "es"},
		{name: "browser", accept: "fr", want: "fr"},
		{name: "browser's region", accept: "es-MX,es;q=0.9,en;q=0.8", want: "es"},
		{name: "browser's order by q", accept: "en;q=0.5, fr;q=0.9", want: "fr"},
		{name: "browser refuses one", accept: "es;q=0, fr;q=0.1", want: "fr"},
		{name: "browser prefers a language that is not available", accept: "de-CH, de;q=0.9, fr;q=0.2", want: "fr"},
		{name: "browser has nothing of ours", accept: "ja", langs: []templates.Lang{"fr", "en"}, want: "fr"},
		{name: "browser takes anything", accept: "*", want: "en"},
		{name: "not offered here", accept: "fr", langs: []templates.Lang{"en", "es"}, want: "en"},
		{name: "broken header", accept: "fr;q=x,,;;-", want: "en"},
		{name: "long header", accept: "fr," + strings.Repeat("x", 600), want: "en"},
		{name: "locale before browser", asked: "es", accept: "fr", want: "es"},
		{name: "locale in upper case", asked: "FR", want: "fr"},
		{name: "locale with region", asked: "es_PR", want: "es"},
		{name: "locale unknown", asked: "xx", accept: "fr", want: "fr"},
		{name: "locale not offered", asked: "fr", langs: []templates.Lang{"en", "es"}, want: "en"},
		{name: "locale of a page", query: "?a=1&locale=ES", accept: "fr", want: "es"},
		{name: "request's locale before the page's", asked: "fr", query: "?locale=es", want: "fr"},
		{name: "choice before browser", cookie: chosen("es", before), accept: "fr", want: "es"},
		{name: "choice within the sign-in", cookie: chosen("es", after), asked: "fr", want: "es"},
		{name: "choice at the same moment", cookie: chosen("es", now), asked: "fr", want: "es"},
		{name: "choice of another day", cookie: chosen("es", before), asked: "fr", want: "fr"},
		{name: "choice, unknown locale", cookie: chosen("es", before), asked: "xx", want: "es"},
		{name: "choice not offered any more", cookie: chosen("fr", after), langs: []templates.Lang{"en", "es"}, want: "en"},
		{name: "broken choice", cookie: "fr", want: "en"},
		{name: "broken time", cookie: "fr.x", want: "en"},
		{name: "forged choice", cookie: `../fr.1`, want: "en"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPages(t, tt.langs...)
			r := httptest.NewRequest(http.MethodGet, "/sign-in"+tt.query, nil)
			if tt.accept != "" {
				r.Header.Set("Accept-Language", tt.accept)
			}
			if tt.cookie != "" {
				r.AddCookie(&http.Cookie{Name: "__Host-vernal-language", Value: tt.cookie})
			}
			e := &Event{startedAt: now}
			e.RequestLocale(tt.asked, now)
			if got := p.Lang(addEvent(r, e)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestReturnToStaysOnOurPages checks that the switcher only leads back to one of our pages.
func TestReturnToStaysOnOurPages(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, address, want string }{
		{"page", "/sign-in?request=Zx81", "/sign-in?request=Zx81"},
		{"locale goes", "/sign-in?locale=es&request=Zx81", "/sign-in?request=Zx81"},
		{"a signed query stays as it is", "/api/saml/auth2027?SAMLRequest=a%2Bb%3d&locale=fr&SigAlg=x%3A&Signature=c+d", "/api/saml/auth2027?SAMLRequest=a%2Bb%3d&SigAlg=x%3A&Signature=c+d"},
		{"none", "", "/"},
		{"another site", "https://evil.example/", "/"},
		{"another site without a scheme", "//evil.example/", "/"},
		{"three slashes", "///evil.example", "/"},
		{"backslash", `/\evil.example`, "/"},
		{"encoded slash", "/%2Fevil.example", "/%2Fevil.example"},
		{"tab", "/\t/evil.example", "/"},
		{"line feed", "/a\r\nSet-Cookie: x=y", "/"},
		{"script", "javascript:alert(1)", "/"},
		{"relative", "sign-in", "/"},
		{"fragment goes", "/sign-in#x", "/sign-in"},
		{"too long", "/" + strings.Repeat("a", maxReturnURL), "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := cleanReturnURL(tt.address); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLanguageChoiceSetsCookie(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	rt := NewRouter(p)
	p.Mount(rt)
	post := func(form url.Values) *http.Response {
		r := httptest.NewRequest(http.MethodPost, LanguagePath, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, addEvent(r, &Event{startedAt: time.UnixMilli(1772366400000)}))
		return w.Result()
	}
	got := post(url.Values{"language": {"fr"}, "return": {"/account"}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/account" {
		t.Fatalf("%s to %q", got.Status, got.Header.Get("Location"))
	}
	const want = "__Host-vernal-language=fr.1772366400000; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax"
	if c := got.Header.Get("Set-Cookie"); c != want {
		t.Errorf("cookie %q, want %q", c, want)
	}
	for _, lang := range []string{"", "de", "fr.1; Domain=evil.example"} {
		got := post(url.Values{"language": {lang}, "return": {"/account"}})
		if got.StatusCode != http.StatusBadRequest || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %s, cookie %q", lang, got.Status, got.Header.Get("Set-Cookie"))
		}
	}
}
