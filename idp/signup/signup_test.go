package signup_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
)

// TestRegistration walks the whole registration without a service provider: the email address, the
// mailed link, the password, the authenticator, the recovery codes and the account page.
func TestRegistration(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	if page := b.Get("/sign-in"); !slices.Contains(links(page), "/sign-up") {
		t.Error("the sign-in page has no link to sign up")
	}
	page := d.requestLink(b, b.Get("/sign-up"), "  Ada@Example.GOV ")
	if page.Status != 200 || !strings.Contains(page.Text(), "Ada@example.gov") {
		t.Fatalf("%d:\n%s", page.Status, page.Text())
	}
	if d.user(email) != nil {
		t.Fatal("the account exists before its email address is confirmed")
	}
	link := d.MailedURL(d.newestMail("Ada@example.gov"), "/sign-up/confirm")
	start := d.lastRecord()
	page = d.choosePassword(b, link, password)
	if page.URL.RequestURI() != "/sign-in/set-up" || page.Status != 200 {
		t.Fatalf("%d %s:\n%s", page.Status, page.URL, page.Text())
	}
	u := d.user(email)
	if u == nil || u.PrimaryEmail() != "Ada@example.gov" || u.Emails[0].ConfirmedAt.IsZero() || u.HasSecondFactor() || u.Lang != "en" || u.Accepted != nil {
		t.Fatalf("user %+v", u)
	}
	d.checkRecords(start, audit.Registered)
	if b.Session() != "" {
		t.Error("there is a session before the second factor")
	}
	start = d.lastRecord()
	page = d.setUp(b, page)
	if page.URL.RequestURI() != "/sign-in/recovery-codes" || b.Session() == "" {
		t.Fatalf("%d %s:\n%s", page.Status, page.URL, page.Text())
	}
	d.checkRecords(start, audit.FirstFactorAdded, audit.SignedIn)
	form := page.Form()
	start = d.lastRecord()
	page = b.Post(form.Action, form.Fields)
	d.checkRecords(start, audit.RecoveryCodesMade)
	if n := len(codes(page)); n != account.RecoveryCodeCount {
		t.Errorf("%d codes", n)
	}
	if got := page.Form().Action; got != "/account" {
		t.Errorf("the codes continue at %q", got)
	}
	if page := b.Get("/account"); page.Status != 200 || page.URL.Path != "/account" {
		t.Errorf("%d %s", page.Status, page.URL)
	}

	// The account works like any other, and a used code does not work again.
	u = d.user(email)
	other := d.Browser()
	ann := &idptest.User{Email: email, Password: password, Record: u}
	page = other.GivePassword(other.Get("/sign-in"), ann)
	if page.URL.Path != "/sign-in/code" {
		t.Fatalf("%d %s", page.Status, page.URL)
	}
	code, err := account.ComputeCode(u.TOTPs[0], d.Clock.Now())
	ok(t, err)
	if page := other.Post("/sign-in/code", url.Values{"code": {code}}); page.Status != 422 {
		t.Errorf("the code of the set-up works again: %d", page.Status)
	}
}

