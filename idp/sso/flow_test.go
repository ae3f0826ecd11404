package sso_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/idp"
	"vernal/idp/idptest"
)

const (
	spA = "https://a.example"
	spB = "https://b.example"
)

// accept checks the page's Response as the provider would and returns its assertion.
func accept(t *testing.T, p *idptest.Provider, r *idptest.Request, page *idptest.Page) *crewjam.Assertion {
	t.Helper()
	response := page.Response()
	if response == nil {
		t.Fatalf("no Response on the page, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	if got := page.Form().Action; got != p.ACS {
		t.Fatalf("Response is posted to %q, want %q", got, p.ACS)
	}
	a, err := p.Check(r, response)
	if err != nil {
		var invalid *crewjam.InvalidResponseError
		if errors.As(err, &invalid) {
			err = invalid.PrivateErr
		}
		t.Fatalf("service provider refuses the Response: %v\n%s", err, response)
	}
	return a
}

// signIn completes a sign-in that starts at the provider.
func signIn(b *idptest.Browser, p *idptest.Provider, r *idptest.Request, person *idptest.User) *idptest.Page {
	return b.SignIn(b.Get(p.URL(r)), person)
}

func attribute(a *crewjam.Assertion, name string) string {
	for _, s := range a.AttributeStatements {
		for _, attr := range s.Attributes {
			if attr.Name == name && len(attr.Values) == 1 {
				return attr.Values[0].Value
			}
		}
	}
	return ""
}

func checkRefusal(t *testing.T, page *idptest.Page, status int, words ...string) {
	t.Helper()
	if page.Response() != nil {
		t.Fatal("a Response was issued")
	}
	if page.Status != status {
		t.Errorf("status %d, want %d", page.Status, status)
	}
	for _, w := range words {
		if !strings.Contains(page.Text(), w) {
			t.Errorf("the page does not say %q:\n%s", w, page.Text())
		}
	}
}

func TestSignInReturnsAssertion(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()

	first := &idptest.Request{RelayState: "/deep?link=1&two=ü"}
	page := browser.Get(a.URL(first))
	if !strings.Contains(page.Text(), "Test "+spA) {
		t.Errorf("the sign-in page does not name the service provider:\n%s", page.Text())
	}
	page = browser.SignIn(page, person)
	got := accept(t, a, first, page)
	if relay := page.Form().Fields.Get("RelayState"); relay != first.RelayState {
		t.Errorf("RelayState %q, want %q", relay, first.RelayState)
	}
	nameID := got.Subject.NameID.Value
	if attribute(got, "uuid") != nameID || attribute(got, "email") != person.Email {
		t.Errorf("uuid %q, email %q; want %q, %q", attribute(got, "uuid"), attribute(got, "email"), nameID, person.Email)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action https://a.example;") {
		t.Errorf("the page may not post to the ACS: %s", csp)
	}

	second := &idptest.Request{}
	at := browser.Get(b.URL(second)) // no page in between: single sign-on
	other := accept(t, b, second, at)
	if !strings.HasPrefix(at.URL.Path, "/api/saml/auth") {
		t.Errorf("the Response is at %s: the request was stored, though it could be answered", at.URL)
	}
	if other.Subject.NameID.Value == nameID {
		t.Error("two service providers see the same NameID")
	}
	third := &idptest.Request{}
	again := accept(t, a, third, signIn(i.Browser(), a, third, person))
	if again.Subject.NameID.Value != nameID {
		t.Errorf("NameID was %q and is %q now", nameID, again.Subject.NameID.Value)
	}
}

func TestPostFromAnotherSite(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	address := "/api/saml/auth" + string(i.Year())

	first := &idptest.Request{RelayState: "r"}
	page := browser.SignIn(browser.CrossSitePost(address, a.Form(first)), person)
	accept(t, a, first, page)
	session := browser.Cookies()

	second := &idptest.Request{}
	accept(t, a, second, browser.CrossSitePost(address, a.Form(second)))
	for _, c := range session {
		for _, now := range browser.Cookies() {
			if c.Name == "vernal-session" && c.Name == now.Name && c.Value != now.Value {
				t.Error("a POST without cookies overwrote the session cookie")
			}
		}
	}

	// The same form again, as a reload of the page that posted it sends it.
	checkRefusal(t, browser.CrossSitePost(address, a.Form(second)), 400, "already")
	checkRefusal(t, i.Browser().CrossSitePost(address, a.Form(second)), 400)
}

func TestAnsweredRequestIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.SPInitiatedLoginURL = spA + "/start" })
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()

	r := &idptest.Request{}
	address := a.URL(r)
	waiting := browser.Get(address)
	resumed := browser.Get(address) // a reload before the sign-in is harmless
	if resumed.URL.String() != waiting.URL.String() {
		t.Errorf("reload led to %s, not to %s", resumed.URL, waiting.URL)
	}
	i.Clock.Advance(idp.ResubmitWindow + time.Second)
	checkRefusal(t, i.Browser().Get(address), 400, r.ID)
	accept(t, a, r, browser.SignIn(waiting, person))

	checkRefusal(t, browser.Get(address), 400, "already")
	if page := browser.Get(address); !strings.Contains(string(page.Body), spA+"/start") {
		t.Error("the page does not link to where the sign-in can start again")
	}
	checkRefusal(t, browser.Get(waiting.URL.String()), 400, "already") // the back button
	checkRefusal(t, i.Browser().Get(address), 400)

	warm := &idptest.Request{}
	address = a.URL(warm)
	accept(t, a, warm, browser.Get(address))
	checkRefusal(t, browser.Get(address), 400, "already")
	checkRefusal(t, i.Browser().Get(address), 400)
}

