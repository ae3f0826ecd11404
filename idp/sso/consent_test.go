package sso_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/consent"
	"vernal/idp/idptest"
	"vernal/idp/sso"
)

// asks makes the service provider ask for consent, as it does by default outside of tests.
func asks(p *idp.ServiceProvider) { p.Consent = idp.ConsentAsk }

// checkAsked checks that the page asks for consent, and returns its form.
func checkAsked(t *testing.T, page *idptest.Page) idptest.Form {
	t.Helper()
	form := page.Form()
	if page.Status != http.StatusOK || form.Action != sso.ConsentPath || form.Fields.Get("shown") == "" || page.Response() != nil {
		t.Fatalf("no consent page, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	return form
}

// agree agrees on the consent page and returns the next page.
func agree(t *testing.T, b *idptest.Browser, page *idptest.Page) *idptest.Page {
	t.Helper()
	form := checkAsked(t, page)
	return b.Post(form.Action, form.Fields)
}

// lastConsent returns the detail "consent" of the last sign-in, and checks its record.
func lastConsent(t *testing.T, i *idptest.IdP) string {
	t.Helper()
	records, err := audit.Records(t.Context(), i.Store, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range slices.Backward(records) {
		if rec.Kind == idp.AuditSignIn && rec.Outcome == "ok" {
			if err := audit.AssertionIssued.CheckRecord(&rec); err != nil {
				t.Error(err)
			}
			return rec.Detail["consent"]
		}
	}
	t.Fatal("no sign-in is recorded")
	return ""
}

// loadService returns the user's record of a service provider.
func loadService(t *testing.T, i *idptest.IdP, person *idptest.User, sp idp.EntityID) *idp.ConnectedService {
	t.Helper()
	u, err := i.Store.User(t.Context(), person.Record.ID)
	if err != nil {
		t.Fatal(err)
	}
	return u.Service(sp)
}

// changeUser changes the user's record behind the pages.
func changeUser(t *testing.T, i *idptest.IdP, person *idptest.User, change func(*idp.User)) {
	t.Helper()
	err := i.Store.UpdateUser(t.Context(), person.Record.ID, func(u *idp.User) error { change(u); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// withdraw withdraws the consent for a service provider as the account page does.
func withdraw(i *idptest.IdP, sp idp.EntityID) func(*idp.User) {
	return func(u *idp.User) {
		s := u.Service(sp)
		s.WithdrawnAt, s.Attributes = i.Clock.Now(), nil
	}
}

// A user is asked for each reason once, and then not again.
func TestConsentIsAskedForEachReason(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks, func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	plain, proofed := []string{"urn:acr.login.gov:auth-only", aal2}, []string{verified, aal2}
	steps := []struct {
		reason     consent.Reason
		before     func()
		classRefs  []string
		attributes []string // agreed to afterwards
	}{
		{consent.First, func() {}, plain, []string{"email"}},
		{consent.Grown, func() {
			p.Edit(func(p *idp.ServiceProvider) { p.Attributes = []string{"email", "all_emails", "ssn", "locale", "phone"} })
		}, plain, []string{"email", "all_emails"}},
		{consent.Grown, func() {
			proof(t, i, person, &idp.Profile{Level: idp.IALVerified, VerifiedAt: i.Clock.Now(), FirstName: "Ada", LastName: "Byron", SSN: "900-11-2222"})
		}, proofed, []string{"email", "all_emails", "ssn", "phone"}},
		{consent.Reproofed, func() {
			i.Clock.Advance(time.Hour)
			proof(t, i, person, &idp.Profile{Level: idp.IALVerified, VerifiedAt: i.Clock.Now(), FirstName: "Ada", LastName: "King", SSN: "900-11-2222"})
		}, proofed, []string{"email", "all_emails", "ssn", "phone"}},
		{consent.Expired, func() {
			changeUser(t, i, person, func(u *idp.User) { u.Service(spA).ConsentAt = i.Clock.Now().Add(-consent.Lifetime) })
		}, plain, []string{"email", "all_emails", "ssn", "phone"}},
		{consent.Withdrawn, func() { changeUser(t, i, person, withdraw(i, spA)) }, plain, []string{"email", "all_emails"}},
	}
	for _, step := range steps {
		step.before()
		i.Clock.Advance(time.Second)
		r := &idptest.Request{ClassRefs: step.classRefs}
		page := browser.Get(p.URL(r))
		if _, ok := page.Form().Fields["password"]; ok {
			page = browser.SignIn(page, person)
		} else if _, ok := page.Form().Fields["code"]; ok {
			page = browser.GiveCode(page, person)
		}
		accept(t, p, r, agree(t, browser, page))
		if got := lastConsent(t, i); got != string(step.reason) {
			t.Errorf("recorded %q, want %q", got, step.reason)
		}
		s := loadService(t, i, person, spA)
		if !slices.Equal(s.Attributes, step.attributes) || !s.ConsentAt.Equal(i.Clock.Now()) || !s.WithdrawnAt.IsZero() {
			t.Errorf("after %s: %+v", step.reason, s)
		}
		again := &idptest.Request{ClassRefs: step.classRefs}
		accept(t, p, again, browser.Get(p.URL(again)))
		if got := lastConsent(t, i); got != "" {
			t.Errorf("after %s, the next sign-in is recorded with %q", step.reason, got)
		}
	}
}

// A user who is known by an imported NameID has not agreed to anything.
func TestImportedNameIDIsNoConsent(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	result, err := i.Accounts.Import(t.Context(), []account.ImportLine{{Line: 1, Record: account.Record{
		Emails: []account.RecordEmail{{Address: person.Email, Confirmed: true}}, NameIDs: map[string]idp.NameID{spA: "known"},
	}}}, account.ImportOptions{}, "test")
	if err != nil || result.ExtendedCount != 1 {
		t.Fatal(result, err)
	}
	r := &idptest.Request{}
	a := accept(t, p, r, agree(t, browser, signIn(browser, p, r, person)))
	if a.Subject.NameID.Value != "known" || lastConsent(t, i) != string(consent.First) {
		t.Errorf("NameID %q, consent %q", a.Subject.NameID.Value, lastConsent(t, i))
	}
}

// No one is asked if the registration or the installation does not want it. The visits are recorded
// all the same, once a day.
func TestConsentCanBeOff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		users   account.Settings
		value   string
		isAsked bool
	}{
		{"asked", account.Settings{}, idp.ConsentAsk, true},
		{"registration of an earlier version", account.Settings{}, "", true},
		{"registration", account.Settings{}, idp.ConsentNone, false},
		{"installation", account.Settings{NoConsent: true}, idp.ConsentAsk, false},
		{"both", account.Settings{NoConsent: true}, idp.ConsentNone, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{Users: tt.users})
			p := i.AddProvider(spA)
			err := updateProvider(t, i, spA, func(p *idp.ServiceProvider) { p.Consent = tt.value })
			if err != nil {
				t.Fatal(err)
			}
			person, browser := i.AddUser("ada@example.gov"), i.Browser()
			r := &idptest.Request{}
			page := signIn(browser, p, r, person)
			if tt.isAsked {
				page = agree(t, browser, page)
			}
			accept(t, p, r, page)
			first := i.Clock.Now()
			s := loadService(t, i, person, spA)
			if s == nil || !s.FirstAt.Equal(first) || !s.LastAt.Equal(first) || s.ConsentAt.IsZero() == tt.isAsked || (len(s.Attributes) > 0) != tt.isAsked {
				t.Errorf("recorded %+v", s)
			}
			// A warm sign-in is one write.
			i.Clock.Advance(time.Minute)
			before := i.Changes()
			r = &idptest.Request{}
			accept(t, p, r, browser.Get(p.URL(r)))
			if n := i.Changes() - before; n != 1 {
				t.Errorf("%d changes", n)
			}
			if s := loadService(t, i, person, spA); !s.LastAt.Equal(first) {
				t.Error("the user was written within a day")
			}
		})
	}
}

// updateProvider changes a registration without the registry's rules, as an earlier version wrote it.
func updateProvider(t *testing.T, i *idptest.IdP, id idp.EntityID, change func(*idp.ServiceProvider)) error {
	t.Helper()
	_, err := i.Store.UpdateProvider(t.Context(), idp.ProviderUpdate{ID: id, Change: func(p *idp.ServiceProvider) error { change(p); return nil }})
	if err == nil {
		_, err = i.Registry.Reload(t.Context(), id)
	}
	return err
}

// The page shows each value that is then disclosed, and no other. Opening it changes nothing.
func TestConsentShowsWhatIsDisclosed(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks, func(p *idp.ServiceProvider) {
		p.IAL, p.Agency = idp.IALVerified, "Department of Parks"
		p.Attributes = []string{"email", "first_name", "last_name", "address1", "city", "state", "zipcode", "dob", "ssn", "ascii"}
	})
	i.AddProvider(spB, func(p *idp.ServiceProvider) { p.Agency, p.Name = "Department of Parks", "Campsites" })
	i.AddProvider("https://c.example", func(p *idp.ServiceProvider) { p.Agency, p.Name = "Department of Roads", "Tolls" })
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	proof(t, i, person, &idp.Profile{
		Level: idp.IALVerified, VerifiedAt: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC), FirstName: "Zoë", MiddleName: "Undisclosed", LastName: "Byron",
		Address1: "1 First St", Address2: "Undisclosed", City: "Townsville", State: "ZZ", Zipcode: "99999", DOB: "1990-02-28", SSN: "900-11-2222", Phone: "+12025550123",
	})
	r := &idptest.Request{ClassRefs: []string{verified, aal2}}
	page := signIn(browser, p, r, person)
	form := checkAsked(t, page)
	for _, want := range []string{"ada@example.gov", "Zoe Byron", "1 First St", "Townsville ZZ 99999", "900-11-2222", "Department of Parks", "Campsites"} {
		if !strings.Contains(page.Text(), want) {
			t.Errorf("the page does not show %q:\n%s", want, page.Text())
		}
	}
	for _, secret := range []string{"Undisclosed", "Zoë", "555", "Tolls"} {
		if strings.Contains(page.Text(), secret) {
			t.Errorf("the page shows %q", secret)
		}
	}
	if !strings.Contains(string(page.Body), spA+"/home") {
		t.Error("there is no way back to the service provider")
	}
	before := i.Changes()
	for range 2 {
		if again := checkAsked(t, browser.Get(page.URL.String())); again.Fields.Get("shown") != form.Fields.Get("shown") {
			t.Error("a reload shows something else")
		}
	}
	browser.Head(page.URL.String())
	if n := i.Changes() - before; n != 0 {
		t.Errorf("opening the page made %d changes", n)
	}
	a := accept(t, p, r, browser.Post(form.Action, form.Fields))
	if attribute(a, "first_name") != "Zoe" || attribute(a, "ssn") != "900-11-2222" || attribute(a, "phone") != "" {
		t.Errorf("disclosed: %v", a.AttributeStatements)
	}
	want := []string{"email", "first_name", "last_name", "address1", "city", "state", "zipcode", "dob", "ssn"}
	if s := loadService(t, i, person, spA); !slices.Equal(s.Attributes, want) {
		t.Errorf("agreed to %q, want %q", s.Attributes, want)
	}
	checkRefusal(t, browser.Get(page.URL.String()), http.StatusBadRequest, "already_used") // the back button
	checkRefusal(t, browser.Post(form.Action, form.Fields), http.StatusBadRequest, "already_used")
}

