package authn_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/sp"
)

// hookStore is a store that calls a function before a step of a sign-in, or makes the step
// fail.
type hookStore struct {
	idp.OwnedStore
	mu       sync.Mutex
	create   func() error // before a sign-in begins
	complete func() error // before one is completed
	replace  func() error // before a session is stepped up
}

// once runs a hook once.
func (s *hookStore) once(hook *func() error) error {
	s.mu.Lock()
	do := *hook
	*hook = nil
	s.mu.Unlock()
	if do == nil {
		return nil
	}
	return do()
}

func (s *hookStore) StartSession(ctx context.Context, b idp.SessionStart, events ...idp.AuditEvent) error {
	hook := &s.create
	switch {
	case b.PendingID != "":
		hook = &s.complete
	case b.PreviousID != "":
		hook = &s.replace
	}
	if err := s.once(hook); err != nil {
		return err
	}
	return s.OwnedStore.StartSession(ctx, b, events...)
}

// walker drives the pages of one identity provider and compares the records of each exit with
// the table of package audit.
type walker struct {
	*idptest.IdP
	t     *testing.T
	hooks *hookStore
}

// exitCase is one way to leave a handler. The records that it leaves must be those of
// want, in this order.
type exitCase struct {
	name string
	// walk leads up to the exit and returns the request that takes it.
	walk func(w *walker, ann *idptest.User) func() *idptest.Page
	want []audit.Decision
	// noUser reports whether the records name no user.
	noUser bool
	// outcome is the outcome of the last record, where the decision does not determine it.
	outcome string
}

func (w *walker) post(b *idptest.Browser, path string, pairs ...string) func() *idptest.Page {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return func() *idptest.Page { return b.Post(path, form) }
}

func (w *walker) provider(change ...func(*idp.ServiceProvider)) *idptest.Provider {
	return w.AddProvider("https://a.example", change...)
}

