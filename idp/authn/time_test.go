package authn_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

const aal2 = "http://idmanagement.gov/ns/assurance/aal/2"

var moreTime = url.Values{"more": {"yes"}, "remember": {"yes"}, "code": {"123"}}

// timed fails unless the page has its warning and its end after the given seconds.
func timed(t *testing.T, page *idptest.Page, warnIn, endIn time.Duration) {
	t.Helper()
	if want := fmt.Sprintf("#time { animation-delay: %.0fs, %.0fs }", warnIn.Seconds(), endIn.Seconds()); !strings.Contains(string(page.Body), want) {
		t.Errorf("%s: no %q in the page", page.URL, want)
	}
	csp := page.Header.Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(csp, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if n := strings.Count(string(page.Body), `nonce="`+strings.ReplaceAll(nonce, "+", "&#43;")+`"`); len(nonce) < 20 || n != 2 {
		t.Errorf("%s: the nonce of %q is in the page %d times, want 2", page.URL, csp, n)
	}
}

// A user who needs longer for the code gets the time again, ticked boxes stay ticked, and the
// code is then accepted.
func TestUserGetsMoreTimeForCode(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := giveOnlyPassword(t, i, ann)
	page := b.Get("/sign-in/code")
	timed(t, page, 8*time.Minute, 10*time.Minute)
	checkPage(t, page, http.StatusOK, "About 2 minutes are left", text("code.more"))

	i.Clock.Advance(9 * time.Minute)
	timed(t, b.Get("/sign-in/code"), 0, time.Minute)
	checkPage(t, b.CrossSitePost("/sign-in/code", moreTime), http.StatusForbidden)
	page = b.Post("/sign-in/code", moreTime)
	checkPage(t, page, http.StatusOK, text("notice.more_time"))
	timed(t, page, 8*time.Minute, 10*time.Minute)
	if body := string(page.Body); !strings.Contains(body, `value="yes" checked`) || strings.Contains(body, `value="123"`) {
		t.Error("what was ticked is lost, or the code is in the page")
	}
	i.Clock.Advance(9 * time.Minute)
	checkPage(t, b.GiveCode(page, ann, "remember"), http.StatusOK, text("account.sign_out"))
	checkPage(t, b.Get("/account/sessions"), http.StatusOK, text("account.remembered"), text("account.forget"))
}

// More time is available at least ten times, not without end, and never once the time is over.
func TestMoreTimeIsBounded(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	b := giveOnlyPassword(t, i, ann)
	for range 10 {
		i.Clock.Advance(10*time.Minute - time.Second)
		page := b.Post("/sign-in/code", moreTime)
		checkPage(t, page, http.StatusOK, text("notice.more_time"))
		timed(t, page, 8*time.Minute, 10*time.Minute)
	}
	i.Clock.Advance(9 * time.Minute)
	for _, left := range []time.Duration{70 * time.Second, 40 * time.Second, 10 * time.Second} {
		page := b.Post("/sign-in/code", moreTime)
		checkPage(t, page, http.StatusOK, text("code.time_final.one"))
		timed(t, page, 0, left)
		if strings.Contains(page.Text(), text("code.more")) {
			t.Error("more time is offered, and there is none")
		}
		i.Clock.Advance(30 * time.Second)
	}
	checkPage(t, b.Post("/sign-in/code", moreTime), http.StatusUnprocessableEntity, "Password")

	late := giveOnlyPassword(t, i, ann)
	i.Clock.Advance(10 * time.Minute)
	checkPage(t, late.Post("/sign-in/code", moreTime), http.StatusUnprocessableEntity, "Password")
	if s, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(s) != 2 {
		t.Errorf("%d sign-ins are stored, %v", len(s), err)
	}
	checkPage(t, i.Browser().Post("/sign-in/code", moreTime), http.StatusUnprocessableEntity, "Password")
}

// A step-up has as much time as the session, and its button counts as use.
func TestMoreTimeForStepUp(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, a := i.AddUser("ann@example.gov"), i.AddProvider("https://a.example")
	b := i.Browser()
	checkPage(t, b.GiveCode(b.GivePassword(b.Get("/sign-in"), ann), ann, "remember"), http.StatusOK, text("account.sign_out"))
	b.Post("/account/sign-out", nil)
	checkPage(t, b.GivePassword(b.Get("/sign-in"), ann), http.StatusOK, text("account.sign_out"))

	i.Clock.Advance(14 * time.Minute)
	r := &idptest.Request{ClassRefs: []string{aal2}}
	page := b.Get(a.URL(r))
	checkPage(t, page, http.StatusOK, text("notice.step_up"))
	timed(t, page, 13*time.Minute, 15*time.Minute) // not the minute that was left
	form := page.Form()
	form.Fields.Set("more", "yes")
	for range 3 {
		i.Clock.Advance(14 * time.Minute)
		page = b.Post(form.Action, form.Fields)
		checkPage(t, page, http.StatusOK, text("notice.more_time"))
		timed(t, page, 13*time.Minute, 15*time.Minute)
	}
	if page = b.GiveCode(page, ann); page.Response() == nil {
		t.Errorf("no Response, but %d %s", page.Status, page.URL)
	}
}
