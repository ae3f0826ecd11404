package signup_test

import (
	"errors"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
)

// TestSetUpShowsOneSecret checks that a reload and a second tab show the same authenticator, without
// a write, and that another sign-in gets another one.
func TestSetUpShowsOneSecret(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	page := d.register(b, email)
	secret, changes := d.secret(page), d.Changes()
	if got := d.secret(b.Get("/sign-in/set-up")); string(got) != string(secret) {
		t.Error("a reload shows another secret")
	}
	if d.Changes() != changes {
		t.Error("a GET changes the store")
	}
	other := d.Browser()
	page = other.Post("/sign-in", url.Values{"email": {email}, "password": {password}})
	if page.URL.Path != "/sign-in/set-up" || string(d.secret(page)) == string(secret) {
		t.Errorf("%d %s: another sign-in shows the same secret", page.Status, page.URL)
	}
}

// TestSetUpInTwoTabs checks that the form of a second tab, a double submit and the back button end
// where the user is signed in, with one authenticator.
func TestSetUpInTwoTabs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	page := d.register(b, email)
	code := d.code(page)
	d.setUp(b, page)
	if page := b.Post("/sign-in/set-up", url.Values{"code": {code}}); page.Status != 200 || page.URL.Path != "/account" {
		t.Errorf("%d %s", page.Status, page.URL)
	}
	if page := b.Get("/sign-in/set-up"); page.Status != 200 || page.URL.Path != "/account" {
		t.Errorf("back button: %d %s", page.Status, page.URL)
	}
	if u := d.user(email); len(u.TOTPs) != 1 {
		t.Errorf("%d authenticators", len(u.TOTPs))
	}
	if page := d.Browser().Get("/sign-in/set-up"); page.Status != 422 || page.Form().Action != "/sign-in" {
		t.Errorf("without a sign-in: %d %+v", page.Status, page.Form())
	}
}

// TestConcurrentSetUp checks that of two sign-ins that set up an authenticator, one does.
func TestConcurrentSetUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	first, second := d.Browser(), d.Browser()
	pages := []*idptest.Page{d.register(first, email), second.Post("/sign-in", url.Values{"email": {email}, "password": {password}})}
	answers := make([]*idptest.Page, 2)
	var wg sync.WaitGroup
	for i, b := range []*idptest.Browser{first, second} {
		wg.Go(func() { answers[i] = d.setUp(b, pages[i]) })
	}
	wg.Wait()
	u := d.user(email)
	if len(u.TOTPs) != 1 {
		t.Fatalf("%d authenticators", len(u.TOTPs))
	}
	won := 0
	for i, b := range []*idptest.Browser{first, second} {
		isOwn := string(u.TOTPs[0].Secret) == string(d.secret(pages[i]))
		if hasSession := b.Session() != ""; hasSession != isOwn {
			t.Errorf("sign-in %d has the authenticator: %v, session: %v (%s)", i, isOwn, hasSession, answers[i].URL)
		}
		if isOwn {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d sign-ins set up the authenticator", won)
	}
}

// TestSetUpProblems checks that wrong codes count, and what the page says about its fields.
func TestSetUpProblems(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	page := d.register(b, email)
	secret := d.secret(page)
	for _, tt := range []struct{ code, name, want string }{
		{"", "", "problem.code_missing"}, {"12", "Phone", "problem.code_format"}, {"123456", "bad\x07name", "setup.problem.name"},
	} {
		page := b.Post("/sign-in/set-up", url.Values{"code": {tt.code}, "name": {tt.name}})
		if page.Status != 422 || page.Form().Fields.Get("problem") != tt.want {
			t.Errorf("%+v: %d %v", tt, page.Status, page.Form().Fields)
		}
	}
	start := d.lastRecord()
	page = b.Post("/sign-in/set-up", url.Values{"code": {"000000"}, "name": {"Phone"}})
	if page.Status != 422 || page.Form().Fields.Get("problem") != "setup.problem.code" || page.Form().Fields.Get("name") != "Phone" || string(d.secret(page)) != string(secret) {
		t.Errorf("%d %v", page.Status, page.Form().Fields)
	}
	d.checkRecords(start, audit.CodeWrong)
	for range account.DefaultLimits().Code.Max - 1 {
		b.Post("/sign-in/set-up", url.Values{"code": {"000000"}})
	}
	page = d.setUp(b, page)
	if page.Status != 429 || d.user(email).HasSecondFactor() {
		t.Errorf("after too many codes: %d", page.Status)
	}
	d.Clock.Advance(account.DefaultLimits().Code.Window)
	if page := b.Get("/sign-in/set-up"); page.Status != 422 || page.Form().Action != "/sign-in" {
		t.Errorf("expired sign-in: %d", page.Status)
	}
}