// TestRegistrationForService checks that a registration ends at the service provider whose request
// began it, in the browser that sent the request and in another one.
func TestRegistrationForService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		isOtherBrowser bool
		loginURL       string
		want           string
	}{
		{"same browser", false, "", ""},
		{"another browser", true, "https://a.example/login", "https://a.example/login"},
		{"another browser, no sign-in URL", true, "", "https://a.example/home"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, open)
			a := d.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.SPInitiatedLoginURL = tt.loginURL })
			b := d.Browser()
			request := &idptest.Request{}
			page := b.Get(a.URL(request))
			i := slices.IndexFunc(links(page), func(l string) bool { return strings.HasPrefix(l, "/sign-up?request=") })
			if i < 0 {
				t.Fatalf("no link to sign up for the request: %v", links(page))
			}
			d.requestLink(b, b.Get(links(page)[i]), email)
			link := d.MailedURL(d.newestMail(email), "/sign-up/confirm")
			if strings.Contains(link, "request") {
				t.Error("the request travels in the mail")
			}
			if tt.isOtherBrowser {
				b = d.Browser()
			}
			page = d.setUp(b, d.choosePassword(b, link, password))
			form := page.Form()
			if form.Action != "/sign-in/recovery-codes" {
				t.Fatalf("%d %s", page.Status, page.URL)
			}
			shown := b.Post(form.Action, form.Fields)
			if len(codes(shown)) == 0 {
				t.Fatalf("no codes: %s", shown.Text())
			}
			if tt.want != "" {
				for _, p := range []*idptest.Page{shown, page} {
					i := slices.IndexFunc(links(p), func(l string) bool { return strings.HasPrefix(l, "/sign-in/to-service?") })
					if i < 0 {
						t.Fatalf("the page does not lead to the service: %v", links(p))
					}
					// Not a redirect, which a browser blocks after a form.
					next := b.Get(links(p)[i])
					if !slices.Contains(links(next), tt.want) || !strings.HasSuffix(next.Header.Get("Refresh"), "url="+tt.want) {
						t.Errorf("the page does not lead to %s: %v", tt.want, links(next))
					}
					if other := d.Browser().Get(links(p)[i]); other.URL.Path != "/sign-in" {
						t.Errorf("a browser without a session is at %s", other.URL)
					}
				}
				return
			}
			next := shown.Form()
			page = b.Get(next.Action + "?" + next.Fields.Encode())
			if _, err := a.Check(request, page.Response()); err != nil {
				t.Errorf("%d %s: %v", page.Status, page.URL, err)
			}
		})
	}
}

// TestAnswerHidesAccounts checks that status, page and store operations are the same for an email
// address with an account. Only the mails differ.
func TestAnswerHidesAccounts(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	d.AddUser("known@example.gov")
	locked := d.AddUser("owned@example.gov")
	_, err := d.Accounts.Lock(t.Context(), locked.Email, "", "test")
	ok(t, err)
	type answer struct {
		status  int
		text    string
		ops     []string
		changes uint64
	}
	answers := map[string]answer{}
	for _, email := range []string{"other@example.gov", "known@example.gov", "owned@example.gov", "KNOWN@example.gov"} {
		b := d.Browser()
		page := b.Get("/sign-up")
		d.store.take()
		changes := d.Changes()
		got := d.requestLink(b, page, email)
		answers[email] = answer{got.Status, strings.ReplaceAll(got.Text(), email, "EMAIL"), d.store.take(), d.Changes() - changes}
	}
	want := answers["other@example.gov"]
	if want.status != 200 || len(want.ops) < 4 || want.changes < 3 {
		t.Fatalf("%+v", want)
	}
	for email, got := range answers {
		if got.status != want.status || got.text != want.text || !slices.Equal(got.ops, want.ops) || got.changes != want.changes {
			t.Errorf("%s:\n%+v\nwant\n%+v", email, got, want)
		}
	}
	mails := d.Mails()
	if len(mails) != 4 {
		t.Fatalf("%d mails", len(mails))
	}
	for _, m := range mails {
		has := strings.Contains(m.Text(), "/sign-up/confirm?token=")
		if want := slices.Contains(m.To, "other@example.gov"); has != want {
			t.Errorf("mail to %v has a link: %v", m.To, has)
		}
		if slices.Contains(m.To, "KNOWN@example.gov") {
			t.Error("a mail about an account went to an email address that is not the account's")
		}
	}
}

