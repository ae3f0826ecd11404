package authn_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/sp"
)

// beforeBegin is a store that calls a function once, after a password was found right and
// before the resulting sign-in is stored.
type beforeBegin struct {
	idp.OwnedStore
	once sync.Once
	then func()
}

func (b *beforeBegin) StartSession(ctx context.Context, s idp.SessionStart, events ...idp.AuditEvent) error {
	if s.PendingID == "" {
		b.once.Do(b.then)
	}
	return b.OwnedStore.StartSession(ctx, s, events...)
}

// Locking an account, changing its password or deleting it ends the existing sessions. A
// sign-in whose password was right a moment before, and which is stored a moment after, ends
// too.
func TestSignInMeetsChange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(context.Context, *idptest.IdP, *idptest.User) error
	}{
		{"locked", func(ctx context.Context, i *idptest.IdP, p *idptest.User) error {
			_, err := i.Accounts.Lock(ctx, p.Email, "test", "test")
			return err
		}},
		{"password", func(ctx context.Context, i *idptest.IdP, p *idptest.User) error {
			_, err := i.Accounts.SetPassword(ctx, p.Email, "another otter mends ten kettles", "test")
			return err
		}},
		{"deleted", func(ctx context.Context, i *idptest.IdP, p *idptest.User) error {
			return i.Accounts.Delete(ctx, p.Email, "test")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := new(beforeBegin)
			i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
			ann, b := i.AddUser("ann@example.gov"), i.Browser()
			store.then = func() {
				i.Clock.Advance(1) // the time of its change identifies a password
				if err := tt.change(t.Context(), i, ann); err != nil {
					t.Error(err)
				}
			}
			page := b.GivePassword(b.Get("/sign-in"), ann)
			if _, code := page.Form().Fields["code"]; code || page.Status < 400 || page.Status >= 500 {
				t.Errorf("%d %s:\n%s", page.Status, page.URL, page.Text())
			}
			if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(left) > 0 {
				t.Errorf("%d sign-ins are left, %v", len(left), err)
			}
		})
	}
}

// A step-up that another tab has completed first asks for nothing more: the code in the form
// is not checked, and the user continues.
func TestStepUpInTwoTabs(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, a := i.AddUser("ann@example.gov"), i.AddProvider("https://a.example")
	b := rememberBrowser(t, i, ann)
	if asksForCode(t, b, ann) {
		t.Fatal("the browser is not remembered")
	}
	one, two := &idptest.Request{ClassRefs: []string{aal2}}, &idptest.Request{ClassRefs: []string{aal2}}
	first, second := b.Get(a.URL(one)), b.Get(a.URL(two))
	checkPage(t, second, http.StatusOK, text("notice.step_up"))
	if page := b.GiveCode(first, ann); page.Response() == nil {
		t.Fatalf("no Response, but %d %s", page.Status, page.URL)
	}
	form := second.Form()
	form.Fields.Set("code", "000000")
	if page := b.Post(form.Action, form.Fields); page.Response() == nil {
		t.Errorf("no Response in the second tab, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
}

// Where a remembered browser does not count, no user is offered to have it remembered, and a
// form that asks for it anyway is ignored.
func TestRememberIsOfferedOnlyWhereItCounts(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, a, b := i.AddUser("ann@example.gov"), i.AddProvider("https://a.example"), i.Browser()
	page := b.GivePassword(b.Get(a.URL(&idptest.Request{ClassRefs: []string{aal2}})), ann)
	if strings.Contains(string(page.Body), `name="remember"`) {
		t.Error("the page offers to remember the browser")
	}
	if page = b.GiveCode(page, ann, "remember"); page.Response() == nil {
		t.Fatalf("no Response, but %d %s", page.Status, page.URL)
	}
	if u, err := i.Store.User(t.Context(), ann.Record.ID); err != nil || len(u.Devices) > 0 {
		t.Errorf("%d browsers are remembered, %v", len(u.Devices), err)
	}
}

// A provider that is deactivated while a user signs in does not get to ask for the password:
// the page says what happened.
func TestProviderSwitchedOffDuringSignIn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, a, b := i.AddUser("ann@example.gov"), i.AddProvider("https://a.example"), i.Browser()
	page := b.Get(a.URL(&idptest.Request{}))
	_, err := i.Registry.Edit(t.Context(), "https://a.example", func(p *idp.ServiceProvider) error {
		p.Active = false
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.GivePassword(page, ann), http.StatusBadRequest, "sp_inactive")
	if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(left) > 0 {
		t.Errorf("%d sign-ins were begun, %v", len(left), err)
	}
}

// A code is accepted as applications show it, in groups.
func TestCodeMayBeTypedInGroups(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddUser("ann@example.gov")
	for _, gap := range []string{" ", "-", "\t", "\u00a0"} {
		b := giveOnlyPassword(t, i, ann)
		code := ann.Code()
		checkPage(t, b.Post("/sign-in/code", url.Values{"code": {code[:3] + gap + code[3:]}}), http.StatusOK, text("account.sign_out"))
	}
}
