package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"vernal/templates"
)

// LanguagePath is where a page's language switcher posts the user's choice.
const LanguagePath = "/language"

const (
	// choiceLifetime is how long a browser remembers the choice.
	choiceLifetime = 365 * 24 * time.Hour
	// maxAcceptLanguage is more than any browser sends, in bytes.
	maxAcceptLanguage = 512
	// maxReturnURL limits a URL that the switcher leads back to, because the page contains
	// it. A page with a longer URL has no switcher.
	maxReturnURL = 8 << 10
)

// Mount adds the switcher's path to the router.
func (p *Pages) Mount(rt *Router) {
	rt.Handle(LanguagePath, Methods{http.MethodPost: p.postLanguage})
}

// Lang returns the language of the answer. Of the languages that Pages has, it is:
//
//  1. the user's choice with the switcher, or the locale of the service provider's
//     request, whichever is newer;
//  2. the preference of the browser (Accept-Language);
//  3. the first.
//
// The latest choice counts, because both express the user's wish. A choice made during a sign-in
// is about this sign-in. A user who later arrives from a French page, by a link with locale=fr,
// continues in French regardless of an older choice. Where no request names a language, the
// selectLang stays.
//
// The answer is then marked as dependent on the language; see Event.
func (p *Pages) Lang(r *http.Request) templates.Lang {
	e := EventOf(r)
	e.lang = p.selectLang(r, e)
	return e.lang
}

func (p *Pages) selectLang(r *http.Request, e *Event) templates.Lang {
	langs := p.langs()
	if len(langs) == 1 {
		return langs[0]
	}
	if e.chosenLang != "" {
		return e.chosenLang
	}
	asked, askedAt := p.matchLocale(e.requestedLocale), e.requestedAt
	if asked == "" && strings.Contains(r.URL.RawQuery, "locale=") {
		asked, askedAt = p.matchLocale(r.URL.Query().Get("locale")), e.startedAt
	}
	chosen, chosenAt := p.readChoice(r)
	switch {
	case asked != "" && (chosen == "" || askedAt.After(chosenAt)):
		return asked
	case chosen != "":
		return chosen
	}
	return p.matchBrowserLang(r, langs)
}

// langs returns the languages to choose from, the default one first.
func (p *Pages) langs() []templates.Lang {
	if len(p.Langs) > 0 {
		return p.Langs
	}
	return p.Set.Langs()
}

// matchLocale returns the language that a locale names, in either case and with or without a
// region; "" if Pages does not have it.
func (p *Pages) matchLocale(locale string) templates.Lang {
	locale, _, _ = strings.Cut(strings.ToLower(strings.ReplaceAll(locale, "_", "-")), "-")
	if lang := templates.Lang(locale); slices.Contains(p.langs(), lang) {
		return lang
	}
	return ""
}

// matchBrowserLang returns the language that the browser prefers.
func (p *Pages) matchBrowserLang(r *http.Request, langs []templates.Lang) templates.Lang {
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > maxAcceptLanguage {
		return langs[0]
	}
	// ParseAcceptLanguage drops invalid parts. An empty result means no preference.
	want, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(want) == 0 {
		return langs[0]
	}
	have := make([]language.Tag, len(langs))
	for i, lang := range langs {
		have[i] = language.Make(string(lang))
	}
	_, i, _ := language.NewMatcher(have).Match(want...)
	return langs[i]
}

func (p *Pages) isSecure() bool { return strings.HasPrefix(p.BaseURL, "https://") }

// languageCookie returns the name of the cookie with the choice and its time in milliseconds:
// "fr.1772366400000". It discloses nothing else about the user, and nothing here trusts it.
func (p *Pages) languageCookie() string {
	if p.isSecure() {
		return "__Host-vernal-language"
	}
	return "vernal-language"
}

// readChoice returns the language that the user chose with the switcher, and when; "" for no
// selectLang.
func (p *Pages) readChoice(r *http.Request) (templates.Lang, time.Time) {
	c, err := r.Cookie(p.languageCookie())
	if err != nil {
		return "", time.Time{}
	}
	name, at, _ := strings.Cut(c.Value, ".")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return "", time.Time{}
	}
	return p.matchLocale(name), time.UnixMilli(ms)
}

