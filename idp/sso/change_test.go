package sso_test

import (
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/sp"
)

func edit(t *testing.T, i *idptest.IdP, id idp.EntityID, change func(*idp.ServiceProvider)) {
	t.Helper()
	_, err := i.Registry.Edit(t.Context(), id, func(p *idp.ServiceProvider) error {
		change(p)
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
}

// A permission that an operator withdraws between a request and its answer is not used.
func TestWithdrawnDuringSignIn(t *testing.T) {
	t.Parallel()
	const email = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	tests := []struct {
		name    string
		before  func(*idp.ServiceProvider)
		request idptest.Request
		change  func(*idptest.IdP, *idp.ServiceProvider)
		says    string
	}{
		{
			name:   "the ACS",
			change: func(_ *idptest.IdP, p *idp.ServiceProvider) { p.ACSURLs = []string{spA + "/other"} },
			says:   "AssertionConsumerServiceURL",
		},
		{
			name:    "permission to see the address",
			before:  func(p *idp.ServiceProvider) { p.NameIDFormats = []string{"persistent", "emailAddress"} },
			request: idptest.Request{Format: email},
			change:  func(_ *idptest.IdP, p *idp.ServiceProvider) { p.NameIDFormats = []string{"persistent"} },
			says:    "NameIDPolicy",
		},
		{
			name: "the certificate that verified it",
			change: func(i *idptest.IdP, p *idp.ServiceProvider) {
				p.Certs = []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.NewOtherCert().Raw}))}
			},
			says: "Signature",
		},
		{
			name:    "permission to send unsigned requests",
			before:  func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional },
			request: idptest.Request{Unsigned: true},
			change:  func(_ *idptest.IdP, p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsRequired },
			says:    "Signature",
		},
		{
			name:   "the registration's activity",
			change: func(_ *idptest.IdP, p *idp.ServiceProvider) { p.Active = false },
			says:   "Issuer",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			a := i.AddProvider(spA)
			if tt.before != nil {
				edit(t, i, spA, tt.before)
			}
			person, browser := i.AddUser("ada@example.gov"), i.Browser()
			waiting := browser.Get(a.URL(&tt.request))
			form := waiting.Form()
			form.Fields.Set("email", person.Email)
			form.Fields.Set("password", person.Password)
			page := browser.Post(form.Action, form.Fields)
			edit(t, i, spA, func(p *idp.ServiceProvider) { tt.change(i, p) })
			form = page.Form()
			form.Fields.Set("code", person.Code())
			page = browser.Post(form.Action, form.Fields)
			checkRefusal(t, page, http.StatusBadRequest, tt.says)
			if strings.Contains(page.Text(), a.ACS) || strings.Contains(page.Text(), person.Email) {
				t.Errorf("the page contains what it should not:\n%s", page.Text())
			}
		})
	}
}

func TestRemovedDuringSignIn(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	browser := i.Browser()
	waiting := browser.Get(a.URL(&idptest.Request{}))
	if err := i.Registry.Remove(t.Context(), spA, "test"); err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, browser.Get(waiting.URL.String()), http.StatusBadRequest, spA)
	checkRefusal(t, browser.Get(i.URL+"/sign-in/continue?"+waiting.URL.RawQuery), http.StatusBadRequest, spA)
}

// A sign-in that was begun before its account was locked, or before the password changed,
// cannot be completed.
func TestEndedDuringSignIn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*testing.T, *idptest.IdP, *idptest.User) error
	}{
		{"locked and unlocked", func(t *testing.T, i *idptest.IdP, p *idptest.User) error {
			if _, err := i.Accounts.Lock(t.Context(), p.Email, "test", "test"); err != nil {
				return err
			}
			return i.Accounts.Unlock(t.Context(), p.Email, "test")
		}},
		{"password changed", func(t *testing.T, i *idptest.IdP, p *idptest.User) error {
			_, err := i.Accounts.SetPassword(t.Context(), p.Email, "eleven calm badgers hum low", "test")
			return err
		}},
		{"deleted", func(t *testing.T, i *idptest.IdP, p *idptest.User) error {
			return i.Accounts.Delete(t.Context(), p.Email, "test")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			a := i.AddProvider(spA)
			person, browser := i.AddUser("ada@example.gov"), i.Browser()
			form := browser.Get(a.URL(&idptest.Request{})).Form()
			form.Fields.Set("email", person.Email)
			form.Fields.Set("password", person.Password)
			form = browser.Post(form.Action, form.Fields).Form()
			form.Fields.Set("code", person.Code())
			if err := tt.end(t, i, person); err != nil {
				t.Fatal(err)
			}
			if page := browser.Post(form.Action, form.Fields); page.Response() != nil {
				t.Error("a Response was issued")
			}
			if s, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: person.Record.ID}); err != nil || len(s) > 0 {
				t.Errorf("sessions %v, error %v; want none", s, err)
			}
		})
	}
}

