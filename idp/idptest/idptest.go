// Package idptest runs a whole identity provider on loopback, for tests of flows: a real
// store in a temporary folder, real keys, the real router, a clock that tests can set, a
// service provider that signs requests and checks responses with a third-party library, and
// a browser that keeps cookies.
package idptest

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/doctor"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/server"
	"vernal/idp/smtptest"
)

// IdP is a running identity provider: the services of a Fixture, and a server. Jobs run only
// when a test calls them: Rotation.Tick, Usage.Flush.
type IdP struct {
	*fixture.Fixture
	// URL is its base_url.
	URL     string
	Handler http.Handler
	// AdminHandler is the handler of the admin listener.
	AdminHandler http.Handler
	// Doctor checks the installation when a test calls it.
	Doctor *doctor.Service
	// Client does not share connections with http.DefaultClient, whose connections are closed
	// whenever another test ends its server.
	Client *http.Client

	tb      testing.TB
	options Options
	inbox   *smtptest.Server
	mailer  *notify.Mailer
	handler atomic.Pointer[http.Handler] // nil while the server is stopped
}

// Options are the options of New. The zero value is valid.
type Options struct {
	// Now is the first time of the clock. Zero means the real time.
	Now time.Time
	// Log receives the server's log. It is the test's output if nil.
	Log slog.Handler
	// Years are created in addition to the years of a first start.
	Years []idp.Year
	// FirstStart makes the rotation create all keys, as `vernal init` does.
	FirstStart bool
	// Vault, if set, creates and stores the keys. It requires FirstStart.
	Vault certs.Vault
	// BaseURL is the base URL of the identity provider, for stored messages that
	// contain it. If empty, it is the loopback URL. If set, only Handler answers.
	BaseURL string
	// TLS makes the server use https, where cookies are Secure.
	TLS bool
	// Key is the key of every year. If nil, consecutive years have different keys.
	Key *rsa.PrivateKey
	// WrapStore, if set, wraps the store that the server uses, so that a test can act between two
	// of its steps.
	WrapStore func(idp.OwnedStore) idp.OwnedStore
	// WrapsServices makes the services of accounts, mailed links and mails use the wrapped store
	// too.
	WrapsServices bool
	// Users are the choices about accounts.
	Users account.Settings
	// HasMail configures a mail server, whose inbox Mails returns.
	HasMail bool
	// CodeTime is how long a sign-in waits for a code. Zero means the usual time.
	CodeTime time.Duration
	// Folder is the data folder; a temporary one if empty.
	Folder string
	// NoUsage removes the ledger of uses from the server, to measure its cost.
	NoUsage bool
}

// New starts an identity provider that ends with the test.
func New(tb testing.TB, o Options) *IdP {
	tb.Helper()
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Log == nil {
		o.Log = slog.NewTextHandler(testWriter{tb}, &slog.HandlerOptions{Level: slog.LevelInfo})
	}
	transport := new(http.Transport)
	tb.Cleanup(transport.CloseIdleConnections)
	i := &IdP{Client: &http.Client{Transport: transport}, tb: tb, options: o}
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := i.handler.Load()
		if h == nil {
			panic(http.ErrAbortHandler) // as if no server listened
		}
		(*h).ServeHTTP(w, r)
	}))
	if i.URL = o.BaseURL; i.URL == "" {
		scheme := "http://"
		if o.TLS {
			scheme = "https://"
		}
		i.URL = scheme + ts.Listener.Addr().String()
	}

	if o.Folder == "" {
		o.Folder = tb.TempDir()
	}
	if o.HasMail {
		i.startMail()
	}
	i.Fixture = fixture.NewInFolder(tb, o.Folder, o.Now.UTC().Truncate(time.Second), i.configure)
	i.beginRotation()
	i.serve()
	if o.TLS {
		ts.StartTLS()
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AddCert(ts.Certificate())
	} else {
		ts.Start()
	}
	tb.Cleanup(func() {
		ts.Close()
		i.checkKinds()
		i.Stop()
	})
	return i
}

// checkKinds checks that package idp declares the kinds of all records, whichever test wrote
// them. It skips a trail that a test has damaged.
func (i *IdP) checkKinds() {
	if i.handler.Load() == nil {
		return
	}
	declared := map[idp.AuditKind]bool{}
	for _, k := range idp.AuditKinds() {
		declared[k.Kind] = true
	}
	const page = 1000
	for after := uint64(0); ; {
		records, err := audit.Records(context.Background(), i.Store, after, page)
		if err != nil {
			return
		}
		for _, r := range records {
			if !declared[r.Kind] {
				i.tb.Errorf("records have the kind %q, which package idp does not declare", r.Kind)
				declared[r.Kind] = true // report each kind once
			}
		}
		if len(records) < page {
			return
		}
		after = records[page-1].Seq
	}
}

