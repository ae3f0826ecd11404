package audit_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

var trailStart = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// signingKey is made once: making it is slow.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// world is a store with its trail, in a folder where it can be tampered with.
type world struct {
	*audit.Service
	tb    testing.TB
	path  string
	key   *seal.Master
	store *bolt.Store
	years *keyring.Ring
	now   time.Time
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	key, err := seal.NewMaster(bytes.Repeat([]byte{7}, 32))
	ok(tb, err)
	signer, err := signingKey()
	ok(tb, err)
	policy := rotation.DefaultPolicy()
	year, err := certs.Certify(rand.Reader, signer, "2031", policy.Dates("2031").CertEndAt, certs.Spec{}, "https://idp.example", trailStart)
	ok(tb, err)
	w := &world{tb: tb, path: filepath.Join(tb.TempDir(), "vernal.db"), key: key, now: trailStart, years: keyring.NewRing(policy)}
	ok(tb, w.years.SetHistory(policy.Begin([]rotation.Made{keyring.MadeOf(year)}, trailStart), []*certs.Key{year}))
	w.open()
	tb.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) open() {
	w.tb.Helper()
	clock := func() time.Time { return w.now }
	store, err := bolt.Open(w.path, bolt.Options{Masters: seal.NewMasters(w.key), Clock: clock})
	ok(w.tb, err)
	log := slog.New(slog.DiscardHandler)
	w.store = store
	w.Service = &audit.Service{
		Store: store, Sealer: store.Ring(), Years: w.years, Issuer: "https://idp.example/api/saml", Clock: clock, Log: log,
		Refusals: &audit.Refusals{Store: store, Clock: clock, Log: log},
	}
}

// edit changes the file behind the store's back.
func (w *world) edit(change func(*bbolt.Tx) error) {
	w.tb.Helper()
	ok(w.tb, w.store.Close())
	db, err := bbolt.Open(w.path, 0o600, &bbolt.Options{Timeout: time.Second})
	ok(w.tb, err)
	ok(w.tb, errors.Join(db.Update(change), db.Close()))
	w.open()
}

// add appends n events, every second one from an address.
func (w *world) add(n int) {
	w.tb.Helper()
	events := make([]idp.AuditEvent, n)
	for i := range events {
		events[i] = idp.AuditEvent{Kind: "authn", Outcome: "ok", Actor: "user:u1", User: "u1", Detail: map[string]string{"n": fmt.Sprint(i)}}
		if i%2 == 0 {
			events[i].Address = "192.0.2.7"
		}
	}
	ok(w.tb, w.store.AppendAudit(w.tb.Context(), events...))
}

// verify verifies the whole trail, in parts.
func (w *world) verify(at *audit.Place) (audit.Progress, error) {
	w.tb.Helper()
	var p audit.Progress
	var err error
	for !p.Done && err == nil {
		p, err = w.Verify(w.tb.Context(), p, at, 0)
	}
	return p, err
}

func (w *world) whole() audit.Progress {
	w.tb.Helper()
	p, err := w.verify(nil)
	ok(w.tb, err)
	if p.Broken != nil {
		w.tb.Errorf("record %d %s", p.Broken.Seq, p.Broken.What)
	}
	return p
}

func (w *world) place(seq uint64) audit.Place {
	w.tb.Helper()
	records, err := audit.Records(w.tb.Context(), w.store, seq-1, 1)
	ok(w.tb, err)
	return audit.Place{Seq: seq, Hash: records[0].Hash}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