// postLanguage answers POST /language. It changes only its own cookie, so it needs no session, and a
// sign-in continues unchanged.
func (p *Pages) postLanguage(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &Error{Status: http.StatusBadRequest, Key: "bad_form", Err: err}
	}
	lang := p.matchLocale(r.PostForm.Get(templates.FieldLanguage))
	if lang == "" {
		return &Error{Status: http.StatusBadRequest, Key: "bad_form"}
	}
	p.keepChoice(w, r, lang)
	http.Redirect(w, r, cleanReturnURL(r.PostForm.Get(templates.FieldReturn)), http.StatusSeeOther)
	return nil
}

// ChooseLanguage handles the switcher of a page whose own form carries it
// (templates.Languages.Form): the answer is the same page in the language that the form names.
// It reports whether the form names one.
func (p *Pages) ChooseLanguage(w http.ResponseWriter, r *http.Request) bool {
	lang := p.matchLocale(r.PostForm.Get(templates.FieldLanguage))
	if lang == "" {
		return false
	}
	p.keepChoice(w, r, lang)
	EventOf(r).chosenLang = lang
	return true
}

// keepChoice makes the browser remember a language.
func (p *Pages) keepChoice(w http.ResponseWriter, r *http.Request, lang templates.Lang) {
	http.SetCookie(w, &http.Cookie{
		Name: p.languageCookie(), Value: string(lang) + "." + strconv.FormatInt(EventOf(r).startedAt.UnixMilli(), 10),
		Path: "/", MaxAge: int(choiceLifetime / time.Second),
		Secure: p.isSecure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cleanReturnURL returns the URL of ours that a form leads back to, otherwise the first page, and
// never another site. It removes a locale from the URL, because the new choice overrides it.
func cleanReturnURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxReturnURL || u.IsAbs() || u.Host != "" || u.User != nil ||
		!strings.HasPrefix(u.Path, "/") || strings.HasPrefix(address, "//") || strings.Contains(address, `\`) {
		return "/"
	}
	to := url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: strings.Join(removeLocale(u.RawQuery), "&")}
	return to.RequestURI()
}

// Languages returns the language switcher of the page at here; none if there is only one
// language, or no such page.
func (p *Pages) Languages(here string) templates.Languages {
	langs := p.langs()
	if len(langs) < 2 || here == "" || len(here) > maxReturnURL {
		return templates.Languages{}
	}
	if p.HasLinkSwitcher {
		return newLinkSwitcher(here, langs)
	}
	return templates.Languages{Action: LanguagePath, Return: here, Langs: langs}
}

// newLinkSwitcher returns a switcher of links to the same URL with another locale. They are
// relative, because the URL may contain a secret, which must not be repeated.
func newLinkSwitcher(here string, langs []templates.Lang) (l templates.Languages) {
	_, query, _ := strings.Cut(here, "?")
	for _, lang := range langs {
		q := removeLocale(query)
		l.Links = append(l.Links, templates.LanguageLink{Lang: lang, URL: "?" + strings.Join(append(q, "locale="+string(lang)), "&")})
	}
	return l
}

// removeLocale returns the parts of a query except the locale, unchanged, because a signature
// may cover them.
func removeLocale(query string) (kept []string) {
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "locale" && pair != "" {
			kept = append(kept, pair)
		}
	}
	return kept
}

// pageURL returns the URL that shows the page of this request again, in another language. The
// answer to one of our forms has the URL of its page, without the input. The answer to a
// posted message has none.
func (p *Pages) pageURL(r *http.Request) string {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return r.URL.RequestURI()
	case !EventOf(r).hasPage || strings.HasPrefix(r.URL.Path, "/api/"):
		return ""
	}
	here := r.URL.EscapedPath()
	if handle := r.PostForm.Get(templates.FieldRequest); handle != "" {
		here += "?" + templates.FieldRequest + "=" + url.QueryEscape(handle)
	}
	return here
}