// Stop ends the server as a crash or a power failure does: unwritten changes are lost.
// Requests get no answer until Start.
func (i *IdP) Stop() {
	i.tb.Helper()
	if i.handler.Swap(nil) == nil {
		return
	}
	i.Close()
}

// Changes returns the number of changes that the store has made.
func (i *IdP) Changes() uint64 { return i.Bolt.Changes() }

// Start starts a stopped server, which knows only durable changes.
func (i *IdP) Start() {
	i.tb.Helper()
	i.Reopen()
	if _, err := i.Restore.Finish(context.Background()); err != nil {
		i.tb.Fatal(err)
	}
	if err := i.Rotation.Start(context.Background()); err != nil {
		i.tb.Fatal(err)
	}
	i.serve()
}

// configure applies the options.
func (i *IdP) configure(c *installation.Config) {
	c.IdP.BaseURL, c.Log = i.URL, slog.New(i.options.Log)
	c.Users, c.Mail = i.options.Users, i.mailer
	if i.mailer != nil {
		i.mailer.Clock = c.Clock
	}
	if key := i.options.Key; key != nil {
		c.NewSigner = func(int) (crypto.Signer, error) { return key, nil }
	}
	if vault := i.options.Vault; vault != nil {
		c.Policy.KeySource, c.Vault, c.Keys = rotation.SourcePKCS11, vault, c.Keys.WithVault(vault)
	}
}

// startMail starts a mail server that ends with the test.
func (i *IdP) startMail() {
	i.tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		i.tb.Fatal(err)
	}
	i.inbox = &smtptest.Server{}
	done := make(chan error, 1)
	go func() { done <- i.inbox.Serve(listener) }()
	i.tb.Cleanup(func() {
		_ = listener.Close()
		if err := errors.Join(i.inbox.Close(), <-done); err != nil {
			i.tb.Error(err)
		}
	})
	i.mailer = &notify.Mailer{Server: listener.Addr().String(), From: "vernal@example.gov", TLS: notify.NoTLS}
}

// Mails sends the queued mails to users and returns all mails that the mail server accepted, oldest
// first.
func (i *IdP) Mails() []smtptest.Mail {
	i.tb.Helper()
	if err := i.UserMails.Tick(context.Background()); err != nil {
		i.tb.Fatal(err)
	}
	return i.inbox.Mails()
}

// MailedURL returns the only URL in a mail that begins with a path of ours, as a path and query.
func (i *IdP) MailedURL(m smtptest.Mail, path string) string {
	i.tb.Helper()
	for _, word := range strings.Fields(m.Text()) {
		if rest, ok := strings.CutPrefix(word, i.URL); ok && strings.HasPrefix(rest, path) {
			return rest
		}
	}
	i.tb.Fatalf("mail has no URL of %s:\n%s", path, m.Text())
	return ""
}

// serve starts to answer requests.
func (i *IdP) serve() {
	i.tb.Helper()
	services := *i.Installation
	if i.options.WrapStore != nil {
		services.Store = i.options.WrapStore(services.Store)
		if i.options.WrapsServices {
			i.Accounts.Store, i.MailLinks.Store, i.UserMails.Store = services.Store, services.Store, services.Store
		}
	}
	if i.options.NoUsage {
		services.Usage = nil
	}
	i.Doctor = doctor.New(&services, doctor.Settings{DataDir: i.Folder, StoreFile: i.StoreFile(), KeysDir: i.KeysFolder()}, i.Bolt)
	s := &server.Server{Installation: &services, Idle: 15 * time.Minute, Absolute: 12 * time.Hour, CodeTime: i.options.CodeTime, Doctor: i.Doctor}
	var err error
	if i.Handler, err = s.Handler(); err != nil {
		i.tb.Fatal(err)
	}
	if i.AdminHandler, err = s.AdminHandler(); err != nil {
		i.tb.Fatal(err)
	}
	handler := i.Handler
	i.handler.Store(&handler)
}

// User is a user with a password and TOTP codes.
type User struct {
	Email, Password string
	Record          *idp.User
	idp             *IdP
}

// AddUser creates an account with password and TOTP.
func (i *IdP) AddUser(email string) *User {
	i.tb.Helper()
	p := &User{Email: email, Password: "quiet otter mends nine kettles", idp: i}
	u, _, err := i.Accounts.Create(context.Background(), account.NewUser{Email: email, Password: p.Password, TOTP: true}, "test")
	if err != nil {
		i.tb.Fatal(err)
	}
	p.Record = u
	return p
}

// Code returns the user's next code. It advances the clock by one step, so that no code is a
// replay.
func (p *User) Code() string {
	p.idp.Clock.Advance(time.Duration(p.Record.TOTPs[0].Period) * time.Second)
	code, err := account.ComputeCode(p.Record.TOTPs[0], p.idp.Clock.Now())
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	return code
}

// testWriter writes the log of the server to the log of the test.
type testWriter struct{ tb testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.tb.Log(string(b))
	return len(b), nil
}
