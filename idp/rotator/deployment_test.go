package rotator_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
)

// deployment is an installation whose rotation is tried out.
type deployment struct {
	*fixture.Fixture
	t *testing.T
}

func newDeployment(t *testing.T, now time.Time) *deployment {
	t.Helper()
	return &deployment{fixture.New(t, now, nil), t}
}

// openDeployment opens the installation in a folder, or makes it.
func openDeployment(t *testing.T, folder string, master []byte, now time.Time) *deployment {
	t.Helper()
	key, err := seal.NewMaster(master)
	ok(t, err)
	return &deployment{fixture.Open(t, folder, key, now, nil), t}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// service returns a server's that is not started yet.
func (w *deployment) service() *rotator.Service { return w.Server().Rotation }

// use notes in a server's ledger that a service provider uses the year, now.
func (w *deployment) use(s *rotator.Service, y idp.Year) {
	s.Uses.(interface{ Use(u idp.Use) }).Use(idp.Use{SP: "urn:a", Year: y, At: w.Clock.Now()})
}

// started returns a server's, in a new installation after its init.
func (w *deployment) started() *rotator.Service {
	w.t.Helper()
	s := w.service()
	ok(w.t, w.start(s))
	return s
}

// start starts a server, or begins an installation where nothing is recorded.
func (w *deployment) start(s *rotator.Service) error {
	w.t.Helper()
	docs, err := w.Bolt.Documents(w.t.Context(), idp.RotationKind, idp.DocumentQuery{Keys: []string{idp.RotationKey}})
	ok(w.t, err)
	var h rotation.History
	if len(docs) > 0 {
		ok(w.t, json.Unmarshal(docs[0].Data, &h))
	}
	if len(h.Records) == 0 {
		return s.Begin(w.t.Context())
	}
	return s.Start(w.t.Context())
}

// run lets a server run, day by day, and take what is due.
func (w *deployment) run(to time.Time, servers ...*rotator.Service) {
	w.t.Helper()
	for w.Clock.Now().Before(to) {
		w.Clock.Set(w.Clock.Now().AddDate(0, 0, 1))
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				if err := s.Tick(w.t.Context(), 24*time.Hour); err != nil {
					w.t.Error(err)
				}
				if _, err := s.TakeDueSteps(w.t.Context()); err != nil {
					w.t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func (w *deployment) status(s *rotator.Service) rotation.Status {
	w.t.Helper()
	st, err := s.Status(w.t.Context(), nil)
	ok(w.t, err)
	return st
}

// take takes a step by hand that must work.
func (w *deployment) take(s *rotator.Service, step rotation.Step) *rotator.Outcome {
	w.t.Helper()
	o, err := s.Take(w.t.Context(), step, "test", false)
	ok(w.t, err)
	return o
}

// trail returns the rotation's steps in the audit trail, with their days.
func (w *deployment) trail() (steps []string) {
	w.t.Helper()
	records, err := audit.Records(w.t.Context(), w.Bolt, 0, 1000)
	ok(w.t, err)
	for _, r := range records {
		steps = append(steps, r.At.Format(time.DateOnly)+" "+strings.TrimPrefix(string(r.Kind), "rotation.")+" "+string(r.Year))
	}
	return steps
}

// states returns the states of the years that were made.
func states(st rotation.Status) map[idp.Year]rotation.State {
	m := map[idp.Year]rotation.State{}
	for _, y := range st.Years {
		if y.State != rotation.Planned {
			m[y.Year] = y.State
		}
	}
	return m
}

var errKilled = errors.New("killed")

// killer is the document store between a service and its disk that fails after a number of
// writes, as if the process were dead.
type killer struct {
	idp.DocumentStore
	rotator.Keys
	left   int
	killed bool
}

func (k *killer) write() error {
	if k.left == 0 {
		k.killed = true
		return errKilled
	}
	k.left--
	return nil
}

func (k *killer) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.DocumentStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

// Save makes two writes: the private key, then the certificate if there is one.
func (k *killer) Save(key *certs.Key) error {
	if err := k.write(); err != nil {
		return err
	}
	if key.Cert == nil {
		return k.Keys.Save(key)
	}
	if err := k.Keys.Save(&certs.Key{Year: key.Year, Signer: key.Signer, External: key.External}); err != nil {
		return err
	}
	if err := k.write(); err != nil {
		return err
	}
	return k.Keys.Save(key)
}

func (k *killer) Destroy(y idp.Year) error {
	if err := k.write(); err != nil {
		return err
	}
	return k.Keys.Destroy(y)
}
