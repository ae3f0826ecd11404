package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/maillink"
)

// A user with a request who forgot the password comes back to the service with the new one and the
// second factor.
func TestResetReturnsToService(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	sp, b := d.AddProvider("https://a.example"), d.Browser()
	d.forget(b, b.Get(sp.URL(&idptest.Request{})), d.ann.Email)
	link := d.receiveLink(d.ann.Email)
	page := d.choose(b, link, newPassword)
	d.checkPath(page, "/sign-in")
	if page.Form().Fields.Get("notice") == "" || page.Form().Fields.Get("request") == "" {
		t.Errorf("fields %v", page.Form().Fields)
	}
	d.ann.Password = newPassword
	if page = b.SignIn(page, d.ann); page.Response() == nil {
		t.Fatalf("no Response, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	d.checkRecords(audit.PasswordReset, 1)
	if texts := d.receive(d.ann.Email); len(texts) != 1 { // the notice
		t.Errorf("mails %q", texts)
	}
}

// In another browser, the reset works, and the request stays where it was sent.
func TestResetInAnotherBrowser(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	sp, b := d.AddProvider("https://a.example"), d.Browser()
	d.forget(b, b.Get(sp.URL(&idptest.Request{})), d.ann.Email)
	link := d.receiveLink(d.ann.Email)
	if strings.Contains(link, "request") {
		t.Errorf("the link contains the request: %s", link)
	}
	other := d.Browser()
	page := d.choose(other, link, newPassword)
	d.checkPath(page, "/sign-in")
	if page.Form().Fields.Get("request") != "" {
		t.Error("the request travels to another browser")
	}
	d.ann.Password = newPassword
	if page := b.SignIn(b.Get(sp.URL(&idptest.Request{})), d.ann); page.Response() == nil {
		t.Errorf("%d %s", page.Status, page.URL)
	}
}

// The password is new, all sessions and remembered devices end, other users keep theirs, and the
// second factor is still needed. A right password in the mailbox's hands is not enough.
func TestResetKeepsSecondFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	bob := d.AddUser("bob@example.gov")
	signedIn, remembered, bobs := d.Browser(), d.Browser(), d.Browser()
	signedIn.SignIn(signedIn.Get("/sign-in"), d.ann)
	remembered.GiveCode(remembered.GivePassword(remembered.Get("/sign-in"), d.ann), d.ann, "remember")
	waiting, _ := d.pending()
	d.checkPath(bobs.SignIn(bobs.Get("/sign-in"), bob), "/account")
	before := d.user()

	page := d.choose(bobs, d.mailLink(), newPassword) // in the browser of another user
	d.checkPath(page, "/sign-in")
	d.checkPath(bobs.Get("/account"), "/account") // whose session goes on

	if signedIn.Get("/account").Form().Fields.Has("session") || len(d.user().Devices) != 0 {
		t.Error("a session or device is left")
	}
	if page := waiting.Get("/sign-in/code"); page.Form().Fields.Has("code") {
		t.Error("a sign-in with the old password goes on")
	}
	if !bytes.Equal(d.user().TOTPs[0].Secret, before.TOTPs[0].Secret) {
		t.Error("another authenticator")
	}
	if left, err := d.Store.Sessions(t.Context(), idp.SessionQuery{User: d.ann.Record.ID}); err != nil || len(left) != 0 {
		t.Errorf("%d sessions, %v", len(left), err)
	}
	if page := remembered.GivePassword(remembered.Get("/sign-in"), d.ann); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("the old password: %d", page.Status)
	}
	d.ann.Password = newPassword
	page = remembered.GivePassword(remembered.Get("/sign-in"), d.ann)
	d.checkPath(page, "/sign-in/code")
	d.checkPath(remembered.GiveCode(page, d.ann), "/account")
}