// An email address as the NameID is data, even without the attribute.
func TestEmailNameIDNeedsConsent(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks, func(p *idp.ServiceProvider) {
		p.NameIDFormats, p.Attributes, p.ReturnToSPURL = []string{idp.NameIDFormatPersistent, idp.NameIDFormatEmail}, nil, ""
	})
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	plain := &idptest.Request{Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"}
	page := signIn(browser, p, plain, person)
	if !strings.Contains(string(page.Body), `href="/account"`) {
		t.Error("without a URL of the service provider, there is no way out")
	}
	accept(t, p, plain, agree(t, browser, page))
	if s := loadService(t, i, person, spA); len(s.Attributes) != 0 || s.ConsentAt.IsZero() {
		t.Errorf("recorded %+v", s)
	}
	named := &idptest.Request{Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}
	page = browser.Get(p.URL(named))
	if !strings.Contains(page.Text(), "ada@example.gov") {
		t.Error("the page does not show the email address")
	}
	accept(t, p, named, agree(t, browser, page))
	if s := loadService(t, i, person, spA); !slices.Equal(s.Attributes, []string{"email"}) || lastConsent(t, i) != string(consent.Grown) {
		t.Errorf("recorded %+v, consent %s", s, lastConsent(t, i))
	}
}

// The email address that the user chose for a service provider is shown and disclosed, as long as
// it is confirmed.
func TestChosenEmailIsDisclosed(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{}
	accept(t, p, r, agree(t, browser, signIn(browser, p, r, person)))
	for _, tt := range []struct {
		isConfirmed bool
		want        string
	}{{true, "home@example.org"}, {false, "ada@example.gov"}} {
		changeUser(t, i, person, func(u *idp.User) {
			u.Emails = append(u.Emails[:1], idp.Email{Address: "home@example.org"})
			if tt.isConfirmed {
				u.Emails[1].ConfirmedAt = i.Clock.Now()
			}
			u.Service(spA).Email = "HOME@example.org"
		})
		r := &idptest.Request{}
		if got := attribute(accept(t, p, r, browser.Get(p.URL(r))), "email"); got != tt.want {
			t.Errorf("disclosed %q, want %q", got, tt.want)
		}
	}
}

