package accounthttp_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/notify"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outbox collects the mails that the mail server would get.
type outbox struct {
	mu    sync.Mutex
	mails []notify.Mail
}

func (o *outbox) Send(_ context.Context, mails []notify.Mail) []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mails = append(o.mails, mails...)
	return make([]error, len(mails))
}

// deployment is an identity provider with a mail server and a user, who is signed in.
type deployment struct {
	*idptest.IdP
	t    *testing.T
	out  *outbox
	ann  *idptest.User
	here *idptest.Browser
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t, IdP: idptest.New(t, idptest.Options{}), out: &outbox{}}
	d.UserMails.Sender = d.out
	ok(t, d.UserMails.Tick(t.Context()))
	d.ann = d.AddUser("ann@example.gov")
	d.here, _ = signIn(t, d.IdP, d.ann)
	return d
}

func (d *deployment) user() *idp.User {
	d.t.Helper()
	u, err := d.Store.User(d.t.Context(), d.ann.Record.ID)
	ok(d.t, err)
	return u
}

// mails sends the queued mails and returns those since the last call, "recipient subject-free text".
func (d *deployment) mails() (list []notify.Mail) {
	d.t.Helper()
	ok(d.t, d.UserMails.Tick(d.t.Context()))
	list, d.out.mails = d.out.mails, nil
	return list
}

func recipients(mails []notify.Mail) (to []string) {
	for _, m := range mails {
		to = append(to, m.To)
	}
	slices.Sort(to)
	return to
}

// linkIn returns the path and query of the link in a mail, "" without one.
func (d *deployment) linkIn(m notify.Mail) string {
	return strings.TrimPrefix(regexp.MustCompile(`\S+\?token=\S+`).FindString(m.Text), d.URL)
}

// records returns the audit records since the last call.
func (d *deployment) records(after *uint64) []idp.AuditRecord {
	d.t.Helper()
	records, err := audit.Records(d.t.Context(), d.Store, *after, 1000)
	ok(d.t, err)
	if len(records) > 0 {
		*after = records[len(records)-1].Seq
	}
	return records
}

// leaves checks that do leaves exactly the records of the decisions.
func (d *deployment) leaves(do func() *idptest.Page, want ...audit.Decision) *idptest.Page {
	d.t.Helper()
	var last uint64
	d.records(&last)
	page := do()
	records := d.records(&last)
	if len(records) != len(want) {
		d.t.Fatalf("%s (%d) left %d records, want %v: %+v", page.URL, page.Status, len(records), want, records)
	}
	for n, decision := range want {
		if err := decision.CheckRecord(&records[n]); err != nil {
			d.t.Error(err)
		}
		if text := fmt.Sprintf("%+v", records[n]); strings.Contains(text, "@example") {
			d.t.Errorf("the record holds personal data: %s", text)
		}
	}
	return page
}

// wait lets time pass while the user uses the session.
func (d *deployment) wait(duration time.Duration) {
	d.t.Helper()
	for ; duration > 0; duration -= 5 * time.Minute {
		d.Clock.Advance(min(duration, 5*time.Minute))
		checkPage(d.t, d.here.Get("/account"), http.StatusOK)
	}
}

// confirm proves a factor on the page that asks for it.
func (d *deployment) confirm() {
	d.t.Helper()
	page := d.here.Get("/account/confirm?next=%2Faccount%2Ffactors")
	page = d.here.GiveCode(page, d.ann)
	if page.Status != http.StatusOK || page.URL.Path != "/account/factors" {
		d.t.Fatalf("after the code: %d %s", page.Status, page.URL)
	}
}

func form(pairs ...string) url.Values {
	values := url.Values{}
	for n := 0; n < len(pairs); n += 2 {
		values.Set(pairs[n], pairs[n+1])
	}
	return values
}

