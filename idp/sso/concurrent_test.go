package sso_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

// between is a store that runs a function once, between two steps of an answer: when the user
// is read, or when a request is about to be answered.
type between struct {
	idp.OwnedStore
	reading, answering, issuing atomic.Pointer[func()]
}

func (b *between) RecordIssuance(ctx context.Context, is *idp.Issuance) (idp.IssuedIDs, error) {
	if then := b.issuing.Swap(nil); then != nil {
		(*then)()
	}
	return b.OwnedStore.RecordIssuance(ctx, is)
}

func (b *between) User(ctx context.Context, id idp.UserID) (*idp.User, error) {
	if then := b.reading.Swap(nil); then != nil {
		(*then)()
	}
	return b.OwnedStore.User(ctx, id)
}

func (b *between) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	if then := b.answering.Swap(nil); then != nil {
		(*then)()
	}
	return b.OwnedStore.AnswerLoginRequest(ctx, r, at, check, events...)
}

func newBetween(t *testing.T) (*idptest.IdP, *between) {
	t.Helper()
	store := new(between)
	return idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }}), store
}

// leaveRequest signs the user in, leaves a request of the provider at its continue URL, and returns
// that URL.
func leaveRequest(t *testing.T, b *idptest.Browser, p *idptest.Provider, person *idptest.User, r *idptest.Request) string {
	t.Helper()
	first := &idptest.Request{}
	accept(t, p, first, signIn(b, p, first, person))
	resp, to := b.CrossSitePostOnly("/api/saml/auth"+string(first.Year), p.Form(r))
	_ = resp.Body.Close()
	if to == "" {
		t.Fatalf("the request leads to no page: %s", resp.Status)
	}
	return to
}

// A year that is withdrawn after a request was checked, and before its answer is written,
// signs neither an assertion nor a NoPassive.
func TestRetiredBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request idptest.Request
	}{
		{"an assertion", idptest.Request{}},
		{"that there is none", idptest.Request{IsPassive: true, ForceAuthn: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i, store := newBetween(t)
			a, person, browser, year := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser(), i.Year()
			to := leaveRequest(t, browser, a, person, &tt.request)
			retire := func() { i.Retire(year) }
			store.reading.Store(&retire)
			checkRefusal(t, browser.Get(to), http.StatusGone)
			if store.reading.Load() != nil {
				t.Error("nothing was retired meanwhile")
			}
		})
	}
}

// A NoPassive is also given once only, and recorded.
func TestNoPassiveIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	i, store := newBetween(t)
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{IsPassive: true, ForceAuthn: true}
	to := leaveRequest(t, browser, a, person, r)
	faster := func() { browser.Get(to) } // another tab
	store.answering.Store(&faster)
	checkRefusal(t, browser.Get(to), http.StatusBadRequest, "already")

	r = &idptest.Request{IsPassive: true, ForceAuthn: true}
	resp, to := browser.CrossSitePostOnly("/api/saml/auth"+string(i.Year()), a.Form(r))
	_ = resp.Body.Close()
	if page := browser.Get(to); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Fatalf("no NoPassive: %d\n%s", page.Status, page.Text())
	}
	checkRefusal(t, browser.Get(to), http.StatusBadRequest, "already")
	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, rec := range records {
		if rec.Kind == "sign_in" && rec.Outcome == "no_passive" && rec.SP == spA && rec.Actor == "sp:"+spA && rec.Year == i.Year() {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d records, want one of each request: %+v", found, records)
	}
}

// If a request is answered in another tab, or its session ends there, just before its
// assertion is recorded, nothing is issued. The user sees that it was used or has to sign in.
func TestIssuanceMeetsAnotherTab(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{true, false} {
		i, store := newBetween(t)
		a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
		to := leaveRequest(t, browser, a, person, &idptest.Request{})
		faster := func() {
			if !answered {
				browser.Post("/account/sign-out", nil)
			} else if browser.Get(to).Response() == nil {
				t.Error("the other tab was not answered")
			}
		}
		store.issuing.Store(&faster)
		page := browser.Get(to)
		if answered {
			checkRefusal(t, page, http.StatusBadRequest, "already")
		} else if checkRefusal(t, page, http.StatusOK); page.URL.Path != "/sign-in" {
			t.Errorf("led to %s", page.URL)
		}
	}
}

// The continue URL works in the browser that brought the request and in no other, whichever
// user is signed in there.
func TestContinueInAnotherBrowser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person, browser, other := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser(), i.Browser()
	r := &idptest.Request{}
	to := leaveRequest(t, browser, a, person, r)
	checkRefusal(t, other.Get(to), http.StatusBadRequest, "other_browser")
	signIn(other, a, &idptest.Request{}, i.AddUser("bob@example.gov"))
	checkRefusal(t, other.Get(to), http.StatusBadRequest, "other_browser")
	if got := attribute(accept(t, a, r, browser.Get(to)), "email"); got != person.Email {
		t.Errorf("the Response is of %q", got)
	}
}
