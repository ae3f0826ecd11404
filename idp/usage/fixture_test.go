package usage

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/seal"
	"vernal/idp/sp"
	"vernal/idp/store/bolt"
)

const (
	spA = idp.EntityID("https://a.example")
	spB = idp.EntityID("https://b.example")
)

// installation has a real store, and a clock that a test sets. Its years 2026 and
// 2027 are made, and 2026 is preferred.
type installation struct {
	tb       testing.TB
	store    *bolt.Store
	registry *sp.Registry
	years    *keyring.Ring
	history  rotation.History
	keys     []*certs.Key

	mu  sync.Mutex
	now time.Time
}

func noon(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var signer = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newInstallation(tb testing.TB, now time.Time) *installation {
	tb.Helper()
	in := &installation{tb: tb, now: now}
	master, err := seal.NewMaster(make([]byte, seal.MasterSize))
	ok(tb, err)
	in.store, err = bolt.Open(filepath.Join(tb.TempDir(), "vernal.db"), bolt.Options{Masters: seal.NewMasters(master), Clock: in.clock})
	ok(tb, err)
	tb.Cleanup(func() { ok(tb, in.store.Close()) })
	in.registry = sp.New(in.store, in.clock)
	policy := rotation.DefaultPolicy()
	in.years = keyring.NewRing(policy)
	for _, y := range []idp.Year{"2026", "2027"} {
		k, err := certs.Certify(rand.Reader, signer(), y, policy.Dates(y).CertEndAt, certs.Spec{}, "https://a.example", noon(2024, 1, 15))
		ok(tb, err)
		in.keys = append(in.keys, k)
		in.history = in.history.Apply(rotation.Step{
			Kind: rotation.StepCreate, Year: y, CertEndAt: k.Cert.NotAfter,
			CertificateSHA256: certs.CertSHA256(k.Cert), PublicKeySHA256: certs.PublicKeySHA256(k.Signer.Public()),
		}, noon(2024, 1, 15))
	}
	in.step(rotation.StepPublish, "2026")
	in.step(rotation.StepPrefer, "2026")
	return in
}

// step takes a step of the rotation, now.
func (in *installation) step(kind rotation.StepKind, y idp.Year) {
	in.tb.Helper()
	in.history = in.history.Apply(rotation.Step{Kind: kind, Year: y, Reason: "test"}, in.clock())
	if in.history.Preferred != "" {
		ok(in.tb, in.years.SetHistory(in.history, in.keys))
	}
}

func (in *installation) clock() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.now
}

func (in *installation) set(to time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.now = to
}

// ledger returns the ledger of a server that starts.
func (in *installation) ledger() *Ledger {
	return &Ledger{Store: in.store, Registry: in.registry, Years: in.years, Clock: in.clock, Log: slog.New(slog.DiscardHandler)}
}

// add registers a service provider.
func (in *installation) add(id idp.EntityID, change ...func(*idp.ServiceProvider)) {
	in.tb.Helper()
	p := sp.Defaults()
	p.EntityID, p.Name, p.ACSURLs, p.SignRequests = id, "SP "+string(id), []string{"https://sp.example/acs"}, idp.SignRequestsOptional
	for _, c := range change {
		c(p)
	}
	_, err := in.registry.Add(in.tb.Context(), p, sp.Options{}, "test")
	ok(in.tb, err)
}

// use notes a plain signed use, now.
func (in *installation) use(l *Ledger, id idp.EntityID, y idp.Year) {
	l.Use(idp.Use{SP: id, Year: y, At: in.clock(), CertSHA256: strings.Repeat("a", 64), IssuedAt: in.clock()})
}

func (in *installation) read(l *Ledger) *Snapshot {
	in.tb.Helper()
	s, err := l.Read(context.Background())
	ok(in.tb, err)
	return s
}

func (in *installation) lastUses(l *Ledger) map[idp.Year]time.Time {
	in.tb.Helper()
	last, err := l.LastUses(context.Background())
	ok(in.tb, err)
	return last
}

// counts returns an SP's uses of the last 30 days, by year.
func (in *installation) counts(l *Ledger, id idp.EntityID) map[idp.Year]int {
	in.tb.Helper()
	counts := map[idp.Year]int{}
	for _, u := range in.read(l).Uses[id] {
		counts[u.Year] = u.Days.Sum(ComputeDay(in.clock()), 30)
	}
	return counts
}

// store fails on demand, and does something before a list is read.
type store struct {
	idp.DocumentStore
	full   bool
	room   int // how many updates fit; 0 for any number
	before func()
}

func (s *store) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if s.full {
		return errors.New("disk is full")
	}
	if s.room > 0 {
		s.room--
		s.full = s.room == 0
	}
	return s.DocumentStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

func (s *store) Documents(ctx context.Context, kind string, q idp.DocumentQuery) ([]idp.Document, error) {
	if s.before != nil && q.All {
		s.before()
	}
	return s.DocumentStore.Documents(ctx, kind, q)
}