// A GET changes nothing, however often a scanner opens the link, and a HEAD too. The page is not
// stored, and the token reaches no other site.
func TestResetLinkIsReadWithoutChange(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	link := d.mailLink()
	before := d.Changes()
	for range 3 {
		b := d.Browser()
		b.Head(link)
		page := b.Get(link)
		d.checkStatus(page, http.StatusOK)
		if page.Form().Fields.Get("token") == "" || page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "strict-origin-when-cross-origin" {
			t.Errorf("fields %v, header %v", page.Form().Fields, page.Header)
		}
	}
	if d.Changes() != before {
		t.Error("the store changed")
	}
	d.checkPath(d.choose(d.Browser(), link, newPassword), "/sign-in")
}

// The log never contains the token, the email address or the password.
func TestResetLogsNoSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var logged bytes.Buffer
	log := slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return logged.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug})
	d := &deployment{IdP: idptest.New(t, idptest.Options{Log: log}), inbox: &inbox{}, t: t}
	d.UserMails.Sender = d.inbox
	d.ann = d.AddUser("ann@example.gov")
	link := d.mailLink()
	_, token, _ := strings.Cut(link, "token=")
	d.choose(d.Browser(), link, "short")
	d.choose(d.Browser(), link, newPassword)
	d.checkStatus(d.Browser().Get(link), http.StatusGone)
	mu.Lock()
	defer mu.Unlock()
	for _, secret := range []string{token, d.ann.Email, newPassword, "ann%40"} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log contains %s", secret)
		}
	}
	if !strings.Contains(logged.String(), "/sign-in/reset") {
		t.Error("the log has no line about the page")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// A password that is refused does not use the link up, and all problems name the field.
func TestRefusedPasswordKeepsLink(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	b, link := d.Browser(), d.mailLink()
	before := d.Changes()
	problems := map[string]bool{}
	for _, password := range []string{"", "short", "password-2026", strings.Repeat("long", 200), d.ann.Email + " and more", "twelve chars\x01"} {
		page := d.choose(b, link, password)
		d.checkStatus(page, http.StatusUnprocessableEntity)
		fields := page.Form().Fields
		problems[fields.Get("problem")] = true
		if fields.Get("problem") == "" || fields.Get("token") == "" || !strings.Contains(string(page.Body), `href="#password"`) || password != "" && strings.Contains(string(page.Body), `"`+password) {
			t.Errorf("%q: fields %v", password, fields)
		}
		fields.Set("language", "fr")
		page = b.Post("/sign-in/reset", fields)
		if page.Status != http.StatusOK || page.Form().Fields.Get("problem") != fields.Get("problem") || page.Form().Fields.Get("token") == "" {
			t.Errorf("in French: %d, fields %v", page.Status, page.Form().Fields)
		}
	}
	if len(problems) != 6 {
		t.Errorf("the problems do not differ: %v", problems)
	}
	if d.Changes() != before {
		t.Error("the store changed")
	}
	d.checkStatus(b.CrossSitePost("/sign-in/reset", b.Get(link).Form().Fields), http.StatusForbidden)
	d.checkPath(d.choose(b, link, newPassword), "/sign-in")
}

// A link that is used, expired, older than the password, for another purpose, made up, or of a deleted
// user leads to one page, whose button asks for a new link.
func TestUnusableLinks(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(d *deployment, link string) string{
		"used": func(d *deployment, link string) string { d.choose(d.Browser(), link, newPassword); return link },
		"expired": func(d *deployment, link string) string {
			d.Clock.Advance(maillink.ResetPassword.Lifetime())
			return link
		},
		"guessed": func(_ *deployment, link string) string { return link[:len(link)-3] + "AAA" },
		"none":    func(*deployment, string) string { return "/sign-in/reset" },
		"long":    func(*deployment, string) string { return "/sign-in/reset?token=" + strings.Repeat("A", 5000) },
		"older":   func(d *deployment, link string) string { d.choose(d.Browser(), d.mailLink(), newPassword); return link },
		"new password": func(d *deployment, link string) string {
			_, err := d.Accounts.SetPassword(d.t.Context(), d.ann.Email, newPassword, "test")
			ok(d.t, err)
			return link
		},
		"deleted": func(d *deployment, link string) string {
			ok(d.t, d.Accounts.Delete(d.t.Context(), d.ann.Email, "test"))
			return link
		},
		"removed email address": func(d *deployment, link string) string {
			ok(d.t, d.Store.UpdateUser(d.t.Context(), d.ann.Record.ID, func(u *idp.User) error {
				u.Emails[0].Address = "ann.new@example.gov"
				return nil
			}))
			return link
		},
		"another purpose": func(d *deployment, _ string) string {
			token, err := d.MailLinks.Issue(d.t.Context(), maillink.Link{Purpose: maillink.CancelDeletion, Email: d.ann.Email, User: d.ann.Record.ID, Stamp: d.user().LinkStamp()})
			ok(d.t, err)
			return "/sign-in/reset?token=" + token
		},
		"no user": func(d *deployment, _ string) string {
			token, err := d.MailLinks.Issue(d.t.Context(), maillink.Link{Purpose: maillink.ResetPassword, Email: "unknown@example.gov"})
			ok(d.t, err)
			return "/sign-in/reset?token=" + token
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			link := spoil(d, d.mailLink())
			_, token, _ := strings.Cut(link, "token=")
			b, before := d.Browser(), d.Changes()
			for _, page := range []*idptest.Page{
				b.Get(link), b.Post("/sign-in/reset", form("token", token, "password", "another new password")),
				b.Post("/sign-in/reset", form("token", token, "password", "x")), b.Post("/sign-in/reset", form("token", token, "language", "es")),
			} {
				d.checkStatus(page, http.StatusGone)
				d.findHref(page, "/sign-in/forgot")
			}
			if d.Changes() != before {
				t.Error("the store changed")
			}
		})
	}
}