// A form counts only for what its page showed. If that changed, the page is shown again.
func TestConsentCountsForWhatWasShown(t *testing.T) {
	t.Parallel()
	home := func(i *idptest.IdP) idp.Email {
		return idp.Email{Address: "home@example.org", ConfirmedAt: i.Clock.Now()}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values)
	}{
		{"more attributes", func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values) {
			p.Edit(func(p *idp.ServiceProvider) { p.Attributes = []string{"email", "all_emails"} })
		}},
		{"another value", func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values) {
			changeUser(t, i, person, func(u *idp.User) {
				u.Emails = append([]idp.Email{home(i)}, u.Emails...)
				u.Emails[1].ConfirmedAt = time.Time{}
			})
		}},
		{"another reason", func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values) {
			changeUser(t, i, person, func(u *idp.User) { u.Services = []idp.ConnectedService{{SP: spA, WithdrawnAt: i.Clock.Now()}} })
		}},
		{"not ours", func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values) {
			form.Set("shown", "invented")
		}},
		{"missing", func(t *testing.T, i *idptest.IdP, p *idptest.Provider, person *idptest.User, form url.Values) {
			form.Del("shown")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			p := i.AddProvider(spA, asks)
			person, browser := i.AddUser("ada@example.gov"), i.Browser()
			r := &idptest.Request{}
			form := checkAsked(t, signIn(browser, p, r, person))
			tt.change(t, i, p, person, form.Fields)
			page := browser.Post(form.Action, form.Fields)
			if again := checkAsked(t, page); again.Fields.Get("shown") == form.Fields.Get("shown") {
				t.Error("the page shows the same")
			}
			if s := loadService(t, i, person, spA); s != nil && !s.ConsentAt.IsZero() {
				t.Errorf("recorded %+v", s)
			}
			accept(t, p, r, agree(t, browser, page))
		})
	}
}