func (w *walker) deactivate() {
	w.t.Helper()
	_, err := w.Registry.Edit(w.t.Context(), "https://a.example", func(p *idp.ServiceProvider) error {
		p.Active = false
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *walker) lock(p *idptest.User) {
	w.t.Helper()
	if _, err := w.Accounts.Lock(w.t.Context(), p.Email, "", "test"); err != nil {
		w.t.Fatal(err)
	}
}

// lockQuietly locks the account in the store, which ends no session: the moment
// between the two steps of a lock.
func (w *walker) lockQuietly(p *idptest.User) {
	w.t.Helper()
	err := w.Store.UpdateUser(w.t.Context(), p.Record.ID, func(u *idp.User) error { u.LockedAt = w.Clock.Now(); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

// connect gives a user a consent for a registered service provider.
func (w *walker) connect(p *idptest.User) {
	w.t.Helper()
	w.provider(func(p *idp.ServiceProvider) { p.Attributes = []string{"email"} })
	err := w.Store.UpdateUser(w.t.Context(), p.Record.ID, func(u *idp.User) error {
		now := w.Clock.Now()
		u.Services = append(u.Services, idp.ConnectedService{SP: "https://a.example", FirstAt: now, LastAt: now, ConsentAt: now})
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *walker) resetFactors(p *idptest.User) {
	w.t.Helper()
	if _, err := w.Accounts.ResetMFA(w.t.Context(), p.Email, "test"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *walker) update(p *idptest.User, change func(*idp.User)) {
	w.t.Helper()
	if err := w.Store.UpdateUser(w.t.Context(), p.Record.ID, func(u *idp.User) error { change(u); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// leaveAtSetUp returns a browser at the page to set up the first factor.
func (w *walker) leaveAtSetUp(p *idptest.User) *idptest.Browser {
	w.t.Helper()
	w.resetFactors(p)
	b := w.Browser()
	if page := b.GivePassword(b.Get("/sign-in"), p); page.URL.Path != "/sign-in/set-up" {
		w.t.Fatalf("%d %s", page.Status, page.URL)
	}
	return b
}

// setUpCode returns the code of the authenticator that the browser is offered.
func (w *walker) setUpCode(p *idptest.User, b *idptest.Browser) string {
	w.t.Helper()
	for _, c := range b.Cookies() {
		if c.Name != "vernal-signin" {
			continue
		}
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(w.Accounts.NewFirstEnrolment(p.Record, idp.HashSessionToken(c.Value)).Secret)
		if err != nil {
			w.t.Fatal(err)
		}
		code, err := account.ComputeCode(idp.TOTP{Secret: secret, Period: 30}, w.Clock.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		return code
	}
	w.t.Fatal("no sign-in waits")
	return ""
}

// leaveAtCode returns a browser at the code page.
func (w *walker) leaveAtCode(p *idptest.User) *idptest.Browser {
	w.t.Helper()
	return giveOnlyPassword(w.t, w.IdP, p)
}

// stepping returns a browser at the step-up page, and the page's form.
func (w *walker) stepping(p *idptest.User) (*idptest.Browser, idptest.Form) {
	w.t.Helper()
	a := w.provider()
	b := rememberBrowser(w.t, w.IdP, p)
	b.Post("/account/sign-out", nil)
	b.GivePassword(b.Get("/sign-in"), p)
	page := b.Get(a.URL(&idptest.Request{ClassRefs: []string{aal2}}))
	form := page.Form()
	if form.Action != "/sign-in/step-up" {
		w.t.Fatalf("no step-up, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	return b, form
}

func (w *walker) send(b *idptest.Browser, form idptest.Form, code string) func() *idptest.Page {
	form.Fields.Set("code", code)
	return func() *idptest.Page { return b.Post(form.Action, form.Fields) }
}

// handle returns the handle of a request that the browser has begun.
func (w *walker) handle(b *idptest.Browser, a *idptest.Provider) string {
	w.t.Helper()
	h := b.Get(a.URL(&idptest.Request{})).Form().Fields.Get("request")
	if h == "" {
		w.t.Fatal("no request was begun")
	}
	return h
}

var errDisk = errors.New("no space left on device")

// exits returns the exits of the handlers of packages authn and accounthttp.
func exits() []exitCase {
	type page = func() *idptest.Page
	nothing := []audit.Decision(nil)
	one := func(d ...audit.Decision) []audit.Decision { return d }
	get := func(path string) func(*walker, *idptest.User) func() *idptest.Page {
		return func(w *walker, _ *idptest.User) func() *idptest.Page {
			b := w.Browser()
			return func() *idptest.Page { return b.Get(path) }
		}
	}
	return []exitCase{
		{"home", get("/"), nothing, true, ""},
		{"sign-in page", get("/sign-in"), nothing, true, ""},
		{"code page without a sign-in", get("/sign-in/code"), nothing, true, ""},
		{"step-up page without a request", get("/sign-in/step-up"), nothing, true, ""},
		{"account page without a session", get("/account"), nothing, true, ""},
		{"stay page without a session", get("/account/stay"), nothing, true, ""},
		{"a request that no one has begun", get("/sign-in?request=none"), one(audit.RequestRefused), true, "request_stale"},
		{"code page of no request", get("/sign-in/code?request=none"), one(audit.RequestRefused), true, "request_stale"},
		{"step-up page of no request", get("/sign-in/step-up?request=none"), one(audit.RequestRefused), true, "request_stale"},
		{"another browser's request", func(w *walker, _ *idptest.User) page {
			h, other := w.handle(w.Browser(), w.provider()), w.Browser()
			return func() *idptest.Page { return other.Get("/sign-in?request=" + h) }
		}, one(audit.RequestRefused), true, "other_browser"},
		{"a service provider that was removed", func(w *walker, _ *idptest.User) page {
			b := w.Browser()
			h := w.handle(b, w.provider())
			if err := w.Registry.Remove(w.t.Context(), "https://a.example", "test"); err != nil {
				w.t.Fatal(err)
			}
			return func() *idptest.Page { return b.Get("/sign-in?request=" + h) }
		}, one(audit.RequestRefused), true, "sp_unknown"},
		{"a service provider that was deactivated", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			h := w.handle(b, w.provider())
			w.deactivate()
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password, "request", h)
		}, one(audit.RequestRefused), true, "sp_inactive"},
		{"a request that has its answer", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			p := b.Get(w.provider().URL(&idptest.Request{}))
			h := p.Form().Fields.Get("request")
			b.SignIn(p, ann)
			return func() *idptest.Page { return b.Get("/sign-in?request=" + h) }
		}, one(audit.RequestRefused), true, "already_used"},

		{"empty form", func(w *walker, _ *idptest.User) page { return w.post(w.Browser(), "/sign-in") }, nothing, true, ""},
		{"no password", func(w *walker, ann *idptest.User) page { return w.post(w.Browser(), "/sign-in", "email", ann.Email) }, nothing, true, ""},
		{"wrong password", func(w *walker, ann *idptest.User) page {
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", "wrong")
		}, one(audit.PasswordWrong), false, ""},
		{"wrong password for a service provider", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			return w.post(b, "/sign-in", "email", ann.Email, "password", "wrong", "request", w.handle(b, w.provider()))
		}, one(audit.PasswordWrong), false, ""},
		{"wrong password of a locked account", func(w *walker, ann *idptest.User) page {
			w.lock(ann)
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", "wrong")
		}, one(audit.PasswordWrong), false, ""},
		{"invented email address", func(w *walker, _ *idptest.User) page {
			return w.post(w.Browser(), "/sign-in", "email", "no@example.gov", "password", "wrong")
		}, one(audit.PasswordUnknown), true, ""},
		{"too many passwords", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			for range account.DefaultLimits().AccountNetwork.Max {
				w.post(b, "/sign-in", "email", ann.Email, "password", "wrong")()
			}
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordThrottled), true, ""},
		{"too many passwords at once", func(w *walker, ann *idptest.User) page {
			crowd(w.t, w.IdP, ann.Email)
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordBusy), true, ""},
		{"right password of a locked account", func(w *walker, ann *idptest.User) page {
			w.lock(ann)
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.AccountLocked), false, ""},
		{"right password", func(w *walker, ann *idptest.User) page {
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight), false, ""},
		{"right password for a service provider", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password, "request", w.handle(b, w.provider()))
		}, one(audit.PasswordRight), false, ""},
		{"right password in a remembered browser", func(w *walker, ann *idptest.User) page {
			b := rememberBrowser(w.t, w.IdP, ann)
			b.Post("/account/sign-out", nil)
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight, audit.SignedIn), false, ""},
		{"recovery code page without a sign-in", get("/sign-in/recovery-code"), nothing, true, ""},
		{"wrong recovery code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/recovery-code", "code", "8F3K-22XM-PQ7D")
		}, one(audit.CodeWrong), false, ""},
		{"recovery code", func(w *walker, ann *idptest.User) page {
			codes, err := w.Accounts.ReplaceRecoveryCodes(w.t.Context(), ann.Record.ID, idp.AuditEvent{Actor: "test"})
			if err != nil {
				w.t.Fatal(err)
			}
			return w.post(w.leaveAtCode(ann), "/sign-in/recovery-code", "code", codes[0])
		}, one(audit.RecoveryCodeUsed, audit.SignedIn), false, ""},
		{"right password without a factor", func(w *walker, ann *idptest.User) page {
			if _, err := w.Accounts.ResetMFA(w.t.Context(), ann.Email, "test"); err != nil {
				w.t.Fatal(err)
			}
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight), false, ""},
		{"right password without the factor asked for", func(w *walker, ann *idptest.User) page {
			b := w.Browser()
			a := w.provider()
			h := b.Get(a.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true"}})).Form().Fields.Get("request")
			w.resetFactors(ann)
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password, "request", h)
		}, one(audit.FactorMissing), false, ""},
		{"right password with recovery codes only", func(w *walker, ann *idptest.User) page {
			w.resetFactors(ann)
			if _, err := w.Accounts.ReplaceRecoveryCodes(w.t.Context(), ann.Record.ID, idp.AuditEvent{}); err != nil {
				w.t.Fatal(err)
			}
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight), false, ""},
		{"set-up page", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtSetUp(ann)
			return func() *idptest.Page { return b.Get("/sign-in/set-up") }
		}, nothing, false, ""},
		{"set-up page without a sign-in", get("/sign-in/set-up"), nothing, true, ""},
		{"set-up, more time", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtSetUp(ann), "/sign-in/set-up", "more", "yes")
		}, nothing, false, ""},
		{"set-up, no code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtSetUp(ann), "/sign-in/set-up")
		}, nothing, false, ""},
		{"set-up, wrong code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtSetUp(ann), "/sign-in/set-up", "code", "000000")
		}, one(audit.CodeWrong), false, ""},
		{"set-up, too many codes", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtSetUp(ann)
			for range account.DefaultLimits().Code.Max {
				w.post(b, "/sign-in/set-up", "code", "000000")()
			}
			return w.post(b, "/sign-in/set-up", "code", "000000")
		}, one(audit.CodeThrottled), false, ""},
		{"set-up, right code", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtSetUp(ann)
			return w.post(b, "/sign-in/set-up", "code", w.setUpCode(ann, b))
		}, one(audit.FirstFactorAdded, audit.SignedIn), false, ""},
		{"set-up of a locked account", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtSetUp(ann)
			w.lockQuietly(ann)
			return w.post(b, "/sign-in/set-up", "code", "000000")
		}, one(audit.AccountLocked), false, ""},
		{"set-up as the account changes", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtSetUp(ann)
			w.update(ann, func(u *idp.User) { u.PasswordChangedAt = w.Clock.Now().Add(1) })
			return w.post(b, "/sign-in/set-up", "code", w.setUpCode(ann, b))
		}, one(audit.AccountChanged), false, ""},
		{"recovery codes without a session", get("/sign-in/recovery-codes"), nothing, true, ""},
		{"recovery codes, offer", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/sign-in/recovery-codes") }
		}, nothing, false, ""},
		{"recovery codes", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/sign-in/recovery-codes", "set", "none")
		}, one(audit.RecoveryCodesMade), false, ""},
		{"recovery codes, sent twice", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.post(b, "/sign-in/recovery-codes", "set", "none")()
			return w.post(b, "/sign-in/recovery-codes", "set", "none")
		}, nothing, false, ""},
		{"recovery codes of a locked account", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.lockQuietly(ann)
			return w.post(b, "/sign-in/recovery-codes", "set", "none")
		}, one(audit.AccountLocked), false, ""},
		{"right password without the proofing asked for", func(w *walker, ann *idptest.User) page {
			a := w.provider(func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
			b := w.Browser()
			h := b.Get(a.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/2"}})).Form().Fields.Get("request")
			return w.post(b, "/sign-in", "email", ann.Email, "password", ann.Password, "request", h)
		}, one(audit.NotVerified), false, ""},
		{"deleted as the password was right", func(w *walker, ann *idptest.User) page {
			w.hooks.create = func() error { return w.Store.DeleteUser(w.t.Context(), ann.Record.ID) }
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.AccountChanged), false, ""},
		{"locked as the password was right", func(w *walker, ann *idptest.User) page {
			w.hooks.create = func() error { w.lockQuietly(ann); return nil }
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight, audit.AccountLocked), false, ""},
		{"new password as the old one was right", func(w *walker, ann *idptest.User) page {
			w.hooks.create = func() error {
				return w.Store.UpdateUser(w.t.Context(), ann.Record.ID, func(u *idp.User) error { u.PasswordChangedAt = w.Clock.Now().Add(1); return nil })
			}
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.PasswordRight, audit.AccountChanged), false, ""},
		{"sign-in that cannot be stored", func(w *walker, ann *idptest.User) page {
			w.hooks.create = func() error { return errDisk }
			return w.post(w.Browser(), "/sign-in", "email", ann.Email, "password", ann.Password)
		}, one(audit.Failed), false, "internal"},

		{"code page", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			return func() *idptest.Page { return b.Get("/sign-in/code") }
		}, nothing, false, ""},
		{"code without a sign-in", func(w *walker, _ *idptest.User) page { return w.post(w.Browser(), "/sign-in/code", "code", "000000") }, nothing, true, ""},
		{"more time", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "more", "1")
		}, nothing, false, ""},
		{"what cannot be a code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "code", "12")
		}, nothing, false, ""},
		{"wrong code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "code", "000000")
		}, one(audit.CodeWrong), false, ""},
		{"code used before", func(w *walker, ann *idptest.User) page {
			code := ann.Code()
			w.post(w.leaveAtCode(ann), "/sign-in/code", "code", code)()
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "code", code)
		}, one(audit.CodeReplayed), false, ""},
		{"too many codes", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			for range account.DefaultLimits().Code.Max {
				w.post(b, "/sign-in/code", "code", "000000")()
			}
			return w.post(b, "/sign-in/code", "code", ann.Code())
		}, one(audit.CodeThrottled), false, ""},
		{"code of an account locked at this moment", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			w.lockQuietly(ann)
			return w.post(b, "/sign-in/code", "code", ann.Code())
		}, one(audit.AccountLocked), false, ""},
		{"code of a user whose factor went", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			err := w.Store.UpdateUser(w.t.Context(), ann.Record.ID, func(u *idp.User) error { u.TOTPs = nil; return nil })
			if err != nil {
				w.t.Fatal(err)
			}
			return w.post(b, "/sign-in/code", "code", "000000")
		}, one(audit.FactorMissing), false, ""},
		{"right code", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "code", ann.Code())
		}, one(audit.SignedIn), false, ""},
		{"right code, and remembered", func(w *walker, ann *idptest.User) page {
			return w.post(w.leaveAtCode(ann), "/sign-in/code", "code", ann.Code(), "remember", "yes")
		}, one(audit.SignedIn), false, ""},
		{"right code of a user who is signed in", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			b.GivePassword(b.Get("/sign-in?again=1"), ann)
			return w.post(b, "/sign-in/code", "code", ann.Code())
		}, one(audit.SteppedUp), false, ""},
		{"right code as the account changes", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			w.hooks.complete = func() error {
				_, err := w.Store.EndSessions(w.t.Context(), idp.SessionEnd{User: ann.Record.ID})
				return err
			}
			return w.post(b, "/sign-in/code", "code", ann.Code())
		}, one(audit.AccountChanged), false, ""},
		{"session that cannot be stored", func(w *walker, ann *idptest.User) page {
			b := w.leaveAtCode(ann)
			w.hooks.complete = func() error { return errDisk }
			return w.post(b, "/sign-in/code", "code", ann.Code())
		}, one(audit.Failed), false, "internal"},

		{"step-up page", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			return func() *idptest.Page { return b.Get("/sign-in/step-up?request=" + form.Fields.Get("request")) }
		}, nothing, false, ""},
		{"step-up, wrong code", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			return w.send(b, form, "000000")
		}, one(audit.CodeWrong), false, ""},
		{"step-up, too many codes", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			for range account.DefaultLimits().Code.Max {
				w.send(b, form, "000000")()
			}
			return w.send(b, form, "000000")
		}, one(audit.CodeThrottled), false, ""},
		{"step-up, right code", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			return w.send(b, form, ann.Code())
		}, one(audit.SteppedUp, audit.AssertionIssued), false, ""},
		{"step-up, locked at this moment", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			w.hooks.replace = func() error { return idp.ErrSessionEnded }
			return w.send(b, form, ann.Code())
		}, one(audit.AccountChanged), false, ""},
		{"step-up that cannot be stored", func(w *walker, ann *idptest.User) page {
			b, form := w.stepping(ann)
			w.hooks.replace = func() error { return errDisk }
			return w.send(b, form, ann.Code())
		}, one(audit.Failed), false, "internal"},

		{"account page", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/account") }
		}, nothing, false, ""},
		{"account page of a locked account", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.lockQuietly(ann)
			return func() *idptest.Page { return b.Get("/account") }
		}, one(audit.AccountLocked), false, ""},
		{"sessions page", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/account/sessions") }
		}, nothing, false, ""},
		{"services page", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/account/services") }
		}, nothing, false, ""},
		{"consent withdrawn", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.connect(ann)
			return w.post(b, "/account/services/withdraw", "service", "https://a.example")
		}, one(audit.ConsentWithdrawn), false, ""},
		{"no consent to withdraw", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/services/withdraw", "service", "https://a.example")
		}, nothing, false, ""},
		{"consent that is not named", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/services/withdraw")
		}, one(audit.FormRefused), false, ""},
		{"email address for a service", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.connect(ann)
			return w.post(b, "/account/services/email", "service", "https://a.example", "email", ann.Email)
		}, one(audit.ServiceEmailChosen), false, ""},
		{"email address of another user for a service", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.connect(ann)
			return w.post(b, "/account/services/email", "service", "https://a.example", "email", "bob@example.gov")
		}, nothing, false, ""},
		{"language of mails", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/language", "mail_language", "es")
		}, one(audit.LangChosen), false, ""},
		{"no language of mails", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/language")
		}, one(audit.FormRefused), false, ""},
		{"consent withdrawn from a locked account", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.connect(ann)
			w.lockQuietly(ann)
			return w.post(b, "/account/services/withdraw", "service", "https://a.example")
		}, one(audit.AccountLocked), false, ""},
		{"history", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/account/history") }
		}, nothing, false, ""},
		{"data page", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return func() *idptest.Page { return b.Get("/account/data") }
		}, nothing, false, ""},
		{"own data", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/data")
		}, one(audit.OwnDataDownloaded), false, ""},
		{"sessions page without a session", get("/account/sessions"), nothing, true, ""},
		{"session that lapsed", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			w.Clock.Advance(time.Hour)
			return func() *idptest.Page { return b.Get("/account") }
		}, nothing, false, ""},
		{"stay", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/stay")
		}, nothing, false, ""},
		{"sign out", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/sign-out")
		}, one(audit.SignedOut), false, ""},
		{"sign out without a session", func(w *walker, _ *idptest.User) page { return w.post(w.Browser(), "/account/sign-out") }, nothing, true, ""},
		{"end one session", func(w *walker, ann *idptest.User) page {
			_, other := signIn(w.t, w.IdP, ann)
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/sessions/end", "session", other.ID.ShortID())
		}, one(audit.SessionsEnded), false, ""},
		{"end no session", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/sessions/end", "session", "0123456789abcdef")
		}, nothing, false, ""},
		{"end a session that is not named", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/sessions/end")
		}, one(audit.FormRefused), false, ""},
		{"end other sessions", func(w *walker, ann *idptest.User) page {
			signIn(w.t, w.IdP, ann)
			signIn(w.t, w.IdP, ann)
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/sessions/end-others")
		}, one(audit.SessionsEnded, audit.SessionsEnded), false, ""},
		{"forget a device", func(w *walker, ann *idptest.User) page {
			b := rememberBrowser(w.t, w.IdP, ann)
			return w.post(b, "/account/devices/forget", "device", devices(b.Get("/account/sessions"))[0])
		}, one(audit.DevicesForgotten), false, ""},
		{"forget no device", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/devices/forget-all")
		}, nothing, false, ""},
		{"forget a device that is not named", func(w *walker, ann *idptest.User) page {
			b, _ := signIn(w.t, w.IdP, ann)
			return w.post(b, "/account/devices/forget")
		}, one(audit.FormRefused), false, ""},
	}
}

