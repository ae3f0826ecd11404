package rotator_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// TestKilledAtEachWrite kills the process at each write of each step. The next start must
// leave an installation that signs and has every published key. The step, repeated if it did
// not happen, must have the usual result.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	step := func(kind rotation.StepKind, y idp.Year) func(*testing.T, *rotator.Service) error {
		return func(t *testing.T, s *rotator.Service) error {
			_, err := s.Take(t.Context(), rotation.Step{Kind: kind, Year: y}, "test", false)
			return err
		}
	}
	automatic := func(t *testing.T, s *rotator.Service) error {
		_, err := s.TakeDueSteps(t.Context())
		return err
	}
	tests := []struct {
		name string
		// from and until: a server runs from one to the other before.
		from, until time.Time
		act         func(*testing.T, *rotator.Service) error
		writes      int
		want        map[idp.Year]rotation.State
	}{
		{"create", day(2026, 11, 22), day(2026, 11, 23), step(rotation.StepCreate, "2027"), 3,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
		{"publish", day(2026, 11, 22), day(2027, 1, 20), step(rotation.StepPublish, "2027"), 1,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}},
		{"prefer", day(2026, 11, 22), day(2027, 2, 10), step(rotation.StepPrefer, "2027"), 1,
			map[idp.Year]rotation.State{"2026": rotation.Expiring, "2027": rotation.Preferred}},
		{"rollback", day(2026, 11, 22), day(2027, 3, 10), step(rotation.StepRollback, "2026"), 1,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}},
		{"retire", day(2026, 11, 22), day(2027, 6, 20), step(rotation.StepRetire, "2026"), 1,
			map[idp.Year]rotation.State{"2026": rotation.Retired, "2027": rotation.Preferred}},
		{"destroy", day(2026, 11, 22), day(2027, 7, 10), step(rotation.StepDestroy, "2026"), 2,
			map[idp.Year]rotation.State{"2026": rotation.Retired, "2027": rotation.Preferred}},
		{"revoke", day(2026, 11, 22), day(2026, 11, 23), func(t *testing.T, s *rotator.Service) error {
			_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "leaked"}, "test", false)
			return err
		}, 3, map[idp.Year]rotation.State{"2026": rotation.Revoked, "2026b": rotation.Preferred}},
		{"automatic after downtime", day(2026, 11, 22), day(2027, 1, 14), automatic, 3,
			map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}},
	}
	for _, tt := range tests {
		for killAt := range tt.writes + 1 {
			t.Run(tt.name+" "+string(rune('0'+killAt)), func(t *testing.T) {
				t.Parallel()
				w := newDeployment(t, tt.from)
				s := w.started()
				w.run(tt.until, s)
				if tt.name == "automatic after downtime" {
					w.Clock.Set(day(2027, 1, 15))
				}
				before := w.status(s)

				k := &killer{DocumentStore: w.Bolt, Keys: w.Keys, left: killAt}
				dying := w.service()
				dying.Store, dying.Dir = w.Bolt, w.Keys
				ok(t, dying.Start(t.Context()))
				dying.Store, dying.Dir = k, k
				err := tt.act(t, dying)
				if k.killed != (killAt < tt.writes) || k.killed && !errors.Is(err, errKilled) || !k.killed && err != nil {
					t.Fatalf("killed = %v, error %v", k.killed, err)
				}

				s = w.started()
				w.checkInvariants(s, before)
				err = tt.act(t, s)
				if refused := new(rotation.RefusedError); err != nil && !errors.As(err, &refused) {
					t.Errorf("step taken again: %v", err)
				}
				w.checkInvariants(s, before)
				if diff := cmp.Diff(tt.want, states(w.status(s))); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestKilledFirstStartIsCompletedLater kills the first start at each write too.
func TestKilledFirstStartIsCompletedLater(t *testing.T) {
	t.Parallel()
	for killAt := 0; ; killAt++ {
		w := newDeployment(t, day(2027, 1, 20))
		k := &killer{DocumentStore: w.Bolt, Keys: w.Keys, left: killAt}
		s := w.service()
		s.Store, s.Dir = k, k
		_ = s.Begin(t.Context())
		s = w.started()
		_, err := s.TakeDueSteps(t.Context())
		ok(t, err)
		w.checkInvariants(s, rotation.Status{})
		want := map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Created}
		if diff := cmp.Diff(want, states(w.status(s))); diff != "" {
			t.Errorf("killed after %d writes: states (-want +got):\n%s", killAt, diff)
		}
		if !k.killed {
			if killAt < 6 {
				t.Errorf("a first start has %d writes", killAt)
			}
			return
		}
	}
}

// checkInvariants checks what must hold after every start: one year is preferred and signs,
// and who was published and is not over has its key.
func (w *deployment) checkInvariants(s *rotator.Service, before rotation.Status) {
	w.t.Helper()
	st := w.status(s)
	preferred := 0
	for _, y := range st.Years {
		if y.State == rotation.Preferred {
			preferred++
		}
	}
	e, err := s.Ring.Preferred(w.Clock.Now())
	if err != nil || preferred != 1 || e.Year() != st.Preferred {
		w.t.Fatalf("%d preferred years, %q in the store, %q in the ring: %v", preferred, st.Preferred, e.Year(), err)
	}
	sum := sha256.Sum256([]byte("something"))
	sig, err := e.Key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	ok(w.t, err)
	ok(w.t, rsa.VerifyPKCS1v15(e.Key.Cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], sig))
	keys, err := w.Keys.Load()
	ok(w.t, err)
	for _, y := range slices.Concat(before.Years, st.Years) {
		if y.PublishedAt.IsZero() || states(st)[y.Year].IsOver() {
			continue
		}
		if !slices.ContainsFunc(keys, func(k *certs.Key) bool { return k.Year == y.Year && k.Signer != nil && k.Cert != nil }) {
			w.t.Errorf("the key of %s, which is %s, is lost", y.Year, y.State)
		}
	}
	for _, k := range keys {
		if y := st.Years[slices.IndexFunc(st.Years, func(y rotation.YearStatus) bool { return y.Year == k.Year })]; k.Signer != nil && !y.KeyDestroyedAt.IsZero() {
			w.t.Errorf("the key of %s is there and recorded as destroyed", k.Year)
		}
	}
}