// The form of another request, user or browser is worth nothing.
func TestConsentIsBoundToRequestUserAndBrowser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA, asks), i.AddProvider(spB, asks)
	ada, eve := i.AddUser("ada@example.gov"), i.AddUser("eve@example.gov")
	browser, other := i.Browser(), i.Browser()
	one, two, three := &idptest.Request{}, &idptest.Request{}, &idptest.Request{}
	pageOne := signIn(browser, a, one, ada)
	formOne, formTwo := checkAsked(t, pageOne), checkAsked(t, browser.Get(b.URL(two)))
	formEve := checkAsked(t, signIn(other, a, three, eve))

	swapped := url.Values{"request": formOne.Fields["request"], "shown": formTwo.Fields["shown"]}
	checkAsked(t, browser.Post(sso.ConsentPath, swapped)) // another request of the same user
	swapped.Set("shown", formEve.Fields.Get("shown"))
	checkAsked(t, browser.Post(sso.ConsentPath, swapped))
	checkRefusal(t, other.Post(sso.ConsentPath, formOne.Fields), http.StatusBadRequest, "other_browser")
	checkRefusal(t, i.Browser().Get(pageOne.URL.String()), http.StatusBadRequest, "other_browser")
	checkRefusal(t, browser.Post(sso.ConsentPath, url.Values{"shown": formOne.Fields["shown"]}), http.StatusBadRequest)
	checkRefusal(t, browser.CrossSitePost(sso.ConsentPath, formOne.Fields), http.StatusForbidden)
	if loadService(t, i, ada, spA) != nil || loadService(t, i, eve, spA) != nil {
		t.Error("a consent was recorded")
	}

	// Another user signs in to the same browser. They are asked, and get nothing from what the
	// first one saw.
	page := browser.SignIn(browser.Get("/sign-in?request="+formOne.Fields.Get("request")), eve)
	form := checkAsked(t, page)
	if form.Fields.Get("shown") == formOne.Fields.Get("shown") || strings.Contains(page.Text(), ada.Email) {
		t.Error("another user is shown the same")
	}
	checkAsked(t, browser.Post(sso.ConsentPath, formOne.Fields))
	if got := attribute(accept(t, a, one, browser.Post(form.Action, form.Fields)), "email"); got != eve.Email {
		t.Errorf("disclosed %q", got)
	}
	if loadService(t, i, ada, spA) != nil {
		t.Error("the first user's consent was recorded")
	}
}