// TestEveryExitIsRecorded walks the exits of the handlers and compares the records of each
// with the table of package audit: no more, no fewer, with the user's ID where the user is
// known. Then it looks for decisions in the code without a walked exit.
func TestEveryExitIsRecorded(t *testing.T) {
	t.Parallel()
	walked, outcomes := map[audit.Decision]bool{}, map[string]bool{}
	for _, tt := range exits() {
		hooks := &hookStore{}
		w := &walker{t: t, hooks: hooks}
		w.IdP = idptest.New(t, idptest.Options{Log: slog.DiscardHandler, WrapStore: func(s idp.OwnedStore) idp.OwnedStore { hooks.OwnedStore = s; return hooks }})
		ann := w.AddUser("ann@example.gov")
		leave := tt.walk(w, ann)
		_, last := recordsAfter(t, w.IdP, 0)
		page := leave()
		records, _ := recordsAfter(t, w.IdP, last)
		if len(records) != len(tt.want) {
			t.Errorf("%s (status %d) left %d records, want %v: %+v", tt.name, page.Status, len(records), tt.want, records)
			continue
		}
		for n, d := range tt.want {
			rec := &records[n]
			walked[d], outcomes[rec.Outcome] = true, true
			if err := d.CheckRecord(rec); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if want := map[bool]idp.UserID{false: ann.Record.ID}[tt.noUser]; rec.User != want {
				t.Errorf("%s: the record of %s names user %q, want %q", tt.name, d, rec.User, want)
			}
			if d.Rule().Writer == audit.WriterPage && !strings.Contains(page.Text(), rec.ErrorID) {
				t.Errorf("%s: the page does not show error ID %s", tt.name, rec.ErrorID)
			}
			if tt.outcome != "" && n == len(tt.want)-1 && rec.Outcome != tt.outcome {
				t.Errorf("%s: outcome %q, want %q", tt.name, rec.Outcome, tt.outcome)
			}
		}
		for _, rec := range records {
			if text := fmt.Sprintf("%+v", rec); strings.Contains(text, "example.gov") || strings.Contains(text, ann.Password) {
				t.Errorf("%s: the record holds personal data: %s", tt.name, text)
			}
		}
	}

	source := readPages(t)
	elsewhere := readTests(t, "../accounthttp").selected("audit") // they check the records, too
	for _, name := range source.selected("audit") {
		d, ok := decisionNamed(name)
		switch {
		case name == "Decision" || name == "NothingDecided" || name == "ByError" || name == "UserRecords":
		case !ok:
			t.Errorf("audit.%s is no decision of the table", name)
		case !walked[d] && !slices.Contains(elsewhere, name):
			t.Errorf("no exit was walked for the decision %s", d)
		}
	}
	for _, d := range audit.Decisions() {
		if d.Rule().Writer == audit.WriterPage && !walked[d] {
			t.Errorf("no exit was walked for the decision %s", d)
		}
	}
	codes := refusalCodes(t)
	for _, name := range source.selected("idp") {
		if code, ok := codes[name]; ok && !outcomes[code] {
			t.Errorf("no exit was walked for the refusal idp.%s", name)
		}
	}
}

