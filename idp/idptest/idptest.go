// Package idptest is a whole identity provider on loopback, for tests of flows:
// real store in a temporary folder, real keys, real router, a clock that can be
// turned, a service provider that signs requests and checks responses with a
// library that none of us wrote, and a browser that keeps cookies.
package idptest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/server"
	"vernal/idp/sharelink"
	"vernal/idp/sp"
	"vernal/idp/store/bolt"
	"vernal/idp/usage"
	"vernal/metadata"
)

// IdP is a running identity provider.
type IdP struct {
	// URL is its base_url.
	URL     string
	Handler http.Handler
	// Watch is the admin listener's handler.
	Watch    http.Handler
	Store    idp.Store
	Registry *sp.Registry
	Accounts *account.Service
	Years    *keyring.Ring
	// Rotation turns Years. It runs only when a test calls Tick or Automatic.
	Rotation *rotator.Service
	// Usage counts uses; it is written when a test calls Flush.
	Usage *usage.Ledger
	Board *migration.Service
	Links *sharelink.Service
	// Trail notes who was turned down; it runs only when a test calls it.
	Trail  *audit.Service
	Clock  *Clock
	Policy rotation.Policy
	// Client has connections of its own. Those of http.DefaultClient are closed
	// whenever another test ends its server.
	Client *http.Client
	// Masters are the master keys in force.
	Masters *seal.Masters

	tb      testing.TB
	options Options
	folder  string
	master  *seal.Master
	serving atomic.Pointer[http.Handler] // nil while it is stopped
	made    atomic.Int32                 // signing keys
}