// TestSignUpModes checks the page for each mode, and for an installation without a mail server.
func TestSignUpModes(t *testing.T) {
	t.Parallel()
	for mode, want := range map[account.SignUpMode]struct {
		status, post int
		form         string
	}{
		account.SignUpOpen:         {200, 422, "/sign-up"},
		account.SignUpByInvitation: {200, 405, "/language"},
		"":                         {200, 405, "/language"},
		account.SignUpOff:          {404, 404, "/language"},
	} {
		d := newDeployment(t, account.Settings{SignUp: mode})
		b := d.Browser()
		page := b.Get("/sign-up")
		if page.Status != want.status || page.Form().Action != want.form {
			t.Errorf("%q: %d, form %q", mode, page.Status, page.Form().Action)
		}
		if got := b.Post("/sign-up", url.Values{}).Status; got != want.post {
			t.Errorf("%q: POST answers %d, want %d", mode, got, want.post)
		}
		if got := slices.Contains(links(b.Get("/sign-in")), "/sign-up"); got != (mode == account.SignUpOpen) {
			t.Errorf("%q: the sign-in page links to /sign-up: %v", mode, got)
		}
	}
	silent := idptest.New(t, idptest.Options{Users: open})
	if page := silent.Browser().Get("/sign-up"); page.Status != 200 || page.Form().Action != "/language" {
		t.Errorf("without a mail server: %d, form %q", page.Status, page.Form().Action)
	}
}

// TestEmailProblems checks what the first page says about an email address, and that no mail is
// sent.
func TestEmailProblems(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	for typed, want := range map[string]string{"": "problem.email_missing", "ada": "problem.email_invalid", "ada@": "problem.email_invalid", "Ada <ada@example.gov>": "problem.email_invalid"} {
		page := d.requestLink(b, b.Get("/sign-up"), typed)
		if page.Status != 422 || page.Form().Fields.Get("problem") != want || page.Form().Fields.Get("email") != typed {
			t.Errorf("%q: %d %v", typed, page.Status, page.Form().Fields)
		}
	}
	if mails := d.Mails(); len(mails) != 0 {
		t.Errorf("%d mails", len(mails))
	}
}

// TestMailsAreLimited checks that one email address gets only a few mails, whether or not it has an
// account.
func TestMailsAreLimited(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	d.AddUser("known@example.gov")
	for _, email := range []string{"other@example.gov", "known@example.gov"} {
		b := d.Browser()
		page := d.requestLink(b, b.Get("/sign-up"), email)
		start := uint64(0)
		count := 1
		for ; page.Status == 200 && count < 100; count++ {
			start = d.lastRecord()
			page = b.Post("/sign-up", page.Form().Fields) // "send again"
		}
		if page.Status != 429 || page.Header.Get("Retry-After") == "" || page.Form().Fields.Get("email") != email || page.Form().Fields.Get("sent") != "yes" {
			t.Errorf("%s: %d %v", email, page.Status, page.Form().Fields)
		}
		if max := account.DefaultLimits().MailEmail.Max; count != max+1 {
			t.Errorf("%s: limited after %d, want %d", email, count, max)
		}
		d.checkRecords(start, audit.MailThrottled)
	}
}