// Two tabs that send the form at once set one password, and the other tab gets a page with a next
// step.
func TestResetInTwoTabs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	link := d.mailLink()
	_, token, _ := strings.Cut(link, "token=")
	pages := make([]*idptest.Page, 4)
	var wg sync.WaitGroup
	for i := range pages {
		b := d.Browser()
		wg.Go(func() { pages[i] = b.Post("/sign-in/reset", form("token", token, "password", newPassword)) })
	}
	wg.Wait()
	done := 0
	for _, page := range pages {
		if page.Status == http.StatusOK && page.URL.Path == "/sign-in" {
			done++
		} else if page.Status != http.StatusGone {
			t.Errorf("%d %s", page.Status, page.URL)
		}
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
	d.checkRecords(audit.PasswordReset, 1)
}

// A locked user sets a password, and learns of the lock only with the right one.
func TestResetOfLockedUser(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	_, err := d.Accounts.Lock(t.Context(), d.ann.Email, "", "test")
	ok(t, err)
	b := d.Browser()
	page := d.choose(b, d.mailLink(), newPassword)
	d.checkPath(page, "/sign-in")
	if old := b.GivePassword(page, d.ann); old.Status != http.StatusUnprocessableEntity {
		t.Errorf("the old password: %d", old.Status)
	}
	d.ann.Password = newPassword
	d.checkStatus(b.GivePassword(page, d.ann), http.StatusBadRequest)
}

// A proofed identity is paused: a service that needs it is refused with a way on, and a recovery code
// ends the pause. A service that does not need it gets none of it meanwhile.
func TestResetPausesProofing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	_, err := d.Accounts.Verify(t.Context(), d.ann.Email, &idp.Profile{Level: idp.IALVerified, FirstName: "Ada", LastName: "Roe"}, false, "test")
	ok(t, err)
	codes := d.codes()
	sp := d.AddProvider("https://v.example", func(p *idp.ServiceProvider) {
		p.IAL, p.Attributes, p.AllowIALMax = idp.IALVerified, []string{"first_name"}, true
	})
	proofed := &idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/2"}}
	d.choose(d.Browser(), d.mailLink(), newPassword)
	d.ann.Password = newPassword

	// A session with an authenticator is refused, and the page leads to a recovery code.
	b := d.Browser()
	d.checkPath(b.SignIn(b.Get("/sign-in"), d.ann), "/account")
	if page := b.Get(sp.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/0"}})); page.Response() == nil || strings.Contains(string(page.Response()), "Ada") {
		t.Errorf("IALMax: %d %s", page.Status, page.URL)
	}
	page := b.Get(sp.URL(proofed))
	d.checkStatus(page, http.StatusBadRequest)
	page = b.GivePassword(b.Get(d.findHref(page, "/sign-in?request=")), d.ann)
	d.checkPath(page, "/sign-in/recovery-code")
	if page.Form().Fields.Get("notice") == "" {
		t.Error("no notice")
	}
	f := page.Form()
	f.Fields.Set("code", codes[0])
	page = b.Post(f.Action, f.Fields)
	d.checkPath(page, "/sign-in/recovery-code/used")
	if page = b.Get(d.findHref(page, "/sign-in/continue")); page.Response() == nil || !strings.Contains(string(page.Response()), "Ada") {
		t.Errorf("after the recovery code: %d %s", page.Status, page.URL)
	}
	if d.user().ActiveProofing() == nil {
		t.Error("still paused")
	}
	d.checkRecords(audit.RecoveryCodeUsed, 1)
}