// field returns the value of a field anywhere in a page.
func field(page *idptest.Page, name string) string {
	for n := range page.Doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") == name {
			return attr(n, "value")
		}
	}
	return ""
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func checkPath(t *testing.T, page *idptest.Page, status int, path string) {
	t.Helper()
	if page.Status != status || page.URL.Path != path {
		t.Fatalf("%d %s, want %d %s:\n%s", page.Status, page.URL, status, path, page.Text())
	}
}

// forms are the forms that need a recent factor.
var forms = map[string]url.Values{
	"/account/emails":         form("email", "new@example.net"),
	"/account/emails/remove":  form("email", "second@example.net", "sure", "yes"),
	"/account/emails/primary": form("email", "second@example.net"),
	"/account/password":       form("password", "quiet otter mends nine kettles", "new_password", "plum jam on nine windows"),
	"/account/factors/add":    form("code", "123456", "sealed", "x"),
	"/account/factors/rename": form("factor", "x", "name", "phone"),
	"/account/factors/remove": form("factor", "x", "sure", "yes"),
	"/account/delete":         form("email", "ann@example.gov"),
}

func (d *deployment) addSecond() {
	d.t.Helper()
	ok(d.t, d.Store.UpdateUser(d.t.Context(), d.ann.Record.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: "second@example.net", ConfirmedAt: d.Clock.Now()})
		return nil
	}))
}

func TestChangesNeedRecentFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addSecond()
	pages := []string{"/account/emails", "/account/password", "/account/factors", "/account/factors/add", "/account/delete"}
	for _, path := range pages {
		checkPath(t, d.here.Get(path), http.StatusOK, path)
	}
	d.wait(21 * time.Minute)
	before := d.user()
	for _, path := range pages {
		page := d.here.Get(path)
		checkPath(t, page, http.StatusOK, "/account/confirm")
		if got := field(page, "next"); got != path {
			t.Errorf("next of %s is %q", path, got)
		}
	}
	for path, values := range forms {
		page := d.leaves(func() *idptest.Page { return d.here.Post(path, values) })
		checkPath(t, page, http.StatusOK, "/account/confirm")
	}
	if after := d.user(); !after.UpdatedAt.Equal(before.UpdatedAt) || len(d.mails()) > 0 {
		t.Error("a form without a recent factor changed the account")
	}
	// Only pages of the account can follow.
	for _, next := range []string{"https://evil.example/", "//evil.example", "/account/sign-out", ""} {
		if got := field(d.here.Get("/account/confirm?next="+url.QueryEscape(next)), "next"); got != "/account" {
			t.Errorf("next %q becomes %q", next, got)
		}
	}
	checkPath(t, d.here.Post("/account/confirm", form("next", "/account/emails", "code", "")), http.StatusUnprocessableEntity, "/account/confirm")
	checkPath(t, d.leaves(func() *idptest.Page {
		return d.here.Post("/account/confirm", form("next", "/account/emails", "code", "000000"))
	}, audit.CodeWrong), http.StatusUnprocessableEntity, "/account/confirm")
	old := d.here.Session()
	page := d.leaves(func() *idptest.Page { return d.here.GiveCode(d.here.Get("/account/emails"), d.ann) }, audit.SteppedUp)
	checkPath(t, page, http.StatusOK, "/account/emails")
	if d.here.Session() == old {
		t.Error("the session has the same cookie")
	}
}

// A remembered device is no recent factor, because others may use the browser.
func TestRememberedDeviceIsNoRecentFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b := d.Browser()
	b.GiveCode(b.GivePassword(b.Get("/sign-in"), d.ann), d.ann, "remember")
	b.Post("/account/sign-out", nil)
	checkPath(t, b.GivePassword(b.Get("/sign-in"), d.ann), http.StatusOK, "/account")
	checkPath(t, b.Get("/account/factors"), http.StatusOK, "/account/confirm")
}

func TestRecoveryCodeIsRecentFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes, err := d.Accounts.ReplaceRecoveryCodes(t.Context(), d.ann.Record.ID, idp.AuditEvent{Actor: "test"})
	ok(t, err)
	d.wait(21 * time.Minute)
	page := d.here.Get("/account/factors")
	checkPage(t, page, http.StatusOK, text("factors.confirm.use_recovery"))
	values := form("next", "/account/factors", "with", "recovery", "code", strings.ToLower(codes[3]))
	checkPath(t, d.here.Post("/account/confirm", values), http.StatusOK, "/account/factors")
	if got := len(d.user().RecoveryCodes.Hashes); got != len(codes)-1 {
		t.Errorf("%d codes are left", got)
	}
	checkPath(t, d.leaves(func() *idptest.Page { return d.here.Post("/account/confirm", values) }, audit.CodeWrong), http.StatusUnprocessableEntity, "/account/confirm")
}

// proposed returns the code of the authenticator that the page proposes.
func (d *deployment) proposed(page *idptest.Page) (code string) {
	d.t.Helper()
	secret := regexp.MustCompile(`secret=([A-Z2-7]+)`).FindSubmatch(page.Body)
	if secret == nil {
		d.t.Fatalf("%d %s shows no secret", page.Status, page.URL)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(secret[1]))
	ok(d.t, err)
	code, err = account.ComputeCode(idp.TOTP{Secret: raw, Period: 30}, d.Clock.Now())
	ok(d.t, err)
	return code
}

func TestFactorIsAddedRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	there, _ := signIn(t, d.IdP, d.ann)
	first := d.user().TOTPs[0].ID()

	page := d.here.Get("/account/factors/add")
	sealed := field(page, "sealed")
	wrong := d.leaves(func() *idptest.Page {
		return d.here.Post("/account/factors/add", form("sealed", sealed, "code", "000000", "name", "My phone"))
	})
	checkPath(t, wrong, http.StatusUnprocessableEntity, "/account/factors/add")
	if field(wrong, "sealed") != sealed || field(wrong, "name") != "My phone" {
		t.Error("the page after a wrong code proposes another secret, or loses the name")
	}
	es := d.here.Post("/account/factors/add", form("sealed", sealed, "name", "My phone", "language", "es"))
	if field(es, "sealed") != sealed || field(es, "name") != "My phone" {
		t.Error("the switch of the language loses the input")
	}
	d.here.Post("/account/factors/add", form("sealed", sealed, "name", "My phone", "language", "en"))
	values := form("sealed", sealed, "code", d.proposed(page), "name", " My phone ")
	page = d.leaves(func() *idptest.Page { return d.here.Post("/account/factors/add", values) }, audit.OwnFactorAdded)
	checkPath(t, page, http.StatusOK, "/account/factors")
	page = d.here.Post("/account/factors/add", values) // a second click
	if checkPath(t, page, http.StatusOK, "/account/factors"); page.URL.Query().Get("done") == "" {
		t.Error("a second click does not say that the app was added")
	}
	u := d.user()
	if len(u.TOTPs) != 2 || u.TOTPs[1].Name != "My phone" || u.TOTPs[1].LastStep == 0 {
		t.Fatalf("authenticators %+v", u.TOTPs)
	}
	checkPage(t, there.Get("/account"), http.StatusOK, text("ended.elsewhere"))
	if got := recipients(d.mails()); !slices.Contains(got, "ann@example.gov") {
		t.Errorf("mails to %v", got)
	}
	checkPath(t, d.here.Get("/account/factors/add"), http.StatusOK, "/account/factors") // it is the maximum

	second := u.TOTPs[1].ID()
	checkPath(t, d.here.Post("/account/factors/rename", form("factor", second, "name", strings.Repeat("x", 300))), http.StatusUnprocessableEntity, "/account/factors/rename")
	page = d.leaves(func() *idptest.Page {
		return d.here.Post("/account/factors/rename", form("factor", second, "name", "Tablet"))
	}, audit.FactorRenamed)
	checkPath(t, page, http.StatusOK, "/account/factors")
	checkPath(t, d.here.Post("/account/factors/rename", form("factor", "none", "name", "x")), http.StatusOK, "/account/factors")
	if got := d.user().TOTPs[1].Name; got != "Tablet" {
		t.Errorf("name %q", got)
	}

	page = d.here.Post("/account/factors/remove", form("factor", first))
	checkPage(t, page, http.StatusOK, text("factors.remove_button"))
	if len(d.user().TOTPs) != 2 {
		t.Fatal("removed without a question")
	}
	page = d.leaves(func() *idptest.Page {
		return d.here.Post("/account/factors/remove", form("factor", first, "sure", "yes"))
	}, audit.FactorRemoved)
	checkPath(t, page, http.StatusOK, "/account/factors")
	checkPath(t, d.here.Post("/account/factors/remove", form("factor", first, "sure", "yes")), http.StatusOK, "/account/factors")
	for _, sure := range []string{"", "yes"} {
		checkPage(t, d.here.Post("/account/factors/remove", form("factor", second, "sure", sure)), http.StatusUnprocessableEntity, text("factors.last_title"))
	}
	if u := d.user(); len(u.TOTPs) != 1 || u.TOTPs[0].ID() != second {
		t.Errorf("authenticators %+v", u.TOTPs)
	}
}

