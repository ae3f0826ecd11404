package rotator_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/usage"
)

// retirement returns the error of retiring the year by hand.
func retirement(t *testing.T, s *rotator.Service, y idp.Year, dryRun bool) error {
	t.Helper()
	_, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: y}, "test", dryRun)
	return err
}

func wantUsed(t *testing.T, what string, err error) {
	t.Helper()
	var refused *rotation.RefusedError
	if !errors.As(err, &refused) || !refused.Reason.IsUse() {
		t.Errorf("%s: %v, want a refusal because the year is used", what, err)
	}
}

func wantState(t *testing.T, what string, w *deployment, s *rotator.Service, y idp.Year, want rotation.State) {
	t.Helper()
	if got := states(w.status(s))[y]; got != want {
		t.Errorf("%s: %s is %s, want %s", what, y, got, want)
	}
}

// TestUseSurvivesKillBeforeTick kills a server after the ledger wrote a use and before the
// rotation's Tick recorded it. The next server counts 14 days without use from its start,
// because that use was the last known one.
func TestUseSurvivesKillBeforeTick(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	killed := w.started()
	w.run(day(2027, 6, 30), killed) // 2026 is unused, and can be retired
	w.Clock.Set(day(2027, 6, 30).Add(23 * time.Hour))
	ok(t, retirement(t, killed, "2026", true))
	w.use(killed, "2026")
	ok(t, killed.Uses.(*usage.Ledger).Flush(t.Context()))

	w.Clock.Set(day(2027, 7, 1))
	next := w.started()
	wantUsed(t, "at once", retirement(t, next, "2026", false))
	ok(t, next.Tick(t.Context(), 0))
	if r := w.status(next).Years[0]; !r.UsedAt.Equal(day(2027, 6, 30).Add(23*time.Hour)) || r.QuietReading != w.status(next).Clock.RunningTime {
		t.Errorf("after the first Tick: used at %s, quiet from %s of %s", r.UsedAt, r.QuietReading, w.status(next).Clock.RunningTime)
	}
	w.run(day(2027, 7, 14), next)
	wantState(t, "13 days later", w, next, "2026", rotation.Grace)
	w.run(day(2027, 7, 15), next)
	wantState(t, "14 days later", w, next, "2026", rotation.Retired)
}

// TestOtherServersUsesKeepYear has two servers on one store, of which one gets all the use
// of a year. The other must not retire it.
func TestOtherServersUsesKeepYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	here, there := w.started(), w.started()
	w.run(day(2027, 6, 30), here)
	for w.Clock.Now().Before(day(2027, 8, 1)) {
		w.use(there, "2026")
		ok(t, there.Uses.(*usage.Ledger).Flush(t.Context()))
		w.run(w.Clock.Now().AddDate(0, 0, 1), here)
		wantState(t, w.Clock.Now().String(), w, here, "2026", rotation.Grace)
		wantUsed(t, "by hand", retirement(t, here, "2026", false))
	}
	w.run(day(2027, 8, 14), here)
	wantState(t, "13 days after the last use", w, here, "2026", rotation.Grace)
	w.run(day(2027, 8, 15), here)
	wantState(t, "14 days after the last use", w, here, "2026", rotation.Retired)
}

// asked is a ledger in which something happens after it was first asked.
type asked struct {
	*usage.Ledger
	then func()
}

func (a *asked) LastUses(ctx context.Context) (map[idp.Year]time.Time, error) {
	last, err := a.Ledger.LastUses(ctx)
	a.then()
	return last, err
}

// TestUseBeforeRecordKeepsYear checks that an allowed retirement is decided again when it is
// recorded, with the uses noted meanwhile.
func TestUseBeforeRecordKeepsYear(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s := w.started()
	w.run(day(2027, 6, 30), s)
	ok(t, retirement(t, s, "2026", true))
	s.Uses = &asked{s.Uses.(*usage.Ledger), sync.OnceFunc(func() { w.use(s, "2026") })}
	wantUsed(t, "recorded", retirement(t, s, "2026", false))
	wantState(t, "afterwards", w, s, "2026", rotation.Grace)
}

// unreadable is a store whose documents cannot be read.
type unreadable struct{ idp.DocumentStore }

var errUnreadable = errors.New("disk is broken")