// Sessions end in one tab while another asks for a Response. The tab that loses the race signs
// in again and never shows an internal error.
func TestSessionEndsInAnotherTab(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{Log: slog.NewTextHandler(io.Discard, nil)})
	a := i.AddProvider(spA)
	person := i.AddUser("ada@example.gov")
	for range 12 {
		browser := i.Browser()
		if page := signIn(browser, a, &idptest.Request{}, person); page.Response() == nil {
			t.Fatalf("no sign-in: %s", page.Text())
		}
		var wg sync.WaitGroup
		for range 4 {
			address := a.URL(&idptest.Request{})
			wg.Go(func() {
				if page := browser.Get(address); page.Status != http.StatusOK {
					t.Errorf("status %d:\n%s", page.Status, page.Text())
				}
			})
		}
		wg.Go(func() { browser.Post("/account/sign-out", nil) })
		wg.Wait()
	}
}

func TestForceAuthnAsksEveryFactorAgain(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	form := browser.Get(a.URL(&idptest.Request{})).Form()
	form.Fields.Set("email", person.Email)
	form.Fields.Set("password", person.Password)
	browser.Post(form.Action, form.Fields) // the password, for another request

	i.Clock.Advance(time.Minute)
	forced := browser.Get(a.URL(&idptest.Request{ForceAuthn: true}))
	form = browser.Get(i.URL + "/sign-in/code?" + forced.URL.RawQuery).Form() // past the password page
	form.Fields.Set("code", person.Code())
	if page := browser.Post(form.Action, form.Fields); page.Response() != nil {
		t.Error("a password typed before the request satisfied ForceAuthn")
	}
}

func TestForceAuthnInAnOldTab(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	forced := browser.Get(a.URL(&idptest.Request{ForceAuthn: true}))
	i.Clock.Advance(time.Hour)
	if page := signIn(browser, b, &idptest.Request{}, person); page.Response() == nil {
		t.Fatalf("no sign-in: %s", page.Text())
	}
	i.Clock.Advance(10 * time.Minute)
	if page := browser.Get(i.URL + "/sign-in/continue?" + forced.URL.RawQuery); page.Response() != nil {
		t.Error("a sign-in that was made for something else satisfied ForceAuthn ten minutes later")
	}
}

// A HEAD of any URL, by a link checker or a chat program, spends no request.
func TestHEADSpendsNoRequest(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	first, other := &idptest.Request{}, &idptest.Request{}
	waiting := browser.Get(a.URL(first))
	accept(t, b, other, signIn(browser, b, other, person)) // now a session would answer the first
	address := i.URL + "/sign-in/continue?" + waiting.URL.RawQuery
	browser.Head(address)
	accept(t, a, first, browser.Get(address))
}

func TestSignOutEndsWhatWasBegun(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	form := browser.Get(i.URL + "/sign-in").Form()
	form.Fields.Set("email", person.Email)
	form.Fields.Set("password", person.Password)
	browser.Post(form.Action, form.Fields)
	browser.Post("/account/sign-out", nil)
	if page := browser.Get(i.URL + "/sign-in/code"); strings.Contains(page.Text(), person.Email) {
		t.Error("the code page still knows the person after signing out")
	}
}

// Values from a user or a service provider that may be personal or secret are not logged.
func TestLogHoldsNoPersonalData(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	i := idptest.New(t, idptest.Options{Log: slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	a := i.AddProvider(spA)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{RelayState: "secret-state"}
	assertion := accept(t, a, r, signIn(browser, a, r, person))
	browser.Get(i.URL + "/nosuch/" + person.Email)
	browser.Get(i.URL + "/api/saml/auth" + string(i.Year()) + "?SAMLRequest=SECRETSECRET&RelayState=" + strings.Repeat("secret-state", 400))
	for _, secret := range []string{
		person.Email, person.Password, assertion.Subject.NameID.Value, "secret-state", "SECRETSECRET", browser.Cookies()[0].Value,
	} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
}