// A proposed authenticator belongs to its user, and cannot be added later than it was shown.
func TestProposedFactorIsBound(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	bob := d.AddUser("bob@example.gov")
	bobs, _ := signIn(t, d.IdP, bob)
	page := bobs.Get("/account/factors/add")
	values := form("sealed", field(page, "sealed"), "code", d.proposed(page))
	checkPath(t, d.here.Post("/account/factors/add", values), http.StatusUnprocessableEntity, "/account/factors/add")
	page = d.here.Get("/account/factors/add")
	sealed := field(page, "sealed")
	d.wait(time.Hour)
	d.confirm()
	values = form("sealed", sealed, "code", d.proposed(page), "name", "x")
	again := d.here.Post("/account/factors/add", values)
	checkPath(t, again, http.StatusUnprocessableEntity, "/account/factors/add")
	if field(again, "sealed") == sealed || len(d.user().TOTPs) != 1 {
		t.Error("an old proposal is accepted")
	}
}

// Of two removals at once, one is refused: a user never ends without a second factor.
func TestConcurrentRemovalsLeaveFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	page := d.here.Get("/account/factors/add")
	d.here.Post("/account/factors/add", form("sealed", field(page, "sealed"), "code", d.proposed(page)))
	var wg sync.WaitGroup
	for _, factor := range d.user().TOTPs {
		wg.Go(func() {
			c := account.OwnChange{User: d.ann.Record.ID, Event: idp.AuditEvent{Actor: "test"}}
			err := d.Accounts.RemoveTOTP(t.Context(), c, factor.ID())
			if _, isInput := errors.AsType[*account.InputError](err); err != nil && !isInput {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(d.user().TOTPs); got != 1 {
		t.Errorf("%d factors are left", got)
	}
}

func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	there, _ := signIn(t, d.IdP, d.ann)
	const password = "plum jam on nine windows"
	for _, tt := range []struct{ name, current, new string }{
		{"nothing", "", ""}, {"no current", "", password}, {"short", d.ann.Password, "short"}, {"the same", d.ann.Password, d.ann.Password},
		{"the email address", d.ann.Password, "xx ann@example.gov xx"}, {"too long", d.ann.Password, strings.Repeat("long ", 100)},
	} {
		page := d.leaves(func() *idptest.Page {
			return d.here.Post("/account/password", form("password", tt.current, "new_password", tt.new))
		})
		if page.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", tt.name, page.Status)
		}
	}
	page := d.leaves(func() *idptest.Page {
		return d.here.Post("/account/password", form("password", "wrong wrong wrong", "new_password", password))
	}, audit.PasswordWrong)
	checkPath(t, page, http.StatusUnprocessableEntity, "/account/password")
	if strings.Contains(string(page.Body), password) {
		t.Error("the page repeats a password")
	}
	before := d.user()
	d.Clock.Advance(time.Second)
	values := form("password", d.ann.Password, "new_password", password)
	d.mails() // about the sign-ins
	page = d.leaves(func() *idptest.Page { return d.here.Post("/account/password", values) }, audit.PasswordChanged)
	checkPath(t, page, http.StatusOK, "/account/password")
	if d.user().LinkStamp() == before.LinkStamp() {
		t.Error("links that were mailed before still work")
	}
	checkPath(t, d.here.Post("/account/password", values), http.StatusUnprocessableEntity, "/account/password") // a second click
	checkPage(t, there.Get("/account"), http.StatusOK, text("ended.elsewhere"))
	if got := recipients(d.mails()); !slices.Equal(got, []string{"ann@example.gov"}) {
		t.Errorf("mails to %v", got)
	}
	d.ann.Password = password
	signIn(t, d.IdP, d.ann)
}

// Guesses at the current password are limited as at the sign-in page.
func TestPasswordGuessesAreLimited(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	var page *idptest.Page
	for n := range account.DefaultLimits().AccountNetwork.Max + 1 {
		page = d.here.Post("/account/password", form("password", fmt.Sprint("wrong guess number ", n), "new_password", "plum jam on nine windows"))
	}
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", page.Status, page.Header.Get("Retry-After"))
	}
}

func TestEmailIsAddedByLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	page := d.leaves(func() *idptest.Page { return d.here.Post("/account/emails", form("email", " New@Example.NET ")) })
	checkPath(t, page, http.StatusOK, "/account/emails")
	if len(d.user().Emails) != 1 {
		t.Fatal("added before it was confirmed")
	}
	mails := d.mails()
	if got := recipients(mails); !slices.Equal(got, []string{"New@example.net"}) {
		t.Fatalf("mails to %v", got)
	}
	link := d.linkIn(mails[0])
	other := d.Browser()
	for range 2 { // a scanner, and the user
		page = d.leaves(func() *idptest.Page { return other.Get(link) })
		checkPage(t, page, http.StatusOK, "New@example.net", text("emails.confirm_button"))
	}
	if len(d.user().Emails) != 1 {
		t.Fatal("a GET added it")
	}
	checkPath(t, other.Get(strings.Replace(link, "confirm", "undo", 1)), http.StatusGone, "/account/emails/undo") // another purpose
	f := page.Form()
	page = d.leaves(func() *idptest.Page { return other.Post(f.Action, f.Fields) }, audit.EmailAdded)
	checkPage(t, page, http.StatusOK, text("emails.confirmed_title"))
	u := d.user()
	if len(u.Emails) != 2 || u.Emails[1].Address != "New@example.net" || u.Emails[1].ConfirmedAt.IsZero() {
		t.Errorf("emails %+v", u.Emails)
	}
	for _, again := range []*idptest.Page{other.Post(f.Action, f.Fields), other.Get(link), other.Get("/account/emails/confirm?token=none"), other.Get("/account/emails/confirm")} {
		checkPage(t, again, http.StatusGone, text("emails.stale_title"))
	}
	if got := recipients(d.mails()); !slices.Equal(got, []string{"New@example.net", "ann@example.gov"}) {
		t.Errorf("notices to %v", got)
	}
	for _, bad := range []string{"", "none", "ANN@example.gov", "new@example.net"} {
		page = d.here.Post("/account/emails", form("email", bad))
		if page.Status != http.StatusUnprocessableEntity || field(page, "email") == "" && bad != "" {
			t.Errorf("%q: %d", bad, page.Status)
		}
	}
}

