package rotation

import (
	"testing"
	"time"

	"vernal/idp"
)

// TestRetirementWaitsForUse checks that a due year that is still used stays, is checked
// every day, and needs attention. Force overrides that and nothing else.
func TestRetirementWaitsForUse(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22")
	w.used = []idp.Year{"2026", "2027"}
	w.run("2027-07-01")
	w.log = nil
	w.run("2027-09-01").wantLog(t)
	w.wantStates(t, states{"2026": Grace, "2027": Preferred})
	w.wantAttention(t, "certificate_ended 2026", "step_held 2026")

	err := w.try(w.step("retire 2026"))
	wantRefused(t, err, newReason(WaitsUsed, Args{At: at("2027-09-01"), Days: 14, DaysLeft: 14}))
	forced := w.p
	if _, err := forced.Take(w.step("retire 2026 force"), w.h, w.now); err != nil {
		t.Errorf("force: %v", err)
	}
	w.used = nil
	w.run("2027-09-20").wantLog(t, "2027-09-15 retire 2026")
}

// TestQuietTimeIsRunningTime checks that the 14 days are days on which the server runs.
func TestQuietTimeIsRunningTime(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22")
	w.used = []idp.Year{"2026"}
	w.run("2027-06-25")
	w.used, w.log = nil, nil
	w.down("2027-07-25").run("2027-09-01").wantLog(t, "2027-08-08 retire 2026")
}

// TestQuietTimeBeginsWithPublishing checks that a year published just now has not been quiet
// for 14 days.
func TestQuietTimeBeginsWithPublishing(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22")
	w.p.Manual = true
	w.hand("create 2027", "create 2028", "publish 2028").run("2027-06-01").hand("publish 2027", "prefer 2027", "prefer 2028")
	wantRefused(t, w.try(w.step("retire 2027")), newReason(WaitsNotSeenUnused, Args{Days: 14, DaysLeft: 14}))
	w.run("2027-06-15").hand("retire 2027")
}

// TestClockJumpIsSeenAtOnce checks that the first decision after a jump sees it, whether or
// not a Tick has recorded it.
func TestClockJumpIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-06-30")
	w.now = at("2027-09-01")
	for _, s := range w.p.Steps(w.h, w.now) {
		t.Errorf("%s %s is taken", s.Kind, s.Year)
	}
	wantRefused(t, w.try(w.step("retire 2026")), newReason(WaitsClockJumped, Args{FromAt: at("2027-06-30"), ToAt: at("2027-09-01"), DaysLeft: 14}))
	w.wantAttention(t, "certificate_ended 2026", "clock_untrusted", "step_held 2026")
	if w.hand("create 2028"); w.h.Clock.IsTrusted() || w.h.Clock.SeenAt != w.now {
		t.Errorf("a step that is taken writes it down: %+v", w.h.Clock)
	}
}

func TestClockJumpEndsNoYear(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		from, to string
		ran      time.Duration
		trusted  bool
	}{
		{"an hour", "2027-05-01", "2027-05-01T01:00:00Z", 0, true},
		{"45 days", "2027-05-01", "2027-06-15", 0, true},
		{"over 45 days", "2027-05-01", "2027-06-15T00:00:01Z", 0, false},
		{"46 days that the server ran", "2027-05-01", "2027-06-16", 46 * day, true},
		{"six seconds backward", "2027-05-01T00:00:06Z", "2027-05-01", 0, false},
		{"backward while running", "2027-05-01T00:00:06Z", "2027-05-01", time.Minute, false},
		{"a year backward", "2027-05-01", "2026-05-01", 0, false},
		{"standing still", "2027-05-01", "2027-05-01", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := History{}.Tick(at(tt.from), 0).Tick(at(tt.to), tt.ran)
			if h.Clock.IsTrusted() != tt.trusted {
				t.Errorf("trusted = %v, want %v: %+v", h.Clock.IsTrusted(), tt.trusted, h.Clock)
			}
			if h.Clock.SeenAt != at(tt.to) || h.Clock.RunningTime != tt.ran {
				t.Errorf("clock = %+v", h.Clock)
			}
		})
	}
}

// TestSmallClockStepsAddUp checks that two callers that overtake one another cause no jump,
// but that many small steps back add up to one.
func TestSmallClockStepsAddUp(t *testing.T) {
	t.Parallel()
	h := History{}.Tick(at("2027-05-01T00:00:10Z"), 0).Tick(at("2027-05-01T00:00:05Z"), 0)
	if !h.Clock.IsTrusted() || h.Clock.SeenAt != at("2027-05-01T00:00:10Z") {
		t.Errorf("five seconds back: %+v", h.Clock)
	}
	if h = h.Tick(at("2027-05-01T00:00:04Z"), 0); h.Clock.IsTrusted() {
		t.Errorf("six seconds back, in two steps: %+v", h.Clock)
	}
}

func TestClockJumpHoldsRetirement(t *testing.T) {
	t.Parallel()
	// Seen by the first decision, before any Tick.
	start := func(t *testing.T) *deployment {
		w := firstStart(t, "2026-11-22").run("2027-06-30")
		w.log = nil
		return w.down("2027-09-01")
	}
	t.Run("until 14 days of running time", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		w.wantAttention(t, "certificate_ended 2026", "clock_untrusted", "step_held 2026")
		wantRefused(t, w.try(w.step("retire 2026")), newReason(WaitsClockJumped, Args{FromAt: at("2027-06-30"), ToAt: at("2027-09-01"), DaysLeft: 14}))
		wantRefused(t, w.try(w.step("retire 2026 force")), newReason(WaitsClockJumped, Args{FromAt: at("2027-06-30"), ToAt: at("2027-09-01"), DaysLeft: 14}))
		w.run("2027-09-30").wantLog(t, "2027-09-15 retire 2026")
	})
	t.Run("or a word", func(t *testing.T) {
		t.Parallel()
		start(t).hand("confirm-clock").run("2027-09-02").wantLog(t, "2027-09-02 retire 2026")
	})
	t.Run("a second jump begins it again", func(t *testing.T) {
		t.Parallel()
		start(t).run("2027-09-10").down("2027-09-09").run("2027-09-30").wantLog(t, "2027-09-23 retire 2026")
	})
	t.Run("keys stay too", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").run("2027-07-02")
		w.log = nil
		w.down("2027-09-01").run("2027-09-20").wantLog(t, "2027-09-15 destroy 2026")
	})
	t.Run("revoke does not ask the clock", func(t *testing.T) {
		t.Parallel()
		start(t).hand("revoke 2026").wantStates(t, states{"2026": Revoked, "2027": Preferred})
	})
}

// TestClockOneYearAhead checks that a clock that was in the far future for a day does no
// lasting harm to years in use.
func TestClockOneYearAhead(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").down("2027-11-22").run("2027-11-23").down("2026-11-23")
	w.wantStates(t, states{"2026": Expiring, "2027": Preferred})
	w.hand("rollback 2026").run("2026-12-31")
	w.wantStates(t, states{"2026": Preferred, "2027": Published})
}