// TestLinkIsUsedOnce checks that opening a link and a refused password change nothing, that a link
// works once, and what a used one answers.
func TestLinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	link := d.mailLink(b, email)
	changes := d.Changes()
	for range 3 {
		if page := d.Browser().Get(link); page.Status != 200 {
			t.Fatalf("%d", page.Status)
		}
	}
	for weak, want := range map[string]string{
		"": "problem.password_missing", "short": "signup.problem.short", "passwordpassword1": "signup.problem.common",
		"xx ada@example.gov xx": "signup.problem.contains_email", "tab\tand more text": "signup.problem.characters",
		strings.Repeat("x1y2", 40): "signup.problem.long",
	} {
		page := d.choosePassword(b, link, weak)
		if page.Status != 422 || page.Form().Fields.Get("problem") != want || page.Form().Fields.Get("password") != "" {
			t.Errorf("%q: %d %v", weak, page.Status, page.Form().Fields)
		}
	}
	if got := d.Changes(); got != changes {
		t.Errorf("%d changes before the link is used", got-changes)
	}
	if page := d.choosePassword(b, link, password); page.URL.Path != "/sign-in/set-up" {
		t.Fatalf("%d %s", page.Status, page.URL)
	}
	u := d.user(email)

	// Another browser gets nothing from it, the first one continues.
	other := d.Browser()
	if page := other.Get(link); page.Status != 410 || !slices.Contains(links(page), "/sign-up") {
		t.Errorf("used link: %d %v", page.Status, links(page))
	}
	page := other.Post("/sign-up/confirm", url.Values{"token": {token(t, link)}, "password": {"another otter mends nine"}})
	if page.Status != 410 || !d.user(email).PasswordChangedAt.Equal(u.PasswordChangedAt) || d.user(email).PasswordHash != u.PasswordHash {
		t.Errorf("used link, POST: %d", page.Status)
	}
	page = b.Post("/sign-up/confirm", url.Values{"token": {token(t, link)}, "password": {password}})
	if page.Status != 200 || page.URL.Path != "/sign-in/set-up" {
		t.Errorf("second submit: %d %s", page.Status, page.URL)
	}
	if page := b.Get(link); page.Status != 200 || page.URL.Path != "/sign-in/set-up" {
		t.Errorf("link again: %d %s", page.Status, page.URL)
	}
}

// TestUnusableLinks checks that expired links, links for something else and made-up ones answer
// alike.
func TestUnusableLinks(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	expired := d.mailLink(d.Browser(), email)
	d.Clock.Advance(maillink.SignUp.Lifetime())
	made := map[string]string{"expired": token(t, expired), "empty": "", "long": strings.Repeat("x", 5000), "made up": "x"}
	for _, p := range []maillink.Purpose{maillink.ResetPassword, maillink.AddEmail, maillink.UndoPrimary, maillink.CancelDeletion} {
		tok, err := d.MailLinks.Issue(t.Context(), maillink.Link{Purpose: p, Email: email, User: "u1"})
		ok(t, err)
		made[string(p)] = tok
	}
	texts := map[string]bool{}
	for name, tok := range made {
		b := d.Browser()
		get := b.Get("/sign-up/confirm?token=" + url.QueryEscape(tok))
		post := b.Post("/sign-up/confirm", url.Values{"token": {tok}, "password": {password}})
		if get.Status != 410 || post.Status != 410 {
			t.Errorf("%s: %d, POST %d", name, get.Status, post.Status)
		}
		texts[get.Text()], texts[post.Text()] = true, true
	}
	if len(texts) != 1 {
		t.Errorf("%d different pages", len(texts))
	}
	if d.user(email) != nil {
		t.Error("an account was created")
	}
}

// TestClosedSignUp checks that links to register stop when an operator closes the registration.
func TestClosedSignUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, account.Settings{SignUp: account.SignUpByInvitation})
	tok, err := d.MailLinks.Issue(t.Context(), maillink.Link{Purpose: maillink.SignUp, Email: email})
	ok(t, err)
	page := d.Browser().Get("/sign-up/confirm?token=" + tok)
	if page.Status != 410 || slices.Contains(links(page), "/sign-up") {
		t.Errorf("%d %v", page.Status, links(page))
	}
}

// TestEmailTakenMeanwhile checks that a second link for an email address creates no second account
// and changes nothing in the first.
func TestEmailTakenMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	first, second := d.mailLink(d.Browser(), email), d.mailLink(d.Browser(), "ADA@example.gov")
	d.choosePassword(d.Browser(), first, password)
	u := d.user(email)
	b := d.Browser()
	page := d.choosePassword(b, second, "another otter mends nine")
	if page.Status != 422 || page.Form().Action != "/sign-in" || page.Form().Fields.Get("notice") != "signup.exists" {
		t.Errorf("%d %+v", page.Status, page.Form())
	}
	if got := d.user(email); got.PasswordHash != u.PasswordHash || got.ID != u.ID {
		t.Error("the account changed")
	}
	if len(b.Cookies()) != 0 {
		t.Errorf("cookies %v", b.Cookies())
	}
}