// The answer for an email address of another account is the same, after the same number of changes.
// Its owner gets a mail without a link.
func TestTakenEmailIsNotDisclosed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddUser("bob@example.net")
	send := func(email string) (string, uint64, notify.Mail) {
		before := d.Changes()
		page := d.leaves(func() *idptest.Page { return d.here.Post("/account/emails", form("email", email)) })
		changes := d.Changes() - before
		checkPath(t, page, http.StatusOK, "/account/emails")
		mails := d.mails()
		if got := recipients(mails); !slices.Equal(got, []string{email}) {
			t.Fatalf("mails to %v", got)
		}
		return strings.ReplaceAll(page.Text(), email, "EMAIL"), changes, mails[0]
	}
	d.Clock.Advance(2 * time.Minute)
	d.here.Get("/account")
	freeText, freeChanges, free := send("eve@example.net")
	takenText, takenChanges, taken := send("bob@example.net")
	if freeText != takenText || freeChanges != takenChanges {
		t.Errorf("%d and %d changes; pages\n%s\n%s", freeChanges, takenChanges, freeText, takenText)
	}
	if d.linkIn(free) == "" || d.linkIn(taken) != "" {
		t.Errorf("links %q and %q", d.linkIn(free), d.linkIn(taken))
	}
	// It is taken only after the link was mailed.
	d.AddUser("eve@example.net")
	f := d.here.Get(d.linkIn(free)).Form()
	page := d.leaves(func() *idptest.Page { return d.here.Post(f.Action, f.Fields) })
	checkPage(t, page, http.StatusUnprocessableEntity, text("emails.taken_title"))
	if len(d.user().Emails) != 1 {
		t.Error("another user's email address was added")
	}
}

func TestNewPasswordVoidsEmailLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.here.Post("/account/emails", form("email", "new@example.net"))
	link := d.linkIn(d.mails()[0])
	f := d.here.Get(link).Form()
	d.Clock.Advance(time.Minute)
	checkPath(t, d.here.Post("/account/password", form("password", d.ann.Password, "new_password", "plum jam on nine windows")), http.StatusOK, "/account/password")
	checkPage(t, d.here.Get(link), http.StatusGone)
	checkPage(t, d.here.Post(f.Action, f.Fields), http.StatusGone)
	if len(d.user().Emails) != 1 {
		t.Error("added")
	}
}

func TestMailsForEmailsAreLimited(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	var page *idptest.Page
	for range account.DefaultLimits().MailEmail.Max {
		d.here.Post("/account/emails", form("email", "victim@example.net"))
	}
	page = d.leaves(func() *idptest.Page { return d.here.Post("/account/emails", form("email", "victim@example.net")) }, audit.MailThrottled)
	if page.Status != http.StatusTooManyRequests || len(d.mails()) != account.DefaultLimits().MailEmail.Max {
		t.Errorf("%d", page.Status)
	}
}

func TestPrimaryEmailChangesAndIsRestored(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addSecond()
	page := d.leaves(func() *idptest.Page {
		return d.here.Post("/account/emails/primary", form("email", "second@example.net"))
	}, audit.PrimaryEmailChosen)
	checkPath(t, page, http.StatusOK, "/account/emails")
	if got := d.user().PrimaryEmail(); got != "second@example.net" {
		t.Fatalf("primary %q", got)
	}
	var link string
	for _, m := range d.mails() {
		if l := d.linkIn(m); l != "" {
			if link = l; m.To != "ann@example.gov" {
				t.Errorf("the link to undo is mailed to %s", m.To)
			}
		}
	}
	// The earlier one is removed, as someone else would. It gets a notice.
	checkPage(t, d.here.Post("/account/emails/remove", form("email", "second@example.net", "sure", "yes")), http.StatusUnprocessableEntity)
	checkPage(t, d.here.Post("/account/emails/remove", form("email", "ann@example.gov")), http.StatusOK, text("emails.remove_button"))
	page = d.leaves(func() *idptest.Page {
		return d.here.Post("/account/emails/remove", form("email", "ann@example.gov", "sure", "yes"))
	}, audit.EmailRemoved)
	checkPath(t, page, http.StatusOK, "/account/emails")
	if got := recipients(d.mails()); !slices.Equal(got, []string{"ann@example.gov", "second@example.net"}) || len(d.user().Emails) != 1 {
		t.Errorf("mails to %v", got)
	}
	checkPage(t, d.here.Post("/account/emails/remove", form("email", "second@example.net", "sure", "yes")), http.StatusUnprocessableEntity)

	other := d.Browser()
	page = other.Get(link)
	checkPage(t, page, http.StatusOK, "ann@example.gov", text("emails.undo_button"))
	f := page.Form()
	page = d.leaves(func() *idptest.Page { return other.Post(f.Action, f.Fields) }, audit.PrimaryEmailRestored)
	checkPage(t, page, http.StatusOK, text("emails.undone_title"))
	if got := d.user().PrimaryEmail(); got != "ann@example.gov" || len(d.user().Emails) != 2 {
		t.Errorf("emails %+v", d.user().Emails)
	}
	checkPage(t, d.here.Get("/account"), http.StatusOK, text("ended.elsewhere"))
	checkPage(t, other.Post(f.Action, f.Fields), http.StatusGone)
}

