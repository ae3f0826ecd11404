package audit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
)

var trailStart = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// deployment is a store with its trail, in a folder where it can be tampered with.
type deployment struct {
	*audit.Service
	tb      testing.TB
	fixture *fixture.Fixture
	year    *certs.Key
}

func newDeployment(tb testing.TB) *deployment {
	tb.Helper()
	w := &deployment{tb: tb, fixture: fixture.New(tb, trailStart, nil)}
	w.year = w.fixture.NewYear("2031")
	w.serve()
	return w
}

// serve begins with the trail of a store that was opened.
func (w *deployment) serve() {
	w.tb.Helper()
	f := w.fixture
	ok(w.tb, f.Years.SetHistory(f.Policy.Begin([]rotation.MadeKey{keyring.DescribeKey(w.year)}, trailStart), []*certs.Key{w.year}))
	w.Service = f.Trail
}

// edit changes the file behind the store's back.
func (w *deployment) edit(change func(*bbolt.Tx) error) {
	w.tb.Helper()
	w.fixture.Close()
	db, err := bbolt.Open(w.fixture.StoreFile(), 0o600, &bbolt.Options{Timeout: time.Second})
	ok(w.tb, err)
	ok(w.tb, errors.Join(db.Update(change), db.Close()))
	w.fixture.Reopen()
	w.serve()
}

// add appends n events, every second one with an IP address.
func (w *deployment) add(n int) {
	w.tb.Helper()
	events := make([]idp.AuditEvent, n)
	for i := range events {
		events[i] = idp.AuditEvent{Kind: "authn", Outcome: "ok", Actor: "user:u1", User: "u1", Detail: map[string]string{"n": fmt.Sprint(i)}}
		if i%2 == 0 {
			events[i].IPAddress = "192.0.2.7"
		}
	}
	ok(w.tb, w.fixture.Bolt.AppendAudit(w.tb.Context(), events...))
}

// verify verifies the whole trail, in parts.
func (w *deployment) verify(at *audit.Place) (audit.Progress, error) {
	w.tb.Helper()
	var p audit.Progress
	var err error
	for !p.Done && err == nil {
		p, err = w.Verify(w.tb.Context(), p, at, 0)
	}
	return p, err
}

func (w *deployment) whole() audit.Progress {
	w.tb.Helper()
	p, err := w.verify(nil)
	ok(w.tb, err)
	if p.Broken != nil {
		w.tb.Errorf("record %d %s", p.Broken.Seq, p.Broken.Problem)
	}
	return p
}

func (w *deployment) place(seq uint64) audit.Place {
	w.tb.Helper()
	records, err := audit.Records(w.tb.Context(), w.fixture.Bolt, seq-1, 1)
	ok(w.tb, err)
	return audit.Place{Seq: seq, Hash: records[0].Hash}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