// Two tabs ask the same. The consent of the first one answers both.
func TestConsentInTwoTabs(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	one, two, three := &idptest.Request{}, &idptest.Request{}, &idptest.Request{}
	pageOne := signIn(browser, p, one, person)
	pageTwo, pageThree := browser.Get(p.URL(two)), browser.Get(p.URL(three))
	accept(t, p, one, agree(t, browser, pageOne))
	accept(t, p, two, agree(t, browser, pageTwo)) // its button
	if got := lastConsent(t, i); got != "" {
		t.Errorf("the second tab is recorded with consent %q", got)
	}
	accept(t, p, three, browser.Get(pageThree.URL.String())) // its reload
}

// A double click, or ten, is answered once and leaves one consent.
func TestConsentIsTakenOnce(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{}
	form := checkAsked(t, signIn(browser, p, r, person))
	var pages [10]*idptest.Page
	var wg sync.WaitGroup
	for n := range pages {
		wg.Go(func() { pages[n] = browser.Post(form.Action, form.Fields) })
	}
	wg.Wait()
	answers := 0
	for _, page := range pages {
		if page.Response() != nil {
			answers++
		} else if page.Status != http.StatusBadRequest {
			t.Errorf("status %d", page.Status)
		}
	}
	if answers != 1 {
		t.Errorf("%d answers", answers)
	}
}

// A request that forbids asking the user is answered NoPassive until the user has agreed, and a
// request that forces a sign-in asks for consent after it.
func TestConsentOfPassiveAndForcedRequests(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	plain := &idptest.Request{}
	accept(t, a, plain, signIn(browser, a, plain, person))
	silent := &idptest.Request{IsPassive: true}
	if page := browser.Get(b.URL(silent)); !strings.Contains(string(page.Response()), "NoPassive") || strings.Contains(string(page.Response()), "Assertion>") {
		t.Errorf("want NoPassive, got %d:\n%s", page.Status, page.Text())
	}
	silent = &idptest.Request{IsPassive: true}
	if page := browser.CrossSitePost("/api/saml/auth"+string(i.Year()), b.Form(silent)); !strings.Contains(string(page.Response()), "NoPassive") {
		t.Errorf("by POST: want NoPassive, got %d:\n%s", page.Status, page.Text())
	}
	i.Clock.Advance(time.Minute)
	forced := &idptest.Request{ForceAuthn: true}
	accept(t, b, forced, agree(t, browser, browser.SignIn(browser.Get(b.URL(forced)), person)))
	silent = &idptest.Request{IsPassive: true}
	accept(t, b, silent, browser.Get(b.URL(silent)))
}

