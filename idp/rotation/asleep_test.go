package rotation

import (
	"slices"
	"testing"
	"time"

	"vernal/idp"
)

// TestAsleepIsNoQuietTime checks that the time for which a machine sleeps counts as running
// time, so that its clock is right afterwards. It does not count as quiet time, because no
// service provider could use a year, and does not prove that a clock is right.
func TestAsleepIsNoQuietTime(t *testing.T) {
	t.Parallel()
	for _, asleep := range []time.Duration{15 * day, 100 * day} {
		w := firstStart(t, "2026-11-22")
		w.used = []idp.Year{"2026", "2027"}
		w.run("2027-07-05")
		w.now = w.now.Add(asleep)
		w.h = w.h.Tick(w.now, asleep).ExcludeSleep(asleep)
		if !w.h.Clock.IsTrusted() {
			t.Errorf("asleep for %s: the clock is not trusted: %+v", asleep, w.h.Clock)
		}
		for _, s := range w.p.Steps(w.h, w.now) {
			if s.Kind == StepRetire {
				t.Errorf("asleep for %s: %s is retired", asleep, s.Year)
			}
		}
	}
	jumped := History{}.Tick(at("2027-05-01"), 0).Tick(at("2027-08-01"), 0)
	if h := jumped.Tick(at("2027-08-20"), 19*day).ExcludeSleep(19 * day); h.Clock.countUntrustedTime() > QuietTime || jumped.Clock.IsTrusted() {
		t.Errorf("after a jump and sleep: %+v", h.Clock)
	}
}

// TestClockSuggestionKeepsRollback checks that a suggestion about the clock does not end a
// rollback.
func TestClockSuggestionKeepsRollback(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-03-15").hand("rollback 2026").drift()
	found := 0
	for _, a := range w.p.Attention(w.h, w.now, nil) {
		for _, s := range a.Suggestions {
			if s.Do == idp.DoRotationResume {
				t.Errorf("%s suggests to resume: %+v", a.Code, a.Reasons)
			}
			if s.Do == idp.DoRotationConfirmClock {
				found++
			}
		}
		if a.Code == StepHeld && !slices.ContainsFunc(a.Reasons, func(r Reason) bool { return r.Code == WaitsHold }) {
			t.Errorf("the rollback is not among what the step waits for: %+v", a.Reasons)
		}
	}
	if found == 0 {
		t.Error("nothing helps with the clock")
	}
}

// TestFailureEndsWithItsStep checks that a failed step needs attention as long as it is the
// next one.
func TestFailureEndsWithItsStep(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-07-01")
	w.h = w.h.Fail(Step{Kind: StepDestroy, Year: "2026"}, w.now, "the disk is full")
	w.wantAttention(t, "step_failed 2026")
	s := w.p.Attention(w.h, w.now, nil)[0].Suggestions[0]
	if s.Do != idp.DoRotationRetire || len(s.Options) == 0 || s.Options[0].Name != idp.OptionDestroyNow {
		t.Errorf("suggested for a key that must be destroyed: %+v", s)
	}
	w.h = w.h.edit("2026", func(r *Record) { r.KeyDestroyedAt = w.now })
	w.wantAttention(t)
}
