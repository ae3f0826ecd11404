package migration_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/sp"
	"vernal/idp/store/bolt"
	"vernal/idp/usage"
)

// world is an installation with a real store, and a clock that is turned.
// 2026 is preferred from its first day; 2027 follows by the history.
type world struct {
	tb       testing.TB
	store    *bolt.Store
	registry *sp.Registry
	years    *keyring.Ring
	policy   rotation.Policy
	history  rotation.History
	keys     []*certs.Key

	mu  sync.Mutex
	now time.Time
}

func at(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }

func newWorld(tb testing.TB, now time.Time) *world {
	tb.Helper()
	w := &world{tb: tb, now: now, policy: rotation.DefaultPolicy()}
	var master [32]byte
	rand.Read(master[:])
	sealer, err := seal.NewMaster(master[:])
	ok(tb, err)
	w.store, err = bolt.Open(filepath.Join(tb.TempDir(), "vernal.db"), bolt.Options{Masters: seal.NewMasters(sealer), Clock: w.clock})
	ok(tb, err)
	tb.Cleanup(func() { ok(tb, w.store.Close()) })
	w.registry = sp.New(w.store, w.clock)
	w.years = keyring.NewRing(w.policy)
	for _, y := range []idp.Year{"2024", "2025", "2026", "2027"} {
		k, err := certs.Certify(rand.Reader, signer(), y, w.policy.Dates(y).CertEndAt, certs.Spec{}, "https://a.example", at(2024, 1, 15))
		ok(tb, err)
		w.keys = append(w.keys, k)
		w.history.Records = append(w.history.Records, rotation.Record{
			Year: y, CreatedAt: at(2024, 1, 15), CertifiedAt: at(2024, 1, 15), CertEndAt: k.Cert.NotAfter,
			CertificateSHA256: certs.CertSHA256(k.Cert), PublicKeySHA256: certs.PublicKeySHA256(k.Signer.Public()),
		})
	}
	w.step(rotation.StepPublish, "2026")
	w.step(rotation.StepPrefer, "2026")
	return w
}

// step takes a step of the rotation, now.
func (w *world) step(kind rotation.StepKind, y idp.Year) {
	w.tb.Helper()
	w.history = w.history.Apply(rotation.Step{Kind: kind, Year: y, Reason: "test"}, w.clock())
	if w.history.Preferred != "" {
		ok(w.tb, w.years.SetHistory(w.history, w.keys))
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) turn(to time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = to
}

// server is the board of a server that starts.
func (w *world) server() *migration.Service {
	return &migration.Service{
		Usage: &usage.Ledger{
			Store: w.store, Registry: w.registry, Years: w.years, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		},
		Registry: w.registry, Years: w.years, Clock: w.clock,
	}
}

// add registers a service provider.
func (w *world) add(id idp.EntityID, change ...func(*idp.ServiceProvider)) {
	w.tb.Helper()
	p := sp.Defaults()
	p.EntityID, p.Name, p.ACSURLs = id, "SP "+string(id), []string{"https://sp.example/acs"}
	p.Certs = []string{requestCert(at(2036, 1, 1)).pem}
	for _, c := range change {
		c(p)
	}
	_, err := w.registry.Add(w.tb.Context(), p, sp.Options{}, "test")
	ok(w.tb, err)
}

// show is the board.
func (w *world) show(s *migration.Service) *migration.Board {
	w.tb.Helper()
	b, err := s.Board(context.Background())
	ok(w.tb, err)
	return b
}

// line is the line of a service provider.
func line(tb testing.TB, b *migration.Board, id idp.EntityID) migration.Line {
	tb.Helper()
	for _, l := range b.SPs {
		if l.SP == id {
			return l
		}
	}
	tb.Fatalf("%s is not on the board", id)
	return migration.Line{}
}

var keyOnce = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func signer() crypto.Signer { return keyOnce() }

// testCert is a request certificate.
type testCert struct{ pem, sha256 string }

func requestCert(end time.Time) testCert {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(end.Unix()), Subject: pkix.Name{CommonName: "test SP"},
		NotBefore: at(2020, 1, 1), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, keyOnce().Public(), keyOnce())
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return testCert{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), certs.CertSHA256(cert)}
}