func TestTwoTabsSignInToTwoProviders(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	one, two := &idptest.Request{}, &idptest.Request{}
	tabOne, tabTwo := browser.Get(a.URL(one)), browser.Get(b.URL(two))
	accept(t, a, one, browser.SignIn(tabOne, person))
	accept(t, b, two, browser.SignIn(tabTwo, person))
}

// Two tabs are at the code page; the first one to finish signs in both.
func TestTwoTabsAtTheCode(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	one, two := &idptest.Request{}, &idptest.Request{}
	tabOne, tabTwo := browser.Get(a.URL(one)), browser.Get(b.URL(two))
	form := tabTwo.Form()
	form.Fields.Set("email", person.Email)
	form.Fields.Set("password", person.Password)
	tabTwo = browser.Post(form.Action, form.Fields)
	accept(t, a, one, browser.SignIn(tabOne, person))
	form = tabTwo.Form()
	form.Fields.Set("code", person.Code())
	accept(t, b, two, browser.Post(form.Action, form.Fields))
}

func TestForceAuthnAsksAgain(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()
	plain := &idptest.Request{}
	before := accept(t, a, plain, signIn(browser, a, plain, person))

	i.Clock.Advance(time.Minute)
	forced := &idptest.Request{ForceAuthn: true}
	page := browser.Get(a.URL(forced))
	if page.Response() != nil {
		t.Fatal("a live session answered a request with ForceAuthn")
	}
	after := accept(t, a, forced, browser.SignIn(page, person))
	if !after.AuthnStatements[0].AuthnInstant.After(before.AuthnStatements[0].AuthnInstant) {
		t.Error("AuthnInstant is not that of the new sign-in")
	}
}

func TestIsPassiveAsksNothing(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	browser := i.Browser()

	r := &idptest.Request{IsPassive: true, RelayState: "r"}
	page := browser.Get(a.URL(r))
	if !strings.Contains(string(page.Response()), "urn:oasis:names:tc:SAML:2.0:status:NoPassive") {
		t.Fatalf("want a Response with NoPassive, got %d:\n%s", page.Status, page.Text())
	}
	if strings.Contains(string(page.Response()), "Assertion>") || page.Form().Action != a.ACS {
		t.Error("NoPassive carries an assertion, or does not go to the ACS")
	}
	plain := &idptest.Request{}
	accept(t, a, plain, signIn(browser, a, plain, person))
	silent := &idptest.Request{IsPassive: true}
	accept(t, a, silent, browser.Get(a.URL(silent)))
	both := &idptest.Request{IsPassive: true, ForceAuthn: true}
	if page := browser.Get(a.URL(both)); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Error("IsPassive with ForceAuthn did not end in NoPassive")
	}
}

func TestEndedSessionMustSignInAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*idptest.IdP, *idptest.Browser, *idptest.User)
	}{
		{"idle for 15 minutes", func(i *idptest.IdP, _ *idptest.Browser, _ *idptest.User) {
			i.Clock.Advance(15*time.Minute + time.Second)
		}},
		{"12 hours, always in use", func(i *idptest.IdP, b *idptest.Browser, _ *idptest.User) {
			for range 12 * 6 {
				i.Clock.Advance(10 * time.Minute)
				b.Get(i.URL + "/account")
			}
		}},
		{"signed out", func(i *idptest.IdP, b *idptest.Browser, _ *idptest.User) { b.Post("/account/sign-out", nil) }},
		{"locked", func(i *idptest.IdP, _ *idptest.Browser, p *idptest.User) {
			if _, err := i.Accounts.Lock(t.Context(), p.Email, "test", "test"); err != nil {
				t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			a := i.AddProvider(spA)
			person := i.AddUser("ada@example.gov")
			browser := i.Browser()
			r := &idptest.Request{}
			accept(t, a, r, signIn(browser, a, r, person))
			tt.end(i, browser, person)
			if page := browser.Get(a.URL(&idptest.Request{})); page.Response() != nil {
				t.Error("the session still answers")
			}
		})
	}
}