// TestConcurrentRegistrations checks that of many registrations of one email address at once, one
// creates an account.
func TestConcurrentRegistrations(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	var tokens []string
	for range 4 {
		tok, err := d.MailLinks.Issue(t.Context(), maillink.Link{Purpose: maillink.SignUp, Email: email})
		ok(t, err)
		tokens = append(tokens, tok, tok) // each form is sent twice
	}
	start := d.lastRecord()
	var wg sync.WaitGroup
	for _, tok := range tokens {
		wg.Go(func() { d.Browser().Post("/sign-up/confirm", url.Values{"token": {tok}, "password": {password}}) })
	}
	wg.Wait()
	d.checkRecords(start, audit.Registered)
}

// TestAcceptedTexts checks that an operator's texts must be accepted, and that the account records
// which ones.
func TestAcceptedTexts(t *testing.T) {
	t.Parallel()
	settings := open
	settings.Rules, settings.Privacy = map[string]string{"en": "Be kind."}, map[string]string{"en": "https://example.gov/privacy"}
	d := newDeployment(t, settings)
	b := d.Browser()
	link := d.mailLink(b, email)
	page := d.choosePassword(b, link, password, "privacy")
	if page.Status != 422 || page.Form().Fields.Get("problem") != "signup.problem.rules" || page.Form().Fields.Get("privacy") != "yes" || page.Form().Fields.Has("rules") {
		t.Fatalf("%d %v", page.Status, page.Form().Fields)
	}
	if !slices.Contains(links(page), "https://example.gov/privacy") || !strings.Contains(page.Text(), "Be kind.") {
		t.Error("the page does not show the texts")
	}
	d.choosePassword(b, link, password, "privacy", "rules")
	u := d.user(email)
	if want := settings.AcceptTexts(d.Clock.Now()); u == nil || u.Accepted == nil || u.Accepted.Rules != want.Rules || u.Accepted.Privacy != want.Privacy || u.Accepted.At.IsZero() {
		t.Errorf("%+v", u)
	}
	settings.Rules["en"] = "Be kinder."
	if settings.AcceptTexts(d.Clock.Now()).Rules == u.Accepted.Rules {
		t.Error("another text has the same version")
	}
}

// TestLanguageSwitchKeepsInput checks that the switcher of each page shows the same page with the
// input, and sends nothing.
func TestLanguageSwitchKeepsInput(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, open)
	b := d.Browser()
	form := b.Get("/sign-up").Form()
	form.Fields.Set("email", "ada@")
	form.Fields.Set("language", "fr")
	page := b.Post("/sign-up", form.Fields)
	if page.Status != 200 || page.Form().Fields.Get("email") != "ada@" {
		t.Errorf("%d %v", page.Status, page.Form().Fields)
	}
	page = d.requestLink(b, page, email)
	form = page.Form()
	form.Fields.Set("language", "es")
	if page = b.Post("/sign-up", form.Fields); page.Status != 200 || page.Form().Fields.Get("sent") != "yes" || page.Form().Fields.Get("email") != email {
		t.Errorf("%d %v", page.Status, page.Form().Fields)
	}
	if mails := d.Mails(); len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	link := d.MailedURL(d.newestMail(email), "/sign-up/confirm")
	form = b.Get(link).Form()
	form.Fields.Set("language", "fr")
	page = b.Post("/sign-up/confirm", form.Fields)
	if page.Status != 200 || page.Form().Fields.Get("token") != token(t, link) || d.user(email) != nil {
		t.Errorf("%d %v", page.Status, page.Form().Fields)
	}
	page = d.choosePassword(b, link, password)
	if got := d.user(email).Lang; got != "fr" {
		t.Errorf("language of mails %q", got)
	}
	secret := d.secret(page)
	form = page.Form()
	form.Fields.Set("name", "My phone")
	form.Fields.Set("language", "es")
	page = b.Post("/sign-in/set-up", form.Fields)
	if page.Status != 200 || page.Form().Fields.Get("name") != "My phone" || string(d.secret(page)) != string(secret) {
		t.Errorf("%d %v", page.Status, page.Form().Fields)
	}
}

