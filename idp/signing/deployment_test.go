package signing_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/idptest/fixture"
)

const spA = "https://a.example"

// keyring is a certs.Vault in memory that counts the signatures made for a year after the test
// has declared it closed.
type keyring struct {
	mu     sync.Mutex
	keys   map[idp.Year]*rsa.PrivateKey
	closed map[idp.Year]bool
	late   int
	// hold is called within each signature, if set.
	hold atomic.Pointer[func()]
}

func (k *keyring) Make(y idp.Year, _ int) (crypto.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys, k.closed = map[idp.Year]*rsa.PrivateKey{}, map[idp.Year]bool{}
	}
	if k.keys[y] == nil {
		k.keys[y] = fixture.Key(len(k.keys) % 2)
	}
	return k.keys[y].Public(), nil
}

func (k *keyring) Sign(y idp.Year, _ crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	key := k.begin(y)
	if hold := k.hold.Load(); hold != nil {
		(*hold)()
	}
	signature, err := key.Sign(rand.Reader, digest, opts)
	k.begin(y)
	return signature, err
}

// begin returns the key. The signature is late if the year was declared closed.
func (k *keyring) begin(y idp.Year) *rsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed[y] {
		k.late++
	}
	return k.keys[y]
}

func (k *keyring) CheckReady(idp.Year, crypto.PublicKey) error { return nil }

func (k *keyring) Destroy(idp.Year, crypto.PublicKey) error { return nil }

// declare records that the year is closed, or open again.
func (k *keyring) declare(y idp.Year, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed[y] = closed
}

func (k *keyring) lateSignatures() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.late
}

// deployment is an identity provider that signs with a keyring, an SP and a user.
type deployment struct {
	*idptest.IdP
	t    *testing.T
	keys *keyring
	a    *idptest.Provider
	user *idptest.User
	// record is the SP's registration.
	record idp.ServiceProvider
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	w := &deployment{t: t, keys: new(keyring)}
	w.IdP = idptest.New(t, idptest.Options{
		Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), FirstStart: true, Vault: w.keys, Log: slog.DiscardHandler,
	})
	w.a = w.AddProvider(spA, signedLogout)
	w.user = w.AddUser("ada@example.gov")
	record, err := w.Registry.Get(t.Context(), spA)
	if err != nil {
		t.Fatal(err)
	}
	w.record = *record
	return w
}

func signedLogout(p *idp.ServiceProvider) { p.SignLogoutResponse = true }

// signIn returns a browser in which the user is signed in, at the year.
func (w *deployment) signIn(y idp.Year) *idptest.Browser {
	w.t.Helper()
	b := w.Browser()
	if page := b.SignIn(b.Get(w.a.URL(&idptest.Request{Year: y})), w.user); page.Response() == nil {
		w.t.Fatalf("no Response: %d %s", page.Status, page.Text())
	}
	return b
}

// asks returns requests whose answers are signed. Each reports whether the answer contains a
// Response. A refusal is not an error, but an internal failure is.
func (w *deployment) asks(y idp.Year) []func() bool {
	w.t.Helper()
	warm, anyone := w.signIn(y), w.Browser()
	answered := func(page *idptest.Page) bool {
		if page.Status >= http.StatusInternalServerError {
			w.t.Errorf("status %d: %s", page.Status, page.Text())
		}
		return page.Response() != nil
	}
	return []func() bool{
		func() bool { return answered(warm.Get(w.a.URL(&idptest.Request{Year: y}))) },
		func() bool {
			return answered(warm.Get(w.a.URL(&idptest.Request{Year: y, IsPassive: true, ForceAuthn: true})))
		},
		func() bool {
			return answered(anyone.Get(w.a.LogoutURL(&idptest.LogoutRequest{Year: y, NameID: "no-one"})))
		},
	}
}