func (unreadable) Documents(context.Context, string, idp.DocumentQuery) ([]idp.Document, error) {
	return nil, errUnreadable
}

// TestUnreadableLedgerRetiresNothing checks that while the ledger of uses cannot be read, no
// year is retired, forced or not, and that the step leaves no failure behind. Running time
// counts, other steps are taken, and years are closed.
func TestUnreadableLedgerRetiresNothing(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	s, other := w.started(), w.started()
	w.run(day(2027, 6, 30), s)
	w.Clock.Set(day(2027, 7, 1)) // the day on which 2026 is retired
	ledger := s.Uses.(*usage.Ledger)
	ledger.Store = unreadable{w.Bolt}

	before := w.status(s).Clock.RunningTime
	if err := s.Tick(t.Context(), 24*time.Hour); !errors.Is(err, errUnreadable) {
		t.Errorf("tick: %v", err)
	}
	if st := w.status(s); st.Clock.RunningTime != before+24*time.Hour || !st.Clock.SeenAt.Equal(day(2027, 7, 1)) {
		t.Errorf("the clock is at %+v", st.Clock)
	}
	for range 2 {
		if taken, err := s.TakeDueSteps(t.Context()); !errors.Is(err, errUnreadable) || len(taken) > 0 {
			t.Errorf("automatic: %v, %v", taken, err)
		}
	}
	all := w.status(s).Attention
	if slices.ContainsFunc(all, func(a rotation.Attention) bool { return a.Code == rotation.StepFailed }) {
		t.Errorf("the step counts as failed: %+v", all)
	}
	for _, dryRun := range []bool{true, false} {
		for _, force := range []bool{true, false} {
			step := rotation.Step{Kind: rotation.StepRetire, Year: "2026", Force: force, Reason: "test"}
			if _, err := s.Take(t.Context(), step, "test", dryRun); !errors.Is(err, errUnreadable) {
				t.Errorf("retire, force %v, dry run %v: %v", force, dryRun, err)
			}
		}
		if _, err := s.Retire(t.Context(), rotation.Step{Kind: rotation.StepRetire, Year: "2026"}, "test", dryRun); !errors.Is(err, errUnreadable) {
			t.Errorf("retire and destroy, dry run %v: %v", dryRun, err)
		}
	}
	w.take(s, rotation.Step{Kind: rotation.StepCreate, Year: "2028"})
	if _, err := s.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2028", Reason: "leaked"}, "test", false); err != nil {
		t.Errorf("revoke: %v", err)
	}
	wantState(t, "revoked", w, s, "2028", rotation.Revoked)
	wantState(t, "not retired", w, s, "2026", rotation.Grace)

	// Another server, which can read, ends the year: it is closed here, too.
	ok(t, retirement(t, other, "2026", false))
	if err := s.Tick(t.Context(), 0); !errors.Is(err, errUnreadable) {
		t.Errorf("tick: %v", err)
	}
	if e, _ := s.Ring.Lookup("2026", w.Clock.Now()); e.State != rotation.Retired {
		t.Errorf("2026 is %s to requests", e.State)
	}
}

// TestRunningTimeIsRecordedOnce checks that running time is recorded once, whatever else of
// a Tick fails: too much running time would retire a year in use.
func TestRunningTimeIsRecordedOnce(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, day(2026, 11, 22))
	synctest.Test(t, func(t *testing.T) {
		policy := rotation.DefaultPolicy()
		policy.Manual = true
		broken := w.Server().Usage
		broken.Store, broken.Clock = unreadable{w.Bolt}, time.Now
		begin := time.Now()
		s := &rotator.Service{
			Uptime: func() time.Duration { return time.Since(begin) },
			Uses:   broken, Store: &memory{}, Dir: w.Keys, Ring: keyring.NewRing(policy), Policy: policy,
			BaseURL: "https://login.example.gov", Clock: time.Now, NewSigner: fixture.NewSigners(), Log: broken.Log,
		}
		ok(t, s.Begin(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			s.Run(ctx)
			close(ended)
		}()
		time.Sleep(time.Hour) // the bubble's clock
		stop()
		<-ended
		st, err := s.Status(t.Context(), nil)
		ok(t, err)
		if st.Clock.RunningTime != time.Hour {
			t.Errorf("running time %v after an hour", st.Clock.RunningTime)
		}
	})
}
