package sso_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
)

const (
	hspd12   = "http://idmanagement.gov/ns/assurance/aal/2?hspd12=true"
	phishing = "http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true"
)

// rememberBrowser signs in with password and code, has the browser remembered, and ends the
// session.
func rememberBrowser(t *testing.T, i *idptest.IdP, a *idptest.Provider, person *idptest.User) *idptest.Browser {
	t.Helper()
	browser, r := i.Browser(), &idptest.Request{}
	accept(t, a, r, browser.GiveCode(browser.GivePassword(browser.Get(a.URL(r)), person), person, "remember"))
	browser.Post("/account/sign-out", nil)
	return browser
}

// A remembered device replaces the code if the request permits it. A request for a higher
// level then asks for the code alone.
func TestRememberedDeviceReplacesCode(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser := rememberBrowser(t, i, a, person)

	r := &idptest.Request{}
	accept(t, a, r, browser.GivePassword(browser.Get(a.URL(r)), person)) // no code
	before := browser.Session()

	more := &idptest.Request{ClassRefs: []string{aal2}}
	page := browser.Get(a.URL(more))
	if _, asked := page.Form().Fields["password"]; asked || !page.Form().Fields.Has("code") {
		t.Fatalf("want the code page alone, got %s:\n%s", page.URL, page.Text())
	}
	if strings.Contains(string(page.Body), `name="remember"`) {
		t.Error("the page offers to remember a device where that does not count")
	}
	if again := browser.Get(page.URL.String()); again.Form().Action != page.Form().Action {
		t.Errorf("a reload led to %s", again.URL)
	}
	wrong := page.Form()
	wrong.Fields.Set("code", "000000")
	if bad := browser.Post(wrong.Action, wrong.Fields); bad.Status != 422 || browser.Session() != before {
		t.Errorf("a wrong code: status %d, session changed %v", bad.Status, browser.Session() != before)
	}
	accept(t, a, more, browser.GiveCode(page, person))
	if now := browser.Session(); now == before || now == "" {
		t.Error("the step-up left the session cookie as it was")
	}
	if sessions, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: person.Record.ID}); err != nil || len(sessions) != 1 || len(sessions[0].Factors) != 3 {
		t.Errorf("sessions after the step-up: %v, %v", sessions, err)
	}
	again := &idptest.Request{ClassRefs: []string{aal2}}
	accept(t, a, again, browser.Get(a.URL(again)))
	kinds := map[string]int{}
	records, err := audit.Records(t.Context(), i.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		kinds[string(rec.Kind)+" "+rec.Detail["factors"]]++
	}
	if kinds["authn password+remembered-device"] != 1 || kinds["step_up totp"] != 1 {
		t.Errorf("audit trail: %v", kinds)
	}
}

// Some requests do not accept a remembered device.
func TestRememberedDeviceIsNotEnough(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	plain := i.AddProvider(spA)
	proofing := i.AddProvider(spB, func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
	loose := i.AddProvider("https://c.example", func(p *idp.ServiceProvider) { p.AAL, p.SignRequests = idp.AAL2, idp.SignRequestsOptional })
	person := i.AddUser("ada@example.gov")
	browser := rememberBrowser(t, i, plain, person)
	tests := []struct {
		name string
		p    *idptest.Provider
		r    *idptest.Request
	}{
		{"aal/2", plain, &idptest.Request{ClassRefs: []string{aal2}}},
		{"less than is registered, by an unknown provider", loose, &idptest.Request{
			Unsigned: true, ClassRefs: []string{"urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"},
		}},
		{"ForceAuthn", plain, &idptest.Request{ForceAuthn: true}},
		{"a provider that may see proofed data", proofing, &idptest.Request{ClassRefs: []string{"urn:acr.login.gov:auth-only"}}},
	}
	for _, tt := range tests {
		page := browser.GivePassword(browser.Get(tt.p.URL(tt.r)), person)
		if _, asked := page.Form().Fields["code"]; !asked {
			t.Fatalf("%s: no code asked for, but %d %s", tt.name, page.Status, page.URL)
		}
		form := page.Form()
		form.Fields.Set("remember", "yes") // not offered
		form.Fields.Set("code", person.Code())
		accept(t, tt.p, tt.r, browser.Post(form.Action, form.Fields))
		browser.Post("/account/sign-out", nil)
	}
	u, err := i.Store.User(t.Context(), person.Record.ID)
	if err != nil || len(u.Devices) != 1 {
		t.Errorf("devices remembered: %d, %v; want the one before", len(u.Devices), err)
	}
	passive := &idptest.Request{IsPassive: true, ClassRefs: []string{aal2}}
	r := &idptest.Request{}
	accept(t, plain, r, browser.GivePassword(browser.Get(plain.URL(r)), person))
	if page := browser.Get(plain.URL(passive)); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Errorf("IsPassive for more than the session has: %d %s", page.Status, page.URL)
	}
}