// A link to undo a change was mailed for the account as it was: a new password voids it, so that an
// earlier owner of the mailbox cannot return.
func TestNewPasswordVoidsUndoLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addSecond()
	d.here.Post("/account/emails/primary", form("email", "second@example.net"))
	mails := d.mails()
	link := d.linkIn(mails[slices.IndexFunc(mails, func(m notify.Mail) bool { return d.linkIn(m) != "" })])
	f := d.here.Get(link).Form()
	d.Clock.Advance(time.Minute)
	_, err := d.Accounts.SetPassword(t.Context(), d.ann.Email, "plum jam on nine windows", "test")
	ok(t, err)
	checkPage(t, d.here.Get(link), http.StatusGone)
	checkPage(t, d.here.Post(f.Action, f.Fields), http.StatusGone)
	if got := d.user().PrimaryEmail(); got != "second@example.net" {
		t.Errorf("primary %q", got)
	}
}

// An email address that is not confirmed may belong to anyone: it never becomes the primary one and
// gets no link to undo a change.
func TestUnconfirmedEmailIsNoPrimary(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addSecond()
	confirm := func(first, second time.Time) {
		ok(t, d.Store.UpdateUser(t.Context(), d.ann.Record.ID, func(u *idp.User) error {
			u.Emails[0].ConfirmedAt, u.Emails[1].ConfirmedAt = first, second
			return nil
		}))
	}
	confirm(d.Clock.Now(), time.Time{})
	checkPage(t, d.here.Post("/account/emails/primary", form("email", "second@example.net")), http.StatusUnprocessableEntity)
	confirm(time.Time{}, d.Clock.Now())
	checkPath(t, d.here.Post("/account/emails/primary", form("email", "second@example.net")), http.StatusOK, "/account/emails")
	for _, m := range d.mails() {
		if d.linkIn(m) != "" {
			t.Errorf("a link is mailed to %s", m.To)
		}
	}
}

// A password that was compared before another change of the password is no proof.
func TestPasswordChangedMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	checked := d.user()
	d.Clock.Advance(time.Minute)
	_, err := d.Accounts.SetPassword(t.Context(), d.ann.Email, "nine windows on plum jam", "test")
	ok(t, err)
	want := d.user().PasswordHash
	err = d.Accounts.ChangePassword(t.Context(), account.OwnChange{User: checked.ID, Event: idp.AuditEvent{Actor: "test"}}, checked, "plum jam on nine windows")
	if !errors.Is(err, account.ErrWrong) || d.user().PasswordHash != want {
		t.Errorf("%v", err)
	}
}

// A locked account cannot be changed through a mailed link.
func TestLockedAccountTakesNoLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.here.Post("/account/emails", form("email", "new@example.net"))
	f := d.here.Get(d.linkIn(d.mails()[0])).Form()
	_, err := d.Accounts.Lock(t.Context(), d.ann.Email, "", "test")
	ok(t, err)
	page := d.Browser().Post(f.Action, f.Fields)
	if page.Status == http.StatusOK || len(d.user().Emails) != 1 {
		t.Errorf("%d", page.Status)
	}
}

