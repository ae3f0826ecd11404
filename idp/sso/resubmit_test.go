package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// deliver posts a message from another site and returns the URL of the redirect.
func deliver(t *testing.T, b *idptest.Browser, form url.Values) string {
	t.Helper()
	resp, to := b.CrossSitePostOnly("/api/saml/auth"+string(b.Year()), form)
	_ = resp.Body.Close()
	if to == "" {
		t.Fatalf("the request leads to no page: %s", resp.Status)
	}
	return to
}

// A double click delivers a message twice before the first cookie arrives. A browser that kept
// only one of the two cookies goes on with that one.
func TestDoubleSubmitGoesOn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person := i.AddProvider(spA), i.AddUser("ada@example.gov")

	for _, keep := range []string{"the first", "the second", "both"} {
		r := &idptest.Request{RelayState: "r"}
		form := a.Form(r)
		browser, lost := i.Browser(), i.Browser()
		var first, to string
		switch keep {
		case "the first":
			to = deliver(t, browser, form)
			deliver(t, lost, form)
		case "the second":
			deliver(t, lost, form)
			to = deliver(t, browser, form)
		default:
			first = deliver(t, browser, form)
			to = deliver(t, browser, form)
		}
		page := browser.SignIn(browser.Get(to), person)
		accept(t, a, r, page)
		if relay := page.Form().Fields.Get("RelayState"); relay != "r" {
			t.Errorf("%s: RelayState %q", keep, relay)
		}
		checkRefusal(t, browser.Get(to), http.StatusBadRequest, "already_used") // the back button
		checkRefusal(t, browser.CrossSitePost("/api/saml/auth"+string(i.Year()), form), http.StatusBadRequest)
		if first != "" {
			browser.Post("/account/sign-out", nil)
			checkRefusal(t, browser.Get(first), http.StatusBadRequest, "already_used")
		}
	}

	// By GET.
	r := &idptest.Request{}
	address := a.URL(r)
	i.Browser().Get(address) // this browser's cookie is lost
	browser := i.Browser()
	accept(t, a, r, browser.SignIn(browser.Get(address), person))

	// By GET in a browser with a session: the first delivery waits in the store.
	r = &idptest.Request{}
	address = a.URL(r)
	i.Browser().Get(address)
	accept(t, a, r, browser.Get(address))
	checkRefusal(t, browser.Get(address), http.StatusBadRequest, "already_used")
}

// A thief who captured a message and delivers it within the window gets a separate request. It
// gives access neither to the user's request nor to a second answer.
func TestReplayWithinTheWindow(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ada, mallory := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.AddUser("mallory@example.gov")
	user, thief := i.Browser(), i.Browser()
	r := &idptest.Request{}
	form := a.Form(r)
	first := deliver(t, user, form)
	second := deliver(t, thief, form)
	if first == second {
		t.Fatal("two browsers share a request")
	}
	checkRefusal(t, thief.Get(first), http.StatusBadRequest, "other_browser")
	checkRefusal(t, user.Get(second), http.StatusBadRequest, "request_stale") // only the other browser has the request
	signIn := strings.Replace(first, "/sign-in/continue?", "/sign-in?", 1)
	checkRefusal(t, thief.Get(signIn), http.StatusBadRequest, "other_browser")

	// The user is first, and the thief gets nothing.
	waits := thief.Get(second)
	accept(t, a, r, user.SignIn(user.Get(first), ada))
	checkRefusal(t, thief.SignIn(waits, mallory), http.StatusBadRequest, "replayed")
	checkRefusal(t, thief.Get(second), http.StatusBadRequest, "replayed")
	checkRefusal(t, thief.Get(first), http.StatusBadRequest, "other_browser")

	// The thief is first, signing in to an account of their own as if no one else had
	// delivered the message. It has one answer.
	r = &idptest.Request{}
	form = a.Form(r)
	fresh := i.Browser()
	first, second = deliver(t, fresh, form), deliver(t, thief, form)
	got := accept(t, a, r, thief.Get(second))
	if email := attribute(got, "email"); email != mallory.Email {
		t.Errorf("the answer is about %s", email)
	}
	checkRefusal(t, fresh.Get(first), http.StatusBadRequest, "already_used")
	checkRefusal(t, fresh.CrossSitePost("/api/saml/auth"+string(i.Year()), form), http.StatusBadRequest, "already_used")
}