// Without recovery codes, the refusal leads to support and to the service.
func TestPausedProofingWithoutCodes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	_, err := d.Accounts.Verify(t.Context(), d.ann.Email, &idp.Profile{Level: idp.IALVerified, FirstName: "Ada", LastName: "Roe"}, false, "test")
	ok(t, err)
	sp := d.AddProvider("https://v.example", func(p *idp.ServiceProvider) { p.IAL = idp.IALVerified })
	d.choose(d.Browser(), d.mailLink(), newPassword)
	d.ann.Password = newPassword
	b := d.Browser()
	page := b.GivePassword(b.Get(sp.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/2"}})), d.ann)
	d.checkStatus(page, http.StatusBadRequest)
	_, err = d.Accounts.Verify(t.Context(), d.ann.Email, &idp.Profile{Level: idp.IALVerified, VerifiedAt: d.Clock.Now(), FirstName: "Ada", LastName: "Roe"}, false, "test")
	ok(t, err)
	if page := b.SignIn(b.Get(sp.URL(&idptest.Request{ClassRefs: []string{"http://idmanagement.gov/ns/assurance/ial/2"}})), d.ann); page.Response() == nil {
		t.Errorf("after a new proof: %d %s", page.Status, page.URL)
	}
}

// failingStore fails the n-th change of a user or a document.
type failingStore struct {
	idp.OwnedStore
	left int
}

var errDisk = errors.New("disk failed")

func (s *failingStore) fails() bool { s.left--; return s.left == 0 }

func (s *failingStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	if s.fails() {
		return errDisk
	}
	return s.OwnedStore.UpdateUser(ctx, id, change, events...)
}

func (s *failingStore) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if s.fails() {
		return errDisk
	}
	return s.OwnedStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

func (s *failingStore) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	if s.fails() {
		return 0, errDisk
	}
	return s.OwnedStore.EndSessions(ctx, e, events...)
}

// A failure of any write leaves the account as it was, and the user can ask for another link.
func TestResetSurvivesFailedWrites(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 2; n++ {
		d := newDeployment(t)
		store := &failingStore{OwnedStore: d.Store}
		link := d.mailLink()
		d.Accounts.Store, d.MailLinks.Store = store, store
		store.left = n
		page := d.choose(d.Browser(), link, newPassword)
		if page.Status < 500 {
			t.Fatalf("%d: status %d", n, page.Status)
		}
		store.left = 0
		u := d.user()
		isNew := u.LinkStamp() != d.ann.Record.LinkStamp()
		if isNew || len(u.TOTPs) != 1 {
			t.Errorf("%d: new %t, user %+v", n, isNew, u)
		}
		d.Clock.Advance(time.Minute)
		d.checkPath(d.choose(d.Browser(), d.mailLinkAgain(), newPassword), "/sign-in")
	}
}

// mailLinkAgain works like mailLink, and ignores notices.
func (d *deployment) mailLinkAgain() string {
	d.t.Helper()
	d.receive(d.ann.Email)
	return d.mailLink()
}