// TestPromptCreate checks that a request with prompt=create begins with the registration only for a
// provider with the permission, and leaves the session of a user alone.
func TestPromptCreate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		settings account.Settings
		allowed  bool
		prompt   string
		want     string
	}{
		{"allowed", open, true, "create", "/sign-up"},
		{"by invitation", account.Settings{}, true, "create", "/sign-up"},
		{"off", account.Settings{SignUp: account.SignUpOff}, true, "create", "/sign-in"},
		{"not allowed", open, false, "create", "/sign-in"},
		{"another prompt", open, true, "login", "/sign-in"},
	} {
		d := newDeployment(t, tt.settings)
		a := d.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.AllowPromptCreate = tt.allowed })
		b := d.Browser()
		if page := b.Get(a.URL(&idptest.Request{}) + "&prompt=" + tt.prompt); page.URL.Path != tt.want || page.URL.Query().Get("request") == "" {
			t.Errorf("%s: %d %s", tt.name, page.Status, page.URL)
		}
	}
	d := newDeployment(t, open)
	a := d.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.AllowPromptCreate = true })
	b, ann := d.Browser(), d.AddUser("ann@example.gov")
	b.SignIn(b.Get("/sign-in"), ann)
	session := b.Session()
	request := &idptest.Request{}
	if _, err := a.Check(request, b.Get(a.URL(request)+"&prompt=create").Response()); err != nil || b.Session() != session {
		t.Errorf("a user with a session: %v", err)
	}
	b.Get("/sign-up")
	d.requestLink(b, b.Get("/sign-up"), email)
	b.Get(d.MailedURL(d.newestMail(email), "/sign-up/confirm"))
	if b.Session() != session || b.Get("/account").Status != 200 {
		t.Error("the pages end the session of another user")
	}
}

// TestEveryWriteMayFail makes each write of a registration fail in turn. The account is then before
// or after the change, and the same user completes the registration.
func TestEveryWriteMayFail(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("no space left on device")
	for n := 1; ; n++ {
		d := newDeployment(t, open)
		b := d.Browser()
		link := d.mailLink(b, email)
		count, failed := 0, ""
		d.store.fail = func(op string) error {
			if op == "AppendAudit" { // the record of the failure
				return nil
			}
			if count++; count == n {
				failed = op
				return errDisk
			}
			return nil
		}
		page := d.choosePassword(b, link, password)
		if page.URL.Path == "/sign-in/set-up" {
			page = d.setUp(b, page)
		}
		d.store.fail = nil
		if failed == "" {
			if n < 6 {
				t.Errorf("only %d writes", n-1)
			}
			return
		}
		u := d.user(email)
		switch {
		case page.Status != 500:
			t.Errorf("write %d (%s): %d %s", n, failed, page.Status, page.URL)
		case u != nil && (u.PasswordHash == "" || u.Emails[0].ConfirmedAt.IsZero()):
			t.Errorf("write %d (%s) leaves %+v", n, failed, u)
		}
		if u == nil {
			d.setUp(b, d.choosePassword(b, d.mailLink(b, email), password))
		} else if b = d.Browser(); !u.HasSecondFactor() {
			d.setUp(b, b.Post("/sign-in", url.Values{"email": {email}, "password": {password}}))
		} else {
			b.Post("/sign-in", url.Values{"email": {email}, "password": {password}})
			d.Clock.Advance(30 * time.Second)
			code, err := account.ComputeCode(u.TOTPs[0], d.Clock.Now())
			ok(t, err)
			b.Post("/sign-in/code", url.Values{"code": {code}})
		}
		if page := b.Get("/account"); page.URL.Path != "/account" {
			t.Errorf("after write %d (%s): %d %s", n, failed, page.Status, page.URL)
		}
	}
}
