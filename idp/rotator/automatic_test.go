package rotator_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
)

// TestServersTakeEveryStepOnce runs from a first start in November through two springs.
// Servers that share a store must take every step once, on its date.
func TestServersTakeEveryStepOnce(t *testing.T) {
	t.Parallel()
	want := []string{
		"2026-11-22 create 2026", "2026-11-22 publish 2026", "2026-11-22 prefer 2026",
		"2027-01-15 create 2027", "2027-02-01 publish 2027", "2027-03-01 prefer 2027",
		"2027-07-01 retire 2026", "2027-07-31 destroy 2026",
		"2028-01-15 create 2028", "2028-02-01 publish 2028", "2028-03-01 prefer 2028",
		"2028-07-01 retire 2027", "2028-07-31 destroy 2027",
	}
	for _, servers := range []int{1, 2} {
		t.Run(strings.Repeat("I", servers), func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, day(2026, 11, 22))
			var all []*rotator.Service
			for range servers {
				all = append(all, w.started())
			}
			w.run(day(2028, 8, 5), all...)
			if diff := cmp.Diff(want, w.trail()); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			for _, s := range all {
				w.checkInvariants(s, rotation.Status{})
				if e, found := s.Ring.Lookup("2026", w.Clock.Now()); !found || e.State != rotation.Retired || e.Key.Signer != nil || e.Key.Cert == nil {
					t.Errorf("2026 in the ring is %+v", e)
				}
			}
		})
	}
}

func TestManualModeOnlyReminds(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	w.Policy.Manual = true
	s := w.started()
	w.run(day(2027, 1, 20), s)
	want := []string{"2026-11-22 create 2026", "2026-11-22 publish 2026", "2026-11-22 prefer 2026"}
	if diff := cmp.Diff(want, w.trail()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if len(w.status(s).Attention) == 0 {
		t.Error("nothing needs attention")
	}
}

// TestUsedYearIsNotRetired checks that a noted use counts at once, and is written with the
// next Tick.
func TestUsedYearIsNotRetired(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 6, 20), s)
	w.use(s, "2026")
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: "2026"}, "test", true)
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) || !refused.Reason.IsUse() {
		t.Fatalf("retire of a used year: %v", err)
	}
	w.run(day(2027, 6, 21), s)
	w.run(day(2027, 7, 2), w.started()) // it has survived
	if got := states(w.status(s))["2026"]; got != rotation.Grace {
		t.Errorf("used year is %s, want %s", got, rotation.Grace)
	}
	w.run(day(2027, 7, 10), s)
	if got := states(w.status(s))["2026"]; got != rotation.Retired {
		t.Errorf("year unused for 14 days is %s, want %s", got, rotation.Retired)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	trail := w.trail()
	o, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "leaked"}, "test", true)
	ok(t, err)
	if states(o.Before)["2026"] != rotation.Preferred || states(o.After)["2026"] != rotation.Revoked || o.After.Preferred != "2026b" || !o.DryRun {
		t.Errorf("outcome: %v, then %v", states(o.Before), states(o.After))
	}
	keys, err := w.Keys.Load()
	ok(t, err)
	if diff := cmp.Diff(trail, w.trail()); diff != "" || len(keys) != 1 || w.status(s).Preferred != "2026" {
		t.Errorf("a dry run left %d keys and steps (-want +got):\n%s", len(keys), diff)
	}
}

// TestFailedStepIsRetried checks that a failed step is reported, tried again, and no longer
// reported once it works.
func TestFailedStepIsRetried(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 1, 14), s)
	w.Clock.Set(day(2027, 1, 15))
	s.Dir = fullDisk{w.Keys}
	for range 2 {
		if taken, err := s.TakeDueSteps(t.Context()); err == nil || len(taken) > 0 {
			t.Errorf("Automatic = %v, %v", taken, err)
		}
	}
	at := w.status(s).Attention
	if len(at) != 1 || at[0].Code != rotation.StepFailed || !strings.Contains(at[0].Args.Value, "disk is full") {
		t.Errorf("attention: %v", at)
	}
	s.Dir = w.Keys
	taken, err := s.TakeDueSteps(t.Context())
	ok(t, err)
	if len(taken) != 1 || taken[0].Kind != rotation.StepCreate || len(w.status(s).Attention) != 0 {
		t.Errorf("taken %v, attention %v", taken, w.status(s).Attention)
	}
}

type fullDisk struct{ rotator.Keys }

func (fullDisk) Save(*certs.Key) error { return errors.New("disk is full") }

// makeKeys makes the keys of years as init does.
func (w *deployment) makeKeys(years ...idp.Year) {
	w.t.Helper()
	for _, y := range years {
		ok(w.t, w.Keys.Save(w.NewYear(y)))
	}
}