// A message is accepted again only with the same bytes, within the window, and before there is
// an answer.
func TestResubmitNeedsSameBytesInWindow(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person := i.AddProvider(spA), i.AddUser("ada@example.gov")
	once := func(r *idptest.Request) (again func(*idptest.Request) *idptest.Page) {
		deliver(t, i.Browser(), a.Form(r))
		return func(r *idptest.Request) *idptest.Page {
			return i.Browser().CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(r))
		}
	}

	r := &idptest.Request{}
	again := once(r)
	i.Clock.Advance(idp.ResubmitWindow)
	if page := again(r); page.Status != http.StatusOK {
		t.Errorf("at its end: %d %s", page.Status, page.Text())
	}
	i.Clock.Advance(time.Second)
	checkRefusal(t, again(r), http.StatusBadRequest, "other_browser") // counted from the first delivery

	r = &idptest.Request{}
	again = once(r)
	other := *r
	other.ForceAuthn = true
	checkRefusal(t, again(&other), http.StatusBadRequest, "other_browser") // the same ID, another message

	r = &idptest.Request{}
	address := a.URL(r)
	browser := i.Browser()
	accept(t, a, r, browser.SignIn(browser.Get(address), person))
	checkRefusal(t, i.Browser().Get(address), http.StatusBadRequest, "replayed")
	warm := &idptest.Request{}
	address = a.URL(warm)
	accept(t, a, warm, browser.Get(address)) // no time passes
	checkRefusal(t, i.Browser().Get(address), http.StatusBadRequest, "replayed")
	checkRefusal(t, i.Browser().CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(warm)), http.StatusBadRequest)
}

// A message is stored once and answered once, however often it is delivered.
func TestRepeatedMessageIsStoredOnce(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	store.room.Store(true)
	a, person := i.AddProvider(spA), i.AddUser("ada@example.gov")
	r := &idptest.Request{RelayState: "0123456789"}
	form := a.Form(r)
	var to [6]string
	var browsers [6]*idptest.Browser
	var wg sync.WaitGroup
	for n := range to {
		browsers[n] = i.Browser()
		wg.Go(func() { to[n] = deliver(t, browsers[n], form) })
	}
	wg.Wait()
	before := i.Changes()
	deliver(t, i.Browser(), form)
	if n := i.Changes() - before; n > 0 {
		t.Errorf("one delivery more made %d changes", n)
	}
	if got := store.stored.Load(); got > int64(len(to))*int64(len(r.RelayState)+len(r.ID)) {
		t.Errorf("%d bytes are stored", got)
	}
	for n := range to {
		first := &idptest.Request{}
		accept(t, a, first, browsers[n].SignIn(browsers[n].Get(a.URL(first)), person))
	}
	answered := make([]bool, len(to))
	for n := range to {
		wg.Go(func() { answered[n] = browsers[n].Get(to[n]).Response() != nil })
	}
	wg.Wait()
	count := 0
	for _, yes := range answered {
		if yes {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d answers", count)
	}
}

// An answered message frees its budget, whichever delivery is answered. So more double clicks
// than the budget of a network holds are all stored.
func TestDoubleSubmitGivesBack(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	store.room.Store(true)
	a, person := i.AddProvider(spA, allowUnsigned), i.AddUser("ada@example.gov")
	browser, lost := i.Browser(), i.Browser()
	start := &idptest.Request{}
	accept(t, a, start, signIn(browser, a, start, person))
	for n := range 120 { // 256 kB at 2.6 kB and more
		r := &idptest.Request{Unsigned: true, RelayState: strings.Repeat("x", 2048)}
		form := a.Form(r)
		before := store.stored.Load()
		deliver(t, lost, form)
		if store.stored.Load() == before {
			t.Fatalf("message %d was not stored", n)
		}
		accept(t, a, r, browser.Get(deliver(t, browser, form)))
	}
}
