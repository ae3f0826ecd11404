//go:build slow

package walk

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
	"vernal/idp/idptest/chromium"
)

const (
	email       = "ann@example.gov"
	password    = "quiet otter mends nine kettles" // of idptest.AddUser
	newPassword = "violets under the heavy rain"
)

// site is an identity provider with a mail server, and a service provider on a real server.
type site struct {
	*idptest.IdP
	t  *testing.T
	sp *idptest.Provider

	mu      sync.Mutex
	answers []string // the SAMLResponses that the service provider received
	request *idptest.Request
}

func newSite(t *testing.T, settings account.Settings) *site {
	t.Helper()
	s := &site{t: t}
	s.IdP = idptest.New(t, idptest.Options{Log: slog.DiscardHandler, HasMail: true, Users: settings})
	server := httptest.NewServer(http.HandlerFunc(s.serveProvider))
	t.Cleanup(server.Close)
	s.sp = s.AddProvider(server.URL, func(p *idp.ServiceProvider) {
		p.Consent = idp.ConsentAsk
		p.SPInitiatedLoginURL = server.URL + "/start"
	})
	s.Mails() // notices begin here
	return s
}

// serveProvider serves the service provider: its start, its ACS, and where users return without having
// signed in.
func (s *site) serveProvider(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/start":
		http.Redirect(w, r, s.begin(), http.StatusSeeOther)
	case "/acs":
		s.mu.Lock()
		s.answers = append(s.answers, r.PostFormValue("SAMLResponse"))
		s.mu.Unlock()
		_, _ = fmt.Fprint(w, `<!doctype html><title>SP</title><h1 id="arrived">signed in</h1>`)
	default:
		_, _ = fmt.Fprint(w, `<!doctype html><title>SP</title><h1>home</h1>`)
	}
}

// begin returns the URL of a new request.
func (s *site) begin() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request = &idptest.Request{}
	return s.sp.URL(s.request)
}

// checkArrived checks that the tab is at the service provider, which received one valid Response since
// the last call.
func (s *site) checkArrived(b *tab) {
	s.t.Helper()
	b.waitFor(`document.getElementById("arrived") ? "yes" : ""`, "yes")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) != 1 {
		s.t.Fatalf("the service provider received %d Responses", len(s.answers))
	}
	xml, err := base64.StdEncoding.DecodeString(s.answers[0])
	if err == nil {
		_, err = s.sp.Check(s.request, xml)
	}
	if err != nil {
		s.t.Error(err)
	}
	s.answers = nil
}

// link returns the newest mailed link of a page, and how many mails there were.
func (s *site) link(path string) string {
	s.t.Helper()
	mails := s.Mails()
	for _, m := range slices.Backward(mails) {
		if link := regexp.MustCompile(`\S+` + path + `\?token=\S+`).FindString(m.Text()); link != "" {
			return link
		}
	}
	s.t.Fatalf("none of %d mails has a link of %s", len(mails), path)
	return ""
}

// user returns the user, nil without an account.
func (s *site) user() *idp.User {
	s.t.Helper()
	u, err := s.Store.UserByEmail(s.t.Context(), email)
	if err != nil {
		return nil
	}
	return u
}

// code returns the code that the user's authenticator shows next.
func (s *site) code() string {
	s.t.Helper()
	s.Clock.Advance(30 * time.Second)
	code, err := account.ComputeCode(s.user().TOTPs[0], s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// tab is a tab of a headless Chromium on a small phone.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the browser reports, mainly policy violations
}

// openBrowser starts a browser without cookies.
func openBrowser(t *testing.T) *tab {
	t.Helper()
	return newTab(t, chromium.Start(t))
}

// openTab opens another tab of the same browser.
func (b *tab) openTab() *tab {
	b.t.Helper()
	ctx, _ := chromedp.NewContext(b.ctx)
	return newTab(b.t, ctx)
}

func newTab(t *testing.T, ctx context.Context) *tab {
	t.Helper()
	b := &tab{t: t}
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(b.ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(b.ctx, b.note); err != nil {
		t.Fatal(err)
	}
	phone := emulation.SetDeviceMetricsOverrideParams{Width: 360, Height: 640, DeviceScaleFactor: 1, Mobile: true}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, phone); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("the browser reports: %s", fault)
		}
	})
	return b
}

// note records what the browser reports, except an answer to a form with a mistake, or to a link that is
// no longer valid.
func (b *tab) note(ev any) {
	if ev, ok := ev.(*log.EventEntryAdded); ok && !strings.Contains(ev.Entry.Text, "the server responded with a status of 4") && !strings.HasSuffix(ev.Entry.URL, "/favicon.ico") {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	}
}

func (b *tab) disableScripts() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("at %s: %v\n%s", b.eval("location.href"), err, b.eval("document.body.innerText"))
	}
}