// TestStartWithoutHistoryOpensNoYear checks that a store that records no year opens none, in
// either mode and whatever keys exist: a lost or replaced history must not be made up. Steps
// can be taken.
func TestStartWithoutHistoryOpensNoYear(t *testing.T) {
	t.Parallel()
	for _, years := range [][]idp.Year{nil, {"2026"}, {"2026", "2027"}} {
		for _, manual := range []bool{false, true} {
			w := newDeployment(t, day(2027, 2, 10))
			w.Policy.Manual = manual
			w.makeKeys(years...)
			s := w.service()
			if err := s.Start(t.Context()); !errors.Is(err, rotator.ErrNoHistory) || !errors.Is(err, keyring.ErrNoSigner) {
				t.Errorf("keys of %v: Start = %v", years, err)
			}
			if live := s.Ring.All(w.Clock.Now()); len(live) != 0 || len(w.trail()) != 0 || w.status(s).Preferred != "" {
				t.Errorf("keys of %v: years %v, steps %q", years, live, w.trail())
			}
			keys, err := w.Keys.Load()
			ok(t, err)
			if len(keys) != len(years) {
				t.Errorf("keys of %v: %d are there now", years, len(keys))
			}
			w.take(s, rotation.Step{Kind: rotation.StepCreate, Year: "2028"})
			ok(t, w.service().Start(t.Context()))
		}
	}
}

// TestExistingKeysAreAdoptedOnce checks that the keys made by init are recorded at once, and
// that the store decides from then on.
func TestExistingKeysAreAdoptedOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2027, 2, 10))
	w.makeKeys("2026", "2027")
	s := w.started()
	want := map[idp.Year]rotation.State{"2026": rotation.Preferred, "2027": rotation.Published}
	if diff := cmp.Diff(want, states(w.status(s))); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	w.started()
	if diff := cmp.Diff([]string{"2027-02-10 adopt 2026", "2027-02-10 adopt 2027"}, w.trail()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestLostPreferredKeyCanBeReplaced checks that without the key of the preferred year
// nothing can be signed, and that steps can fix that.
func TestLostPreferredKeyCanBeReplaced(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	w.started()
	ok(t, w.Keys.Destroy("2026"))
	s := w.service()
	if err := s.Start(t.Context()); !errors.Is(err, keyring.ErrNoSigner) {
		t.Fatalf("Start = %v", err)
	}
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "lost"}, "test", false)
	ok(t, err)
	w.checkInvariants(s, rotation.Status{})
	w.checkInvariants(w.started(), rotation.Status{})
}

// TestWrongClockEndsNoYear checks that a clock in the far future ends no year.
func TestWrongClockEndsNoYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2027, 3, 10))
	w.started()
	w.Clock.Set(day(2031, 3, 10))
	s := w.started()
	ok(t, s.Tick(t.Context(), time.Minute))
	_, err := s.TakeDueSteps(t.Context())
	ok(t, err)
	for y, state := range states(w.status(s)) {
		if state.IsOver() {
			t.Errorf("%s is %s", y, state)
		}
	}
	w.take(s, rotation.Step{Kind: rotation.StepConfirm})
	if !w.status(s).Clock.IsTrusted() {
		t.Error("the clock was confirmed and is not trusted")
	}
}

// TestServerFollowsStepsOfAnother checks that a server follows another server's manual step
// with its next Tick.
func TestServerFollowsStepsOfAnother(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	a, b := w.started(), w.started()
	w.take(a, rotation.Step{Kind: rotation.StepCreate, Year: "2027"})
	w.take(a, rotation.Step{Kind: rotation.StepPublish, Year: "2027"})
	before, err := b.Ring.Preferred(w.Clock.Now())
	ok(t, err)
	ok(t, b.Tick(t.Context(), time.Minute))
	if e, _ := b.Ring.Lookup("2027", w.Clock.Now()); e.State != rotation.Published {
		t.Errorf("2027 is %q at the other server", e.State)
	}
	if after, err := b.Ring.Preferred(w.Clock.Now()); err != nil || after.Key != before.Key {
		t.Errorf("the key of 2026, which did not change, has another pointer: %v", err)
	}
}

// between runs something just before the first write.
type between struct {
	idp.DocumentStore
	first sync.Once
	do    func()
}

func (b *between) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(*idp.Document) error, events ...idp.AuditEvent) error {
	b.first.Do(b.do)
	return b.DocumentStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

// TestClaimSeesTheHold checks that a step is not taken if it was due when it was chosen and
// is held when it is claimed, because an operator rolled back on another server meanwhile.
func TestClaimSeesTheHold(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s, other := w.started(), w.started()
	w.run(day(2027, 2, 28), s)
	w.Clock.Set(day(2027, 3, 1))
	s.Store = &between{DocumentStore: w.Bolt, do: func() {
		w.take(other, rotation.Step{Kind: rotation.StepPrefer, Year: "2027"})
		w.take(other, rotation.Step{Kind: rotation.StepRollback, Year: "2026"})
	}}
	taken, err := s.TakeDueSteps(t.Context())
	if err != nil || len(taken) != 0 || w.status(s).Preferred != "2026" {
		t.Errorf("took %v: %v; %s is preferred", taken, err, w.status(s).Preferred)
	}
	if len(w.status(s).Attention) != 1 {
		t.Errorf("attention: %v; want the hold alone", w.status(s).Attention)
	}
}