func TestDeletionIsPlannedAndCanceled(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for _, typed := range []string{"", "bob@example.gov"} {
		page := d.leaves(func() *idptest.Page { return d.here.Post("/account/delete", form("email", typed)) })
		checkPath(t, page, http.StatusUnprocessableEntity, "/account/delete")
	}
	values := form("email", " ANN@example.gov ")
	page := d.leaves(func() *idptest.Page { return d.here.Post("/account/delete", values) }, audit.DeletionPlanned)
	checkPage(t, page, http.StatusOK, text("delete.keep"))
	if want := d.Clock.Now().Add(account.DeletionWait); !d.user().DeletionAt.Equal(want) {
		t.Errorf("due at %s, want %s", d.user().DeletionAt, want)
	}
	d.leaves(func() *idptest.Page { return d.here.Post("/account/delete", values) }) // a second click
	if got := recipients(d.mails()); !slices.Equal(got, []string{"ann@example.gov"}) {
		t.Errorf("mails to %v", got)
	}
	checkPage(t, d.here.Get("/account"), http.StatusOK, text("account.attention.deletion"))
	d.wait(25 * time.Minute) // canceling needs no recent factor
	page = d.leaves(func() *idptest.Page { return d.here.Post("/account/delete/keep", nil) }, audit.DeletionCanceled)
	checkPage(t, page, http.StatusOK, text("delete.notice_kept"))
	d.leaves(func() *idptest.Page { return d.here.Post("/account/delete/keep", nil) })
	if !d.user().DeletionAt.IsZero() {
		t.Error("not canceled")
	}
}

func TestPlannedResetIsCanceled(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	_, err := d.Accounts.PlanFactorReset(t.Context(), d.ann.Email, d.Clock.Now().Add(time.Hour), "test")
	ok(t, err)
	checkPage(t, d.here.Get("/account/factors"), http.StatusOK, text("factors.reset_cancel"))
	page := d.leaves(func() *idptest.Page { return d.here.Post("/account/factors/cancel-reset", nil) }, audit.ResetCanceled)
	checkPath(t, page, http.StatusOK, "/account/factors")
	d.leaves(func() *idptest.Page { return d.here.Post("/account/factors/cancel-reset", nil) })
	if !d.user().FactorResetAt.IsZero() {
		t.Error("not canceled")
	}
}

// faultyStore fails at one of its writes.
type faultyStore struct {
	account.Store
	mu   sync.Mutex
	left int // writes before the failure; negative for none
}

var errFault = errors.New("disk is gone")

func (s *faultyStore) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	if s.left == -1 {
		return errFault
	}
	return nil
}

func (s *faultyStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.Store.UpdateUser(ctx, id, change, events...)
}

func (s *faultyStore) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	if err := s.fault(); err != nil {
		return 0, err
	}
	return s.Store.EndSessions(ctx, e, events...)
}

// TestFailureLeavesAccountAsItWas checks that a change whose write fails is not made.
func TestFailureLeavesAccountAsItWas(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *deployment) (*idptest.Page, bool){
		"password": func(d *deployment) (*idptest.Page, bool) {
			before := d.user().PasswordHash
			d.Clock.Advance(time.Second)
			page := d.here.Post("/account/password", form("password", d.ann.Password, "new_password", "plum jam on nine windows"))
			return page, d.user().PasswordHash != before
		},
		"factor": func(d *deployment) (*idptest.Page, bool) {
			add := d.here.Get("/account/factors/add")
			page := d.here.Post("/account/factors/add", form("sealed", field(add, "sealed"), "code", d.proposed(add)))
			return page, len(d.user().TOTPs) == 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := 0
			for n := range 4 {
				d := newDeployment(t)
				d.Accounts.Store = &faultyStore{Store: d.Accounts.Store, left: n}
				page, isChanged := change(d)
				if page.Status == http.StatusOK {
					if !isChanged {
						t.Errorf("write %d: the page says that it is done", n)
					}
					break
				}
				failed++
				if page.Status != http.StatusInternalServerError || isChanged {
					t.Errorf("write %d: status %d, changed %t", n, page.Status, isChanged)
				}
			}
			if failed == 0 {
				t.Error("no write failed")
			}
		})
	}
}