// TestEveryOutcomeOfAccountIsDecided checks that package authn distinguishes every error that
// package account declares, so that a new error is not handled like another one.
func TestEveryOutcomeOfAccountIsDecided(t *testing.T) {
	t.Parallel()
	decided := map[string]audit.Decision{
		"ErrWrong":       audit.CodeWrong, // or PasswordWrong, PasswordUnknown
		"ErrReplayed":    audit.CodeReplayed,
		"ErrLocked":      audit.AccountLocked,
		"ErrNoFactor":    audit.FactorMissing,
		"ErrOutdated":    audit.AccountChanged,
		"ThrottledError": audit.CodeThrottled, // or PasswordThrottled
		"BusyError":      audit.PasswordBusy,
	}
	here := readPackage(t, ".").selected("account")
	for _, name := range readPackage(t, "../account").errorsDeclared() {
		if slices.Contains([]string{"InputError", "InputErrors", "FileError", "ErrNotPlanned", "ErrLinkVoid", "ErrEdited", "ErrHasPassword", "ErrPlannedDeletion"}, name) {
			continue // errors of changes and imports, which no sign-in makes
		}
		if decided[name].Rule().Name == "" {
			t.Errorf("account.%s has no decision", name)
		}
		if !slices.Contains(here, name) {
			t.Errorf("no handler looks for account.%s", name)
		}
	}
}