// The consent comes last: after a second factor that the request needs, and not for a user whom the
// request does not mean.
func TestConsentComesLast(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA), i.AddProvider(spB, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	plain := &idptest.Request{}
	accept(t, a, plain, browser.GiveCode(browser.GivePassword(browser.Get(a.URL(plain)), person), person, "remember"))
	browser.Post("/account/sign-out", nil)
	plain = &idptest.Request{}
	accept(t, a, plain, browser.GivePassword(browser.Get(a.URL(plain)), person))

	more := &idptest.Request{ClassRefs: []string{aal2}}
	page := browser.Get(b.URL(more))
	waitsAt := sso.ConsentPath + "?" + page.URL.RawQuery
	if page := browser.Get(waitsAt); page.Form().Action == sso.ConsentPath {
		t.Error("asks for consent before the code")
	}
	accept(t, b, more, agree(t, browser, browser.GiveCode(page, person)))

	other := &idptest.Request{Subject: `<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">someone-else</saml:NameID>`}
	changeUser(t, i, person, withdraw(i, spB))
	checkRefusal(t, browser.Get(b.URL(other)), http.StatusBadRequest, "subject")
}

// What happens to the session or the account while the page is open counts.
func TestSessionEndsBeforeConsent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*testing.T, *idptest.IdP, *idptest.Browser, *idptest.User)
	}{
		{"signed out", func(_ *testing.T, _ *idptest.IdP, b *idptest.Browser, _ *idptest.User) {
			b.Post("/account/sign-out", nil)
		}},
		{"idle", func(_ *testing.T, i *idptest.IdP, _ *idptest.Browser, _ *idptest.User) {
			i.Clock.Advance(16 * time.Minute)
		}},
		{"locked", func(t *testing.T, i *idptest.IdP, _ *idptest.Browser, person *idptest.User) {
			if _, err := i.Accounts.Lock(t.Context(), person.Email, "test", "test"); err != nil {
				t.Error(err)
			}
		}},
		{"deleted", func(t *testing.T, i *idptest.IdP, _ *idptest.Browser, person *idptest.User) {
			if err := i.Accounts.Delete(t.Context(), person.Email, "test"); err != nil {
				t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			p := i.AddProvider(spA, asks)
			person, browser := i.AddUser("ada@example.gov"), i.Browser()
			r := &idptest.Request{}
			form := checkAsked(t, signIn(browser, p, r, person))
			tt.end(t, i, browser, person)
			page := browser.Post(form.Action, form.Fields)
			if _, ok := page.Form().Fields["password"]; !ok || page.Response() != nil {
				t.Errorf("want the sign-in page, got %d %s", page.Status, page.URL)
			}
		})
	}
	t.Run("the request expired", func(t *testing.T) {
		t.Parallel()
		i := idptest.New(t, idptest.Options{})
		p := i.AddProvider(spA, asks)
		person, browser := i.AddUser("ada@example.gov"), i.Browser()
		form := checkAsked(t, signIn(browser, p, &idptest.Request{}, person))
		i.Clock.Advance(25 * time.Hour)
		checkRefusal(t, browser.Post(form.Action, form.Fields), http.StatusBadRequest)
	})
	t.Run("inactive service provider", func(t *testing.T) {
		t.Parallel()
		i := idptest.New(t, idptest.Options{})
		p := i.AddProvider(spA, asks)
		person, browser := i.AddUser("ada@example.gov"), i.Browser()
		form := checkAsked(t, signIn(browser, p, &idptest.Request{}, person))
		p.Edit(func(p *idp.ServiceProvider) { p.Active = false })
		checkRefusal(t, browser.Post(form.Action, form.Fields), http.StatusBadRequest)
	})
}