// TestSetUpGivesMoreTime checks that a user who installs an application first can get more time.
func TestSetUpGivesMoreTime(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	page := d.register(b, email)
	for range 3 {
		d.Clock.Advance(9 * time.Minute)
		page = b.Post("/sign-in/set-up", url.Values{"more": {"yes"}, "name": {"Phone"}})
		if page.Status != 200 || page.Form().Fields.Get("notice") != "notice.more_time" || page.Form().Fields.Get("name") != "Phone" {
			t.Fatalf("%d %v", page.Status, page.Form().Fields)
		}
	}
	if page := d.setUp(b, page); page.URL.Path != "/sign-in/recovery-codes" || d.user(email).TOTPs[0].Name != "Phone" {
		t.Errorf("%d %s", page.Status, page.URL)
	}
}

// TestSetUpNeedsAccountAsItWas checks that a sign-in with only the password adds no factor once the
// account has changed.
func TestSetUpNeedsAccountAsItWas(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(d *deployment, u *idp.User) // in the store only: the moment before sessions end
		status int
	}{
		"new password":   {func(d *deployment, u *idp.User) { u.PasswordChangedAt = d.Clock.Now().Add(1) }, 0},
		"recovery codes": {func(d *deployment, u *idp.User) { u.RecoveryCodes = &idp.RecoveryCodes{Hashes: [][]byte{{1}}} }, 0},
		"factor": {func(d *deployment, u *idp.User) {
			u.TOTPs = []idp.TOTP{{Secret: []byte("12345678901234567890"), Period: 30}}
		}, 0},
		"locked": {func(d *deployment, u *idp.User) { u.LockedAt = d.Clock.Now() }, 400},
	} {
		for _, isInBetween := range []bool{false, true} {
			d := newDeployment(t, open)
			b := d.Browser()
			page := d.register(b, email)
			secret := d.secret(page)
			change := func() {
				ok(t, d.Bolt.UpdateUser(t.Context(), d.user(email).ID, func(u *idp.User) error { tt.change(d, u); return nil }))
			}
			if isInBetween {
				var once sync.Once
				d.store.before = func(op string) {
					if op == "EndSessions" { // which adds the factor
						once.Do(change)
					}
				}
			} else {
				change()
			}
			page = d.setUp(b, page)
			d.store.before = nil
			if tt.status != 0 && page.Status != tt.status {
				t.Errorf("%s: %d:\n%s", name, page.Status, page.Text())
			}
			u := d.user(email)
			if b.Session() != "" || slices.ContainsFunc(u.TOTPs, func(f idp.TOTP) bool { return string(f.Secret) == string(secret) }) {
				t.Errorf("%s (in between: %v): the factor was added: %d %s", name, isInBetween, page.Status, page.URL)
			}
		}
	}
}

// TestSetUpEndsOtherSignIns checks that a sign-in that began with the stolen password ends when the
// user sets up the authenticator.
func TestSetUpEndsOtherSignIns(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b, thief := d.Browser(), d.Browser()
	page := d.register(b, email)
	thief.Post("/sign-in", url.Values{"email": {email}, "password": {password}})
	d.setUp(b, page)
	if page := thief.Get("/sign-in/set-up"); page.Status != 422 || page.Form().Action != "/sign-in" {
		t.Errorf("%d %s %+v", page.Status, page.URL, page.Form())
	}
}

// TestSetUpForDemandingService checks that no user sets up a factor that does not satisfy the
// service provider, and that one who needs only a code does.
func TestSetUpForDemandingService(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	ann := d.AddUser("ann@example.gov")
	_, err := d.Accounts.ResetMFA(t.Context(), ann.Email, "test")
	ok(t, err)
	a := d.AddProvider("https://a.example")
	for class, want := range map[string]int{
		"http://idmanagement.gov/ns/assurance/aal/2":                         200,
		"http://idmanagement.gov/ns/assurance/aal/2?phishing_resistant=true": 400,
		"http://idmanagement.gov/ns/assurance/aal/2?hspd12=true":             400,
	} {
		b := d.Browser()
		page := b.GivePassword(b.Get(a.URL(&idptest.Request{ClassRefs: []string{class}})), ann)
		if page.Status != want || (page.Form().Action == "/sign-in/set-up") != (want == 200) {
			t.Errorf("%s: %d %s", class, page.Status, page.URL)
		}
	}
}