// TestEveryHandlerEndsWithDecision checks that the router reaches the handlers of this package and
// accounthttp only through RunStep, or through its wrappers, which require a decision.
func TestEveryHandlerEndsWithDecision(t *testing.T) {
	t.Parallel()
	ways := []string{"RunStep", "WrapFlowStep", "wrapSignInStep", "wrapStepUp", "WrapSessionStep", "wrapPage", "wrapForm", "wrapSetUp", "wrapRecoveryCodes"}
	mounted := 0
	for _, f := range readPages(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if sel, ok := lit.Type.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Methods" {
				return true
			}
			for _, e := range lit.Elts {
				mounted++
				call, ok := e.(*ast.KeyValueExpr).Value.(*ast.CallExpr)
				if !ok {
					t.Errorf("handler %d is mounted without RunStep", mounted)
					continue
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || !slices.Contains(ways, sel.Sel.Name) {
					t.Errorf("handler %d is mounted without RunStep", mounted)
				}
			}
			return true
		})
	}
	if mounted < 15 {
		t.Errorf("found %d handlers: the test looks in the wrong place", mounted)
	}
}

// source returns the code of a package, without tests.
type source []*ast.File

func readPackage(t *testing.T, folder string) (files source) {
	t.Helper()
	return readFiles(t, folder, false)
}