// A request that the browser holds asks for consent like one in the store, in the language of the
// page.
func TestConsentOfRequestInBrowser(t *testing.T) {
	t.Parallel()
	i, _ := newFull(t)
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{RelayState: "r"}
	page := browser.SignIn(browser.CrossSitePost("/api/saml/auth"+string(i.Year())+"?locale=es", p.Form(r)), person)
	checkAsked(t, page)
	checkLanguage(t, page, "es")
	page = switchTo(t, browser, page, "fr")
	checkLanguage(t, page, "fr")
	form := checkAsked(t, page)
	answer := browser.Post(form.Action, form.Fields)
	accept(t, p, r, answer)
	if relay := answer.Form().Fields.Get("RelayState"); relay != "r" {
		t.Errorf("RelayState %q", relay)
	}
	checkRefusal(t, browser.Post(form.Action, form.Fields), http.StatusBadRequest, "already_used")
	again := &idptest.Request{}
	accept(t, p, again, browser.CrossSitePost("/api/saml/auth"+string(i.Year()), p.Form(again)))
}

// The write decides again about the user's record: a consent that is withdrawn, or an email address
// that is replaced, after the decision is not used.
func TestConsentIsDecidedAgainInTheWrite(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*idptest.IdP, *idp.User){
		"withdrawn": func(i *idptest.IdP, u *idp.User) { withdraw(i, spA)(u) },
		"another email address": func(i *idptest.IdP, u *idp.User) {
			u.Emails = append(u.Emails, idp.Email{Address: "home@example.org", ConfirmedAt: i.Clock.Now()})
			u.Service(spA).Email = "home@example.org"
		},
	}
	for name, change := range changes {
		for _, isAsked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				i, store := newBetween(t)
				p := i.AddProvider(spA, asks)
				person, browser := i.AddUser("ada@example.gov"), i.Browser()
				r := &idptest.Request{}
				accept(t, p, r, agree(t, browser, signIn(browser, p, r, person)))
				if isAsked {
					i.Clock.Advance(consent.Lifetime)
				}
				r = &idptest.Request{}
				page := browser.Get(p.URL(r))
				if isAsked {
					page = browser.SignIn(page, person)
				}
				r = &idptest.Request{}
				meanwhile := func() { changeUser(t, i, person, func(u *idp.User) { change(i, u) }) }
				store.issuing.Store(&meanwhile)
				if isAsked {
					form := checkAsked(t, page)
					page = browser.Post(form.Action, form.Fields)
					checkAsked(t, page)
				} else if page = browser.Get(p.URL(r)); name == "withdrawn" {
					checkAsked(t, page)
				} else if got := attribute(accept(t, p, r, page), "email"); got != "home@example.org" {
					t.Errorf("disclosed %q", got)
				}
				if store.issuing.Load() != nil {
					t.Error("nothing happened between decision and write")
				}
			})
		}
	}
}

// failing is a store that cannot write an issuance.
type failing struct {
	idp.OwnedStore
	isOn bool
}

func (f *failing) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	if f.isOn {
		return idp.IssuedIDs{}, errors.Join(idp.ErrNotWritten, errors.New("no space left on device"))
	}
	return f.OwnedStore.RecordIssuance(ctx, i)
}

// A consent whose write fails is not recorded, and the user can agree again.
func TestFailedWriteLeavesNoConsent(t *testing.T) {
	t.Parallel()
	store := &failing{isOn: true}
	i := idptest.New(t, idptest.Options{WrapStore: func(s idp.OwnedStore) idp.OwnedStore { store.OwnedStore = s; return store }})
	p := i.AddProvider(spA, asks)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	r := &idptest.Request{}
	form := checkAsked(t, signIn(browser, p, r, person))
	if page := browser.Post(form.Action, form.Fields); page.Status != http.StatusServiceUnavailable || page.Response() != nil {
		t.Errorf("status %d", page.Status)
	}
	if s := loadService(t, i, person, spA); s != nil {
		t.Errorf("recorded %+v", s)
	}
	store.isOn = false
	accept(t, p, r, browser.Post(form.Action, form.Fields))
}