// TestRecoveryCodesAreShownOnce checks that a reload, a double submit and a concurrent submit do not
// replace the codes that were shown, and that a new set is made when the user asks for it.
func TestRecoveryCodesAreShownOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	form := d.setUp(b, d.register(b, email)).Form()
	answers := make([]*idptest.Page, 3)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = b.Post(form.Action, form.Fields) })
	}
	wg.Wait()
	set := d.user(email).RecoveryCodes
	var first []string
	for _, page := range answers {
		if got := codes(page); got != nil && first != nil {
			t.Fatal("two sets were shown")
		} else if got != nil {
			first = got
		} else if page.Status != 200 || page.Form().Action != form.Action {
			t.Errorf("second submit: %d", page.Status)
		}
	}
	if len(first) != account.RecoveryCodeCount || len(set.Hashes) != account.RecoveryCodeCount {
		t.Fatalf("%d codes shown, %d stored", len(first), len(set.Hashes))
	}
	again := b.Get("/sign-in/recovery-codes").Form()
	if got := codes(b.Post(again.Action, again.Fields)); len(got) != account.RecoveryCodeCount || slices.Equal(got, first) {
		t.Errorf("new set %v", got)
	}
	if got := d.user(email).RecoveryCodes; string(got.Salt) == string(set.Salt) {
		t.Error("the set was not replaced")
	}
}

// TestRecoveryCodesNeedFactor checks who can get recovery codes: only a signed-in user, soon after the
// second factor.
func TestRecoveryCodesNeedFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	page := d.register(b, email)
	form := url.Values{"set": {"none"}}
	if page := b.Post("/sign-in/recovery-codes", form); page.URL.Path != "/sign-in" || d.user(email).RecoveryCodes != nil {
		t.Errorf("with only the password: %d %s", page.Status, page.URL)
	}
	d.setUp(b, page)
	d.Clock.Advance(14 * time.Minute)
	b.Get("/account")
	d.Clock.Advance(7 * time.Minute)
	if page := b.Post("/sign-in/recovery-codes", form); page.URL.RequestURI() != "/sign-in?again=1" || d.user(email).RecoveryCodes != nil {
		t.Errorf("21 minutes after the factor: %d %s", page.Status, page.URL)
	}
}

// TestNoRecoveryCodes checks that an installation without recovery codes offers none.
func TestNoRecoveryCodes(t *testing.T) {
	t.Parallel()
	settings := open
	settings.NoRecoveryCodes = true
	d := newDeployment(t, settings)
	b := d.Browser()
	if page := d.setUp(b, d.register(b, email)); page.URL.Path != "/account" {
		t.Errorf("%d %s", page.Status, page.URL)
	}
	if page := b.Post("/sign-in/recovery-codes", url.Values{"set": {"none"}}); page.URL.Path != "/account" || d.user(email).RecoveryCodes != nil {
		t.Errorf("%d %s", page.Status, page.URL)
	}
}

// TestRegisterErrors checks the errors of package account for a caller without pages.
func TestRegisterErrors(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	ann := d.AddUser("ann@example.gov")
	event := func(idp.UserID) idp.AuditEvent { return idp.AuditEvent{} }
	if _, err := d.Accounts.Register(t.Context(), account.Registration{Email: "ANN@example.gov"}, event); !errors.Is(err, idp.ErrExists) {
		t.Errorf("taken: %v", err)
	}
	var inputErr *account.InputError
	if _, err := d.Accounts.Register(t.Context(), account.Registration{Email: "ann"}, event); !errors.As(err, &inputErr) {
		t.Errorf("invalid: %v", err)
	}
	if _, err := d.Accounts.CompleteInvitation(t.Context(), ann.Record.ID, ann.Record.LinkStamp(), account.Registration{Email: ann.Email}, idp.AuditEvent{}); !errors.Is(err, account.ErrOutdated) {
		t.Errorf("user with a password: %v", err)
	}
	if maillink.Invitation.Lifetime() <= maillink.SignUp.Lifetime() {
		t.Error("an invitation is not longer than a link that the user asked for")
	}
}