// readTests returns the tests of a package.
func readTests(t *testing.T, folder string) source {
	t.Helper()
	return readFiles(t, folder, true)
}

func readFiles(t *testing.T, folder string, areTests bool) (files source) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != areTests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) < 2 {
		t.Fatalf("found %d files in %s", len(files), folder)
	}
	return files
}

// readPages returns the code of the packages whose exits are walked here.
func readPages(t *testing.T) source {
	t.Helper()
	return append(readPackage(t, "."), readPackage(t, "../accounthttp")...)
}

// selected returns the names of another package that the code uses.
func (s source) selected(pkg string) (names []string) {
	for _, f := range s {
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg && !slices.Contains(names, sel.Sel.Name) {
					names = append(names, sel.Sel.Name)
				}
			}
			return true
		})
	}
	return names
}

// errorsDeclared returns the exported error values and error types of a package.
func (s source) errorsDeclared() (names []string) {
	for _, f := range s {
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, n := range spec.Names {
						if strings.HasPrefix(n.Name, "Err") {
							names = append(names, n.Name)
						}
					}
				case *ast.TypeSpec:
					if ast.IsExported(spec.Name.Name) && (strings.HasSuffix(spec.Name.Name, "Error") || strings.HasSuffix(spec.Name.Name, "Errors")) {
						names = append(names, spec.Name.Name)
					}
				}
			}
		}
	}
	return names
}

// decisionNamed returns the decision with the name of its constant.
func decisionNamed(name string) (audit.Decision, bool) {
	for _, d := range audit.Decisions() {
		if strings.EqualFold(strings.ReplaceAll(d.String(), "_", ""), name) {
			return d, true
		}
	}
	return 0, false
}

// refusalCodes returns the codes of package idp by the names of their constants.
func refusalCodes(t *testing.T) map[string]string {
	t.Helper()
	codes := map[string]string{}
	for _, f := range readPackage(t, "..") {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == 1 && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Refused") {
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
					codes[spec.Names[0].Name] = strings.Trim(lit.Value, `"`)
				}
			}
			return true
		})
	}
	return codes
}