// Several events make the server forget a device.
func TestDeviceIsForgotten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		forget func(i *idptest.IdP, p *idptest.User) error
	}{
		{"after 30 days", func(i *idptest.IdP, _ *idptest.User) error { i.Clock.Advance(30 * 24 * time.Hour); return nil }},
		{"password changed", func(i *idptest.IdP, p *idptest.User) error {
			p.Password = "eleven lanterns cross the old weir"
			_, err := i.Accounts.SetPassword(t.Context(), p.Email, p.Password, "test")
			return err
		}},
		{"locked and unlocked", func(i *idptest.IdP, p *idptest.User) error {
			if _, err := i.Accounts.Lock(t.Context(), p.Email, "test", "test"); err != nil {
				return err
			}
			return i.Accounts.Unlock(t.Context(), p.Email, "test")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			a := i.AddProvider(spA)
			person := i.AddUser("ada@example.gov")
			browser := rememberBrowser(t, i, a, person)
			if err := tt.forget(i, person); err != nil {
				t.Fatal(err)
			}
			page := browser.GivePassword(browser.Get(a.URL(&idptest.Request{})), person)
			if _, asked := page.Form().Fields["code"]; !asked {
				t.Errorf("no code asked for, but %d %s", page.Status, page.URL)
			}
		})
	}
	t.Run("another user's", func(t *testing.T) {
		t.Parallel()
		i := idptest.New(t, idptest.Options{})
		a := i.AddProvider(spA)
		browser := rememberBrowser(t, i, a, i.AddUser("ada@example.gov"))
		r := &idptest.Request{}
		accept(t, a, r, signIn(browser, a, r, i.AddUser("bob@example.gov")))
	})
}

// If a request asks for a factor that the user has not set up, a session with both other
// factors leads to a page that says so and links back. The user is asked for nothing else.
func TestUnavailableFactorIsExplained(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.FailureToProofURL = spA + "/not-proofed" })
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()

	page := browser.Get(a.URL(&idptest.Request{ClassRefs: []string{hspd12}}))
	if _, asked := page.Form().Fields["password"]; !asked {
		t.Fatal("something was disclosed before the password")
	}
	form := page.Form()
	form.Fields.Set("email", "nobody@example.gov")
	form.Fields.Set("password", "whatever it may be")
	if page := browser.Post(form.Action, form.Fields); page.Status != 422 {
		t.Errorf("a wrong password at the same page: status %d", page.Status)
	}
	checkRefusal(t, browser.GivePassword(page, person), 400, "PIV/CAC", "authenticator app", "factor_missing")

	r := &idptest.Request{}
	accept(t, a, r, signIn(browser, a, r, person))
	page = browser.Get(a.URL(&idptest.Request{ClassRefs: []string{phishing}}))
	checkRefusal(t, page, 400, "security key", "Back to Test "+spA)
	if body := string(page.Body); !strings.Contains(body, spA+"/home") || strings.Contains(body, "not-proofed") {
		t.Errorf("the way back is not the return address:\n%s", page.Text())
	}
	if page := browser.Get(a.URL(&idptest.Request{ClassRefs: []string{hspd12}, IsPassive: true})); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Error("a passive request was not answered silently")
	}
}

