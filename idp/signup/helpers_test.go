package signup_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/idptest"
	"vernal/idp/smtptest"
)

const (
	email    = "ada@example.gov"
	password = "quiet otter mends nine kettles"
)

// opStore records the operations on a store, and can make one fail.
type opStore struct {
	idp.OwnedStore
	mu  sync.Mutex
	ops []string
	// fail is called before a write with its name, and before may act before it.
	fail   func(op string) error
	before func(op string)
}

func (s *opStore) note(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops = append(s.ops, op)
}

func (s *opStore) write(op string) error {
	s.note(op)
	if s.before != nil {
		s.before(op)
	}
	if s.fail != nil {
		return s.fail(op)
	}
	return nil
}

// take returns the operations since the last call.
func (s *opStore) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ops := s.ops
	s.ops = nil
	return ops
}

func (s *opStore) User(ctx context.Context, id idp.UserID) (*idp.User, error) {
	s.note("User")
	return s.OwnedStore.User(ctx, id)
}

func (s *opStore) UserByEmail(ctx context.Context, address string) (*idp.User, error) {
	s.note("UserByEmail")
	return s.OwnedStore.UserByEmail(ctx, address)
}

func (s *opStore) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	s.note("Documents " + kind)
	return s.OwnedStore.Documents(ctx, kind, q)
}

func (s *opStore) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if err := s.write(fmt.Sprintf("UpdateDocuments %s %d", kind, len(keys))); err != nil {
		return err
	}
	return s.OwnedStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

func (s *opStore) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	if err := s.write("ImportUsers"); err != nil {
		return nil, err
	}
	return s.OwnedStore.ImportUsers(ctx, users)
}

func (s *opStore) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	if err := s.write("UpdateUser"); err != nil {
		return err
	}
	return s.OwnedStore.UpdateUser(ctx, id, change, events...)
}

func (s *opStore) StartSession(ctx context.Context, start idp.SessionStart, events ...idp.AuditEvent) error {
	if err := s.write("StartSession"); err != nil {
		return err
	}
	return s.OwnedStore.StartSession(ctx, start, events...)
}

func (s *opStore) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	if err := s.write("EndSessions"); err != nil {
		return 0, err
	}
	return s.OwnedStore.EndSessions(ctx, e, events...)
}

func (s *opStore) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	if err := s.write("AppendAudit"); err != nil {
		return err
	}
	return s.OwnedStore.AppendAudit(ctx, events...)
}

// deployment is an identity provider with a mail server.
type deployment struct {
	*idptest.IdP
	t     *testing.T
	store *opStore
}

var open = account.Settings{SignUp: account.SignUpOpen}

func newDeployment(t *testing.T, settings account.Settings) *deployment {
	t.Helper()
	d := &deployment{t: t, store: &opStore{}}
	d.IdP = idptest.New(t, idptest.Options{
		Log: slog.DiscardHandler, Users: settings, HasMail: true, WrapsServices: true,
		WrapStore: func(s idp.OwnedStore) idp.OwnedStore { d.store.OwnedStore = s; return d.store },
	})
	return d
}

// requestLink fills in the first page and returns the answer.
func (d *deployment) requestLink(b *idptest.Browser, page *idptest.Page, email string) *idptest.Page {
	d.t.Helper()
	form := page.Form()
	if form.Action != "/sign-up" {
		d.t.Fatalf("no sign-up page, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	form.Fields.Set("email", email)
	return b.Post(form.Action, form.Fields)
}

// newestMail returns the newest mail to an email address.
func (d *deployment) newestMail(to string) smtptest.Mail {
	d.t.Helper()
	mails := d.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		if strings.Contains(strings.Join(mails[i].To, " "), to) {
			return mails[i]
		}
	}
	d.t.Fatalf("no mail to %s", to)
	return smtptest.Mail{}
}

// mailLink requests a link for an email address and returns it.
func (d *deployment) mailLink(b *idptest.Browser, email string) string {
	d.t.Helper()
	d.requestLink(b, b.Get("/sign-up"), email)
	return d.MailedURL(d.newestMail(email), "/sign-up/confirm")
}

// choosePassword fills in the page of a link.
func (d *deployment) choosePassword(b *idptest.Browser, link, password string, boxes ...string) *idptest.Page {
	d.t.Helper()
	form := b.Get(link).Form()
	form.Fields.Set("password", password)
	for _, name := range boxes {
		form.Fields.Set(name, "yes")
	}
	return b.Post("/sign-up/confirm", form.Fields)
}

// code returns the code of the authenticator on a set-up page. It advances the clock by one step.
func (d *deployment) code(page *idptest.Page) string {
	d.t.Helper()
	code, err := account.ComputeCode(idp.TOTP{Secret: d.secret(page), Period: 30}, d.Clock.Now())
	ok(d.t, err)
	return code
}

// setUp fills in the set-up page.
func (d *deployment) setUp(b *idptest.Browser, page *idptest.Page) *idptest.Page {
	d.t.Helper()
	form := page.Form()
	form.Fields.Set("code", d.code(page))
	return b.Post("/sign-in/set-up", form.Fields)
}

// register creates an account up to the set-up page.
func (d *deployment) register(b *idptest.Browser, email string) *idptest.Page {
	d.t.Helper()
	page := d.choosePassword(b, d.mailLink(b, email), password)
	if page.URL.Path != "/sign-in/set-up" || page.Status != 200 {
		d.t.Fatalf("no set-up page, but %d %s:\n%s", page.Status, page.URL, page.Text())
	}
	return page
}

// user returns the user with an email address, nil for none.
func (d *deployment) user(email string) *idp.User {
	d.t.Helper()
	u, err := d.Bolt.UserByEmail(d.t.Context(), email)
	if err != nil {
		return nil
	}
	return u
}

// decisionsAfter returns the records after a position, and checks that they match decisions.
func (d *deployment) checkRecords(after uint64, want ...audit.Decision) {
	d.t.Helper()
	records, err := audit.Records(d.t.Context(), d.Bolt, after, 100)
	ok(d.t, err)
	if len(records) != len(want) {
		d.t.Fatalf("%d records, want %v: %+v", len(records), want, records)
	}
	for i := range records {
		if err := want[i].CheckRecord(&records[i]); err != nil {
			d.t.Error(err)
		}
		if text := fmt.Sprintf("%+v", records[i]); strings.Contains(text, "@") || strings.Contains(text, password) {
			d.t.Errorf("the record contains personal data: %s", text)
		}
	}
}

func (d *deployment) lastRecord() uint64 {
	d.t.Helper()
	records, err := audit.Records(d.t.Context(), d.Bolt, 0, 1000)
	ok(d.t, err)
	if len(records) == 0 {
		return 0
	}
	return records[len(records)-1].Seq
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func token(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	ok(t, err)
	return u.Query().Get("token")
}