// eval returns the value of an expression, which is a text.
func (b *tab) eval(expression string) string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return "error: " + err.Error()
	}
	return text
}

// waitFor waits until an expression has a value.
func (b *tab) waitFor(expression, want string) {
	b.t.Helper()
	at := ""
	for b.eval(expression) != want {
		if now := b.eval("location.href + document.body.innerText"); !strings.HasPrefix(now, "error: ") {
			at = now
		}
		if b.ctx.Err() != nil {
			b.t.Fatalf("%s: %s is not %q", at, expression, want)
		}
	}
}

// open opens a page.
func (b *tab) open(link string) {
	b.t.Helper()
	b.do(chromedp.Navigate(link))
	b.check()
}

// path returns the path of the page.
func (b *tab) path() string { return b.eval("location.pathname") }

// checkPath fails unless the page has the path.
func (b *tab) checkPath(path string) {
	b.t.Helper()
	if got := b.path(); got != path {
		b.t.Fatalf("at %s, want %s:\n%s", got, path, b.eval("document.body.innerText"))
	}
}

// has reports whether the page has an element.
func (b *tab) has(selector string) bool {
	return b.eval(fmt.Sprintf(`document.querySelector(%q) ? "yes" : ""`, selector)) == "yes"
}

// fill types into a field, whose content it replaces.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)))
	b.eval(fmt.Sprintf(`document.querySelector(%q).value = ""`, selector))
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// leave does something that loads another page, and waits for that.
func (b *tab) leave(step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	const loaded = `String(performance.timeOrigin)`
	before := b.eval(loaded)
	// The page may be gone before the browser has answered.
	if err := chromedp.Do(b.ctx, step); err != nil && !strings.Contains(err.Error(), "target navigated or closed") {
		b.t.Fatalf("at %s: %v\n%s", b.eval("location.href"), err, b.eval("document.body.innerText"))
	}
	for now := before; now == before || strings.HasPrefix(now, "error") || b.eval("document.readyState") != "complete"; now = b.eval(loaded) {
		if b.ctx.Err() != nil {
			b.t.Fatalf("no other page after %s:\n%s", b.path(), b.eval("document.body.innerText"))
		}
	}
	b.check()
}

// press presses a button or follows a link.
func (b *tab) press(selector string) {
	b.t.Helper()
	b.leave(chromedp.Click(chromedp.CSS(selector)))
}

// send presses the main button.
func (b *tab) send() {
	b.t.Helper()
	b.press("main form button.vernal-submit")
}

// check checks a page of ours for what no page may have: a heading that is missing, content wider than the
// phone, and an error whose summary has no focus.
func (b *tab) check() {
	b.t.Helper()
	const fault = `(() => {
		if (!document.querySelector("header .vernal-brand, main .vernal-card")) return ""; // of the service provider
		if (document.querySelectorAll("h1").length != 1) return "not one heading of the first level";
		if (document.documentElement.scrollWidth > 360) return "content is " + document.documentElement.scrollWidth + " px wide";
		return "";
	})()`
	if got := b.eval(fault); got != "" && !strings.HasPrefix(got, "error") { // the page posts itself
		b.t.Errorf("%s: %s", b.path(), got)
	}
	if b.has("#problem") {
		b.waitFor("document.activeElement.id", "problem")
	}
}

// variant is what a user does after each step of a walk.
type variant struct {
	name string
	// do acts on the page after a step, and amend on the page after a form with a mistake, unless it is
	// nil.
	do, amend func(b *tab)
	// noScript turns scripts off.
	noScript bool
}

// variants are the ways to walk.
var variants = []variant{
	{name: "straight on"},
	{name: "reload", do: reload, amend: reload},
	{name: "back", do: goBackAndForward},
	{name: "no script", noScript: true},
	{name: "language", do: switchLanguage, amend: switchLanguage},
}

func reload(b *tab) { b.leave(chromedp.Reload()) }

// goBackAndForward is not for the answer to a form with a mistake, which a browser only shows again
// after asking.
func goBackAndForward(b *tab) {
	for _, move := range []string{"history.back()", "history.forward()"} {
		b.leave(chromedp.Evaluate[chromedp.Void](move))
	}
}

// switchLanguage changes the language and changes it back.
func switchLanguage(b *tab) {
	for _, lang := range []string{"es", "en"} {
		b.press(fmt.Sprintf(`.vernal-languages [lang=%s]`, lang))
	}
}

// step lets the variant act after a step.
func (v variant) step(b *tab) {
	b.t.Helper()
	if v.do != nil {
		v.do(b)
	}
}

// mistake lets the variant act after a form with a mistake.
func (v variant) mistake(b *tab) {
	b.t.Helper()
	if v.amend != nil {
		v.amend(b)
	}
}
