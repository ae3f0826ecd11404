package sso_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// watchedStore counts how often a profile is unsealed, and can run a function after a user's
// record was read.
type watchedStore struct {
	idp.OwnedStore
	profiles atomic.Int32
	opened   atomic.Pointer[func()] // called once
}

func (s *watchedStore) Profile(ctx context.Context, id idp.UserID) (*idp.Profile, error) {
	s.profiles.Add(1)
	return s.OwnedStore.Profile(ctx, id)
}

func (s *watchedStore) User(ctx context.Context, id idp.UserID) (*idp.User, error) {
	u, err := s.OwnedStore.User(ctx, id)
	if call := s.opened.Swap(nil); call != nil {
		(*call)()
	}
	return u, err
}

func ada(level string) *idp.Profile {
	return &idp.Profile{Level: level, VerifiedAt: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC), FirstName: "Ada", SSN: "900-11-2222"}
}

// sealedDeployment returns a provider that may ask for every attribute, and a proofed user.
func sealedDeployment(t *testing.T) (*idptest.IdP, *watchedStore, *idptest.Provider, *idptest.User) {
	t.Helper()
	s := new(watchedStore)
	i := idptest.New(t, idptest.Options{WrapStore: func(store idp.OwnedStore) idp.OwnedStore { s.OwnedStore = store; return s }})
	p := i.AddProvider(spA, func(p *idp.ServiceProvider) {
		p.IAL, p.Attributes = idp.IALFacialMatch, []string{"email", "all_emails", "first_name", "verified_at", "ssn"}
	})
	person := i.AddUser("ada@example.gov")
	proof(t, i, person, ada(idp.IALFacialMatch))
	return i, s, p, person
}

// TestProfileStaysSealed signs a proofed user in with and without attributes of the profile.
// The profile is unsealed only if the assertion contains one of them.
func TestProfileStaysSealed(t *testing.T) {
	t.Parallel()
	i, s, p, person := sealedDeployment(t)
	browser := i.Browser()
	tests := []struct {
		name  string
		refs  []string
		opens int32
		want  map[string]string
	}{
		{"nothing of identity", []string{"urn:acr.login.gov:auth-only", reqAttr + "email,first_name,ssn"}, 0,
			map[string]string{"email": "ada@example.gov", "first_name": "", "ssn": ""}},
		{"proofed, without attributes", []string{verified, reqAttr + "email"}, 0, map[string]string{"ial": verified}},
		{"proofed, and when", []string{facial, reqAttr + "verified_at"}, 0,
			map[string]string{"ial": facial, "verified_at": "2031-04-01T09:00:00Z"}},
		{"not registered", []string{verified, reqAttr + "dob,phone"}, 0, map[string]string{"ial": verified}},
		{"proofed, with a name", []string{verified, reqAttr + "first_name"}, 1, map[string]string{"first_name": "Ada", "ssn": ""}},
	}
	for n, tt := range tests {
		before := s.profiles.Load()
		req := &idptest.Request{ClassRefs: tt.refs}
		page := browser.Get(p.URL(req))
		if n == 0 {
			page = browser.SignIn(page, person)
		}
		a := accept(t, p, req, page)
		for name, want := range tt.want {
			if got := attribute(a, name); got != want {
				t.Errorf("%s: %s = %q, want %q", tt.name, name, got, want)
			}
		}
		if opens := s.profiles.Load() - before; opens != tt.opens {
			t.Errorf("%s: the profile was unsealed %d times, want %d", tt.name, opens, tt.opens)
		}
	}
	// A refusal does not unseal it either.
	proof(t, i, person, ada(idp.IALVerified))
	before := s.profiles.Load()
	checkRefusal(t, browser.Get(p.URL(&idptest.Request{ClassRefs: []string{facial, reqAttr + "first_name"}})), 400, "verified")
	if s.profiles.Load() != before {
		t.Error("a profile was unsealed for a refusal")
	}
}

// TestProfileChangeDuringSignInIsNoticed changes the profile after the user's record was read
// and before the profile is. The earlier decision is then no longer valid.
func TestProfileChangeDuringSignInIsNoticed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		after   *idp.Profile
		refused bool
	}{
		{"another level", ada(idp.IALVerified), true},
		{"taken away", nil, true},
		{"proofed again", &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Augusta"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i, s, p, person := sealedDeployment(t)
			browser := i.Browser()
			req := &idptest.Request{ClassRefs: []string{facial, reqAttr + "first_name,verified_at"}}
			accept(t, p, req, signIn(browser, p, req, person))
			change := func() { proof(t, i, person, tt.after) }
			s.opened.Store(&change)
			req = &idptest.Request{ClassRefs: req.ClassRefs}
			page := browser.Get(p.URL(req))
			if s.opened.Load() != nil {
				t.Fatal("nothing was changed")
			}
			if tt.refused {
				checkRefusal(t, page, 400, "verified")
				return
			}
			a := accept(t, p, req, page)
			if attribute(a, "first_name") != "Augusta" || attribute(a, "verified_at") != "" {
				t.Errorf("attributes of two profiles: %+v", a.AttributeStatements)
			}
		})
	}
}
