package usermail_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/notify"
	"vernal/idp/smtptest"
	"vernal/idp/usermail"
	"vernal/metadata"
	"vernal/templates"
)

// deployment is an installation with a mail server.
type deployment struct {
	*fixture.Fixture
	t      *testing.T
	inbox  *smtptest.Server
	mailer *notify.Mailer
	writer *notify.Service
	upAt   string
}

const accountURL = fixture.BaseURL + "/account"

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{t: t, Fixture: fixture.New(t, time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC), nil)}
	d.writer = newWriter("en", "es", "fr")
	d.inbox = &smtptest.Server{}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	done := make(chan error, 1)
	go func() { done <- d.inbox.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close()
		ok(t, d.inbox.Close())
		ok(t, <-done)
	})
	d.upAt = l.Addr().String()
	d.mailer = &notify.Mailer{Server: d.upAt, From: "vernal@example.gov", TLS: notify.NoTLS, Clock: d.Clock.Now}
	return d
}

func newWriter(langs ...templates.Lang) *notify.Service {
	return &notify.Service{IdP: metadata.IdP{BaseURL: fixture.BaseURL, Contact: "help@example.gov"}, Name: "Example sign-in", Langs: langs}
}

// stopMail and startMail change whether the mail server can be reached.
func (d *deployment) stopMail()  { d.mailer.Server = "127.0.0.1:1" }
func (d *deployment) startMail() { d.mailer.Server = d.upAt }

// server returns a server's service, with nothing in memory yet.
func (d *deployment) server() *usermail.Service {
	return &usermail.Service{
		Store: d.Bolt, Sealer: d.Bolt.Ring(), Writer: d.writer, Sender: d.mailer, AccountURL: accountURL,
		Clock: d.Clock.Now, Log: slog.New(slog.DiscardHandler),
	}
}

// tick makes all servers run a round at the same time.
func (d *deployment) tick(servers ...*usermail.Service) {
	d.t.Helper()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if err := s.Tick(d.t.Context()); err != nil {
				d.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// addUser adds a user with confirmed email addresses.
func (d *deployment) addUser(id idp.UserID, lang string, emails ...string) {
	d.t.Helper()
	u := &idp.User{ID: id, Lang: lang, PasswordHash: "hash", CreatedAt: d.Clock.Now(), UpdatedAt: d.Clock.Now()}
	for _, e := range emails {
		u.Emails = append(u.Emails, idp.Email{Address: e, ConfirmedAt: d.Clock.Now()})
	}
	errs, err := d.Bolt.ImportUsers(d.t.Context(), []idp.ImportedUser{{User: u}})
	ok(d.t, err)
	for _, err := range errs {
		ok(d.t, err)
	}
}

// change records a change of a user.
func (d *deployment) change(id idp.UserID, kind idp.AuditKind, actor string, change ...func(*idp.User)) {
	d.t.Helper()
	ok(d.t, d.Bolt.UpdateUser(d.t.Context(), id, func(u *idp.User) error {
		u.UpdatedAt = d.Clock.Now()
		for _, c := range change {
			c(u)
		}
		return nil
	}, idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: actor, User: id}))
}

// received returns the recipients of all mails, oldest first.
func (d *deployment) received() (list []string) {
	for _, m := range d.inbox.Mails() {
		list = append(list, m.To...)
	}
	return list
}

// stored returns the records of mails in the store.
func (d *deployment) stored() []idp.Document {
	d.t.Helper()
	docs, err := d.Bolt.Documents(d.t.Context(), usermail.RecordKind, idp.DocumentQuery{All: true})
	ok(d.t, err)
	return docs
}

// senderFunc changes what happens around a call of the mail server.
type senderFunc func(ctx context.Context, mails []notify.Mail) []error

func (f senderFunc) Send(ctx context.Context, mails []notify.Mail) []error { return f(ctx, mails) }

// rendered is the expected form of a mail.
type rendered struct{ To, Subject, Text string }

// render returns the subject and text of a mail.
func (d *deployment) render(m usermail.Mail) rendered {
	d.t.Helper()
	subject, text, err := d.writer.WriteMail(m.Lang, "user_"+string(m.Kind)+".txt", dataOf(m))
	ok(d.t, err)
	return rendered{m.To, subject, text}
}

// dataOf returns data with the fields that the texts can use.
func dataOf(m usermail.Mail) func(notify.Sender) any {
	return func(from notify.Sender) any {
		return struct {
			notify.Sender
			usermail.Mail
			AccountURL string
		}{from, m, accountURL}
	}
}

// mails returns the received mails.
func (d *deployment) mails() (list []rendered) {
	for _, m := range d.inbox.Mails() {
		list = append(list, rendered{m.To[0], m.Header("Subject"), m.Text()})
	}
	return list
}