// Options of New; the zero value is good.
type Options struct {
	// Now is where the clock stands; the real time if zero.
	Now time.Time
	// Log is where the server logs to; the test's output if nil.
	Log slog.Handler
	// Years are made besides those of a first start.
	Years []idp.Year
	// FirstStart leaves the making of all keys to the rotation's own first
	// start, as `vernal init` does.
	FirstStart bool
	// Vault, if there is one, is where keys are made and kept; FirstStart with
	// it.
	Vault certs.Vault
	// BaseURL is what the identity provider calls itself, for messages that
	// were made for it long ago; the loopback address if empty. With it only
	// Handler answers.
	BaseURL string
	// TLS has it serve https, where cookies are Secure.
	TLS bool
	// Key is that of every year; fresh ones if nil.
	Key *rsa.PrivateKey
	// Between, if there is one, makes of the store what the server uses in its
	// place, to have something happen between two of its steps.
	Between func(idp.Store) idp.Store
	// CodeTime is how long a code is waited for; as long as it usually is if zero.
	CodeTime time.Duration
	// NoUsage leaves out the ledger of uses in the server, to see what it costs.
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
	i := &IdP{Client: &http.Client{Transport: transport}, tb: tb, options: o, folder: tb.TempDir(), Clock: &Clock{now: o.Now.UTC().Truncate(time.Second)}, Policy: rotation.DefaultPolicy()}
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := i.serving.Load()
		if h == nil {
			panic(http.ErrAbortHandler) // nobody answers
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

	var master [32]byte
	rand.Read(master[:])
	var err error
	if i.master, err = seal.NewMaster(master[:]); err != nil {
		tb.Fatal(err)
	}
	i.Start()
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

// checkKinds holds that all records are of kinds that package audit knows, whichever test
// wrote them. A trail that a test broke is left out.
func (i *IdP) checkKinds() {
	if i.serving.Load() == nil {
		return
	}
	known := map[idp.AuditKind]bool{}
	for _, k := range audit.Kinds() {
		known[k.Name] = true
	}
	const page = 1000
	for after := uint64(0); ; {
		records, err := audit.Records(context.Background(), i.Store, after, page)
		if err != nil {
			return
		}
		for _, r := range records {
			if !known[r.Kind] {
				i.tb.Errorf("records of the kind %q are written, and package audit does not know it", r.Kind)
				known[r.Kind] = true // once is enough
			}
		}
		if len(records) < page {
			return
		}
		after = records[page-1].Seq
	}
}

// Stop ends the server, as a crash or a machine that is switched off does: what
// was not written is lost. Nobody answers until Start.
func (i *IdP) Stop() {
	i.tb.Helper()
	if i.serving.Swap(nil) == nil {
		return
	}
	if err := i.Store.(*bolt.Store).Close(); err != nil {
		i.tb.Error(err)
	}
}

// Changes is how many changes the store has made.
func (i *IdP) Changes() uint64 { return i.Store.(*bolt.Store).Changes() }

// Start starts a server that was stopped: what it knows is what was written.
func (i *IdP) Start() {
	i.tb.Helper()
	tb, log := i.tb, slog.New(i.options.Log)
	i.Masters = seal.NewMasters(i.master)
	store, err := bolt.Open(filepath.Join(i.folder, "vernal.db"), bolt.Options{Masters: i.Masters, Clock: i.Clock.Now, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	i.Store = store
	i.Registry = sp.New(store, i.Clock.Now)
	i.Registry.BaseIsHTTP = !i.options.TLS
	i.Accounts = &account.Service{
		Store: store, Sealer: store.Ring(), Clock: i.Clock.Now, Limits: account.DefaultLimits(), Log: log,
		// The least that argon2 does: the cost of hashes has tests of its own.
		Hasher: account.NewHasher(account.Cost{Memory: 64, Time: 1, Threads: 1, Iterations: 1000, Slots: 2}),
	}
	i.startRotation(certs.OpenDir(filepath.Join(i.folder, "keys"), i.Masters), log)

	i.Links = &sharelink.Service{Store: store, Sealer: store.Ring(), Clock: i.Clock.Now}

	i.Trail = &audit.Service{
		Store: store, Sealer: store.Ring(), Years: i.Years, Issuer: i.URL + "/api/saml", Clock: i.Clock.Now, Log: log,
		Refusals: &audit.Refusals{Store: store, Clock: i.Clock.Now, Log: log},
	}

	s := &server.Server{
		IdP: metadata.IdP{BaseURL: i.URL}, Idle: 15 * time.Minute, Absolute: 12 * time.Hour, CodeTime: i.options.CodeTime,
		Store: store, Sealer: store.Ring(), Registry: i.Registry, Accounts: i.Accounts, Years: i.Years, Rotation: i.Rotation,
		Usage: i.Usage, Board: i.Board, Links: i.Links, Trail: i.Trail, Log: log, Clock: i.Clock.Now,
	}
	if i.options.Between != nil {
		s.Store = i.options.Between(store)
	}
	if i.options.NoUsage {
		s.Usage = nil
	}
	if i.Handler, err = s.Handler(); err != nil {
		tb.Fatal(err)
	}
	if i.Watch, err = s.AdminHandler(); err != nil {
		tb.Fatal(err)
	}
	handler := i.Handler
	i.serving.Store(&handler)
}

// Person can sign in.
type Person struct {
	Email, Password string
	User            *idp.User
	idp             *IdP
}

// AddPerson makes an account with password and TOTP.
func (i *IdP) AddPerson(email string) *Person {
	i.tb.Helper()
	p := &Person{Email: email, Password: "quiet otter mends nine kettles", idp: i}
	u, _, err := i.Accounts.Create(context.Background(), account.NewUser{Email: email, Password: p.Password, TOTP: true}, "test")
	if err != nil {
		i.tb.Fatal(err)
	}
	p.User = u
	return p
}

// Code is the person's next code. It turns the clock by one step, so that no
// code is a replay of the one before.
func (p *Person) Code() string {
	p.idp.Clock.Advance(time.Duration(p.User.TOTPs[0].Period) * time.Second)
	code, err := account.CodeAt(p.User.TOTPs[0], p.idp.Clock.Now())
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	return code
}

// testWriter sends the server's log to the test's.
type testWriter struct{ tb testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.tb.Log(string(b))
	return len(b), nil
}
