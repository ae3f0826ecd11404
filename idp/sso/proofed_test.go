package sso_test

import (
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

const (
	verified = "urn:acr.login.gov:verified"
	facial   = "urn:acr.login.gov:verified-facial-match-required"
	aal2     = "http://idmanagement.gov/ns/assurance/aal/2"
	reqAttr  = "http://idmanagement.gov/ns/requested_attributes?ReqAttr="
)

// proof sets the profile in a user's record, or removes it.
func proof(t *testing.T, i *idptest.IdP, person *idptest.User, profile *idp.Profile) {
	t.Helper()
	if err := i.Store.SetProfile(t.Context(), person.Record.ID, profile, i.Clock.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestProofingCountsWithinSession asks for a proofed identity, as a benefits portal would. The
// session stays the same throughout, because a change of the record counts at once.
func TestProofingCountsWithinSession(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, func(p *idp.ServiceProvider) {
		p.IAL, p.Attributes = idp.IALFacialMatch, []string{"email", "all_emails", "phone", "first_name", "last_name", "verified_at"}
	})
	person := i.AddUser("ada@example.gov")
	ask := func(refs ...string) *idptest.Request { return &idptest.Request{ClassRefs: refs} }
	browser := i.Browser()
	// A user without a proofed identity is refused before a code is asked for.
	checkRefusal(t, browser.GivePassword(browser.Get(p.URL(ask(verified, aal2, reqAttr+"email"))), person), 400, "verified")
	if browser.Session() != "" {
		t.Error("a refusal made a session")
	}

	proof(t, i, person, &idp.Profile{
		Level: idp.IALVerified, VerifiedAt: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC),
		FirstName: "Ada", LastName: "Byron", Phone: "+12025550123", SSN: "900-11-2222",
	})
	req := ask(verified, aal2, reqAttr+"email,phone,first_name,last_name,ssn")
	a := accept(t, p, req, signIn(browser, p, req, person))
	for name, want := range map[string]string{
		"ial": verified, "aal": aal2, "email": "ada@example.gov", "phone": "+12025550123", "first_name": "Ada", "last_name": "Byron",
		"verified_at": "2031-04-01T09:00:00Z", // removed with the rest
		"ssn":         "",                     // not registered
		"all_emails":  "",                     // not asked for
	} {
		if got := attribute(a, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if ref := a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value; ref != aal2 {
		t.Errorf("AuthnContextClassRef %q", ref)
	}
	req = ask("urn:acr.login.gov:auth-only", reqAttr+"email,first_name,all_emails")
	a = accept(t, p, req, browser.Get(p.URL(req)))
	if attribute(a, "first_name") != "" || attribute(a, "ial") != "urn:acr.login.gov:auth-only" || attribute(a, "all_emails") != "ada@example.gov" {
		t.Errorf("auth-only got %v", a.AttributeStatements)
	}

	checkRefusal(t, browser.Get(p.URL(ask(facial))), 400, "verified")
	proof(t, i, person, &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Ada"})
	req = ask(facial)
	if a = accept(t, p, req, browser.Get(p.URL(req))); attribute(a, "ial") != facial {
		t.Errorf("ial = %q", attribute(a, "ial"))
	}
	proof(t, i, person, nil)
	checkRefusal(t, browser.Get(p.URL(ask(verified))), 400, "verified")
}