// A user without a proofed identity is sent to the service provider's help page.
func TestUnproofedUserIsSentToProvider(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) {
		p.IAL, p.FailureToProofURL = idp.IALVerified, spA+"/not-proofed"
	})
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	page := browser.GivePassword(browser.Get(a.URL(&idptest.Request{ClassRefs: []string{verified}})), person)
	checkRefusal(t, page, 400, "not_verified")
	if !strings.Contains(string(page.Body), `href="`+spA+`/not-proofed"`) {
		t.Errorf("no way to failure_to_proof_url:\n%s", page.Body)
	}
	if page := browser.Get(a.URL(&idptest.Request{ClassRefs: []string{verified}, IsPassive: true})); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Error("a passive request was not answered silently")
	}
}

// The step-up page asks a user for a factor only if a request needs it.
func TestStepUpRefusesOtherUser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	waiting := browser.Get(a.URL(&idptest.Request{ClassRefs: []string{aal2}}))
	stepUp := i.URL + "/sign-in/step-up?request=" + waiting.URL.Query().Get("request")
	if page := browser.Get(stepUp); page.URL.Path != "/sign-in" {
		t.Errorf("without a session: %s", page.URL)
	}
	if page := i.Browser().Get(stepUp); page.Status != 400 {
		t.Errorf("in another browser: status %d", page.Status)
	}
	if page := browser.Get(i.URL + "/sign-in/step-up"); page.Response() != nil || page.URL.Path != "/sign-in" {
		t.Errorf("without a request: %s", page.URL)
	}
	// A user who has only begun to sign in has no session to step up.
	browser.GivePassword(waiting, person)
	if page := browser.Get(stepUp); page.URL.Path != "/sign-in" {
		t.Errorf("with a pending sign-in: %s", page.URL)
	}
}

// The log says which parts of a request are ignored, also if the request is refused.
func TestPassedOverIsLogged(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	i := idptest.New(t, idptest.Options{Log: slog.NewJSONHandler(log, nil)})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	page := browser.Get(a.URL(&idptest.Request{ClassRefs: []string{verified, "urn:of:tomorrow", reqAttr + "email,ssn"}}))
	checkRefusal(t, browser.GivePassword(page, person), 400)
	for _, want := range []string{`"unknown_authn_contexts":["urn:of:tomorrow"]`, `"dropped":"ssn:not-registered"`} {
		if n := strings.Count(log.String(), want); n < 2 {
			t.Errorf("%s is in the log %d times, want it where the request came and where it went on:\n%s", want, n, log.String())
		}
	}
}

// A step-up proves the second factor and not the password again, so AuthnInstant remains the
// time of the password. Every assertion has its own ID, and a session has one SessionIndex at
// each SP.
func TestStepUpStatesOlderFactor(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person := i.AddUser("ada@example.gov")
	browser := rememberBrowser(t, i, a, person)
	i.Clock.Advance(time.Second)
	given := i.Clock.Now()
	r := &idptest.Request{}
	first := accept(t, a, r, browser.GivePassword(browser.Get(a.URL(r)), person))
	i.Clock.Advance(20 * time.Second)
	more := &idptest.Request{ClassRefs: []string{aal2}}
	second := accept(t, a, more, browser.GiveCode(browser.Get(a.URL(more)), person))
	for _, got := range []time.Time{first.AuthnStatements[0].AuthnInstant, second.AuthnStatements[0].AuthnInstant} {
		if !got.Equal(given) {
			t.Errorf("AuthnInstant %v, want %v, when the password was given", got, given)
		}
	}
	r = &idptest.Request{}
	atB := accept(t, b, r, browser.Get(b.URL(r)))
	index := first.AuthnStatements[0].SessionIndex
	if second.AuthnStatements[0].SessionIndex != index || atB.AuthnStatements[0].SessionIndex == index {
		t.Errorf("SessionIndex %q, then %q, and %q at another SP", index, second.AuthnStatements[0].SessionIndex, atB.AuthnStatements[0].SessionIndex)
	}
	if first.ID == second.ID || first.ID == index || second.ID == index {
		t.Errorf("assertions %q and %q with SessionIndex %q", first.ID, second.ID, index)
	}
}
