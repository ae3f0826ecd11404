package rotation

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reading is the input of one Tick: how far the clock went, and how long the server ran by a
// clock that no one sets.
type reading struct {
	wall, ran time.Duration
}

func repeat(n int, rs ...reading) []reading { return slices.Repeat(rs, n) }

// tickAll gives the readings to a clock that was started at a time.
func tickAll(h History, now time.Time, rs ...reading) (History, time.Time) {
	h = h.StartClock(now)
	for _, r := range rs {
		now = now.Add(r.wall)
		h = h.Tick(now, r.ran)
	}
	return h, now
}

func TestClockDriftIsDetected(t *testing.T) {
	t.Parallel()
	const m, s = time.Minute, time.Second
	tests := []struct {
		name     string
		readings []reading
		drifted  bool
	}{
		{"a clock that is right", repeat(10*1440, reading{m, m}), false},
		{"suspended for three days", []reading{{m, m}, {3 * day, 3 * day}, {m, m}}, false},
		{"suspended for 400 days", []reading{{m, m}, {400 * day, 400 * day}}, false},
		{"suspended for 60 days, and two days more", []reading{{62 * day, 60 * day}}, true},
		{"24 hours at once", []reading{{day + m, m}}, false},
		{"25 hours at once", []reading{{day + time.Hour, m}}, true},
		{"25 hours, an hour at a time", repeat(25, reading{time.Hour + m, m}), true},
		{"4 seconds a minute for a month", repeat(30*1440, reading{m + 4*s, m}), true},
		{"half a second a minute for a year", repeat(365*1440, reading{m + s/2, m}), true},
		{"NTP slews at 500 ppm for 10 years", repeat(3650, reading{day + 43200*time.Millisecond, day}), false},
		{"readings that come late and early, for a year", repeat(365*720, reading{m + 3*s, m}, reading{m - 3*s, m}), false},
		{"corrected backward each hour, for a year", repeat(365*24, reading{time.Hour + 4*s, time.Hour}, reading{m - 4*s, m}), false},
		{"20 hours forward and back, and again", repeat(5, reading{20 * time.Hour, m}, reading{-20 * time.Hour, m}), false},
		{"what the clock lost before is no credit", []reading{{-10 * day, m}, {26 * time.Hour, m}}, true},
		{"back and right again is forward", []reading{{-3 * day, m}, {3 * day, m}}, true},
		{"half as fast is no credit", append(repeat(4*1440, reading{m / 2, m}), reading{26 * time.Hour, m}), true},
		{"to the end of time", []reading{{math.MaxInt64, m}}, true},
		{"to the end of time and further", []reading{{20 * time.Hour, m}, {200 * 365 * day, m}, {90 * 365 * day, m}}, true},
		{"to the beginning of time", []reading{{m, m}, {math.MinInt64, m}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, _ := tickAll(History{}, at("2027-05-01"), tt.readings...)
			if h.Clock.HasDrifted() != tt.drifted || h.Clock.Drift < 0 {
				t.Errorf("drifted = %v, want %v: %+v", h.Clock.HasDrifted(), tt.drifted, h.Clock)
			}
			if tt.drifted && h.Clock.IsTrusted() {
				t.Error("the clock is trusted")
			}
		})
	}
}

// TestClockDriftBetweenTicks checks that decisions between two measurements neither hide
// drift nor cause any.
func TestClockDriftBetweenTicks(t *testing.T) {
	t.Parallel()
	now := at("2027-05-01")
	h := History{}.StartClock(now)
	for range 3 * 1440 { // three days, a step by hand in the middle of each minute
		h = h.Tick(now.Add(30*time.Second), 0)
		now = now.Add(time.Minute)
		h = h.Tick(now, time.Minute)
	}
	if h.Clock.Drift != 0 {
		t.Errorf("steps by hand count as drift: %+v", h.Clock)
	}
	now = now.Add(25 * time.Hour)
	h = h.Tick(now, 0)
	if h = h.Tick(now.Add(time.Minute), time.Minute); !h.Clock.HasDrifted() {
		t.Errorf("a step by hand hid 25 hours of drift: %+v", h.Clock)
	}
}

// TestClockDriftAndRestarts checks that downtime is no drift, and neither ends nor begins
// it.
func TestClockDriftAndRestarts(t *testing.T) {
	t.Parallel()
	h, now := tickAll(History{}, at("2027-05-01"), reading{20 * time.Hour, time.Minute})
	h, now = tickAll(h, now.Add(40*day), reading{time.Minute, time.Minute})
	if !h.Clock.IsTrusted() || h.Clock.Drift < 19*time.Hour {
		t.Errorf("after 40 days of downtime: %+v", h.Clock)
	}
	if h, now = tickAll(h, now, reading{5 * time.Hour, time.Minute}); !h.Clock.HasDrifted() {
		t.Errorf("the drift before the restart is forgotten: %+v", h.Clock)
	}
	for range 60 { // running on clears a jump, never drift
		h, now = tickAll(h, now, reading{day, day})
	}
	if !h.Clock.HasDrifted() {
		t.Error("running time ended the distrust")
	}
}

// TestClockJumpWhileRunning takes a step of the clock that is both a jump and drift: 14 days
// of running time end only the jump.
func TestClockJumpWhileRunning(t *testing.T) {
	t.Parallel()
	h, now := tickAll(History{}, at("2027-05-01"), reading{50 * day, time.Minute})
	if !h.Clock.HasJumped() || !h.Clock.HasDrifted() {
		t.Errorf("50 days: %+v", h.Clock)
	}
	if h, _ = tickAll(h, now, repeat(15, reading{day, day})...); h.Clock.HasJumped() || !h.Clock.HasDrifted() {
		t.Errorf("15 days later: %+v", h.Clock)
	}
}

// TestClockDriftOfOlderHistory checks a history of an older version, which has no
// measurement yet.
func TestClockDriftOfOlderHistory(t *testing.T) {
	t.Parallel()
	var h History
	if err := json.Unmarshal([]byte(`{"records":[],"clock":{"seen_at":"2027-05-01T00:00:00Z","running_ns":60}}`), &h); err != nil {
		t.Fatal(err)
	}
	if h = h.Tick(at("2027-05-11"), time.Minute); !h.Clock.IsTrusted() {
		t.Errorf("%+v", h.Clock)
	}
	if h = h.Tick(at("2027-05-13"), time.Minute); !h.Clock.HasDrifted() {
		t.Errorf("%+v", h.Clock)
	}
	doc, err := json.Marshal(History{}.Clock)
	if err != nil || string(doc) != "{}" {
		t.Errorf("an empty clock is %s, %v", doc, err)
	}
}

// drift makes the server run for a minute in which the clock goes forward by 25
// hours.
func (w *deployment) drift() *deployment {
	w.t.Helper()
	w.now = w.now.Add(25 * time.Hour)
	w.h = w.h.Tick(w.now, time.Minute)
	w.auto()
	return w
}

func TestDriftHoldsAutomaticSteps(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, before string // the day before the step is due
		kind         StepKind
		year         string
	}{
		{"create", "2027-01-14", StepCreate, "2027"},
		{"publish", "2027-01-31", StepPublish, "2027"},
		{"prefer", "2027-02-28", StepPrefer, "2027"},
		{"retire", "2027-06-30", StepRetire, "2026"},
		{"destroy", "2027-07-30", StepDestroy, "2026"},
	} {
		for _, word := range []string{"resume", "confirm-clock"} {
			t.Run(tt.name+" until "+word, func(t *testing.T) {
				t.Parallel()
				w := firstStart(t, "2026-11-22").run(tt.before)
				w.log = nil
				w.drift().run("2027-09-01").wantLog(t)
				w.down("2027-09-02").run("2027-09-03").wantLog(t)
				all := w.attention()
				if !slices.Contains(all, "clock_untrusted") || !slices.Contains(all, "step_held "+tt.year) {
					t.Errorf("attention: %q", all)
				}
				stuck := slices.ContainsFunc(w.p.Plan(w.h, w.now, 2), func(c UpcomingStep) bool { return c.Step == tt.kind && string(c.Year) == tt.year && c.Stuck })
				if !stuck {
					t.Error("the plan does not show the step as held")
				}
				w.hand(word)
				if c := w.h.Clock; !c.IsTrusted() || c.Drift != 0 {
					t.Errorf("after %s: %+v", word, c)
				}
				if w.auto(); len(w.log) == 0 {
					t.Error("no step is taken after it")
				}
			})
		}
	}
}

// TestDriftLeavesStepsByHand checks that drift stops automatic steps, and that an operator
// can still act but retire nothing.
func TestDriftLeavesStepsByHand(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-06-20").drift()
	wantRefusedKind(t, w.try(w.step("retire 2026")), StepRetire)
	wantRefusedKind(t, w.try(w.step("retire 2026 force")), StepRetire)
	w.hand("create 2028", "publish 2028", "prefer 2028", "rollback 2027", "revoke 2026", "destroy 2026", "resume")
	if w.h.Hold != (Hold{}) || !w.h.Clock.IsTrusted() {
		t.Errorf("resume left %+v, %+v", w.h.Hold, w.h.Clock)
	}
	wantRefusedKind(t, w.try(w.step("resume")), StepResume)
}

// TestResumeEndsHoldAndDistrust checks that resume also ends the distrust after a jump, and
// that confirm-clock does not end a hold.
func TestResumeEndsHoldAndDistrust(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-03-15").hand("rollback 2026").down("2027-05-30")
	if w.hand("confirm-clock"); w.h.Hold == (Hold{}) || !w.h.Clock.IsTrusted() {
		t.Errorf("confirm-clock left %+v, %+v", w.h.Hold, w.h.Clock)
	}
	if w.down("2027-08-30").hand("resume"); w.h.Hold != (Hold{}) || !w.h.Clock.IsTrusted() {
		t.Errorf("resume left %+v, %+v", w.h.Hold, w.h.Clock)
	}
}

// TestDriftInManualMode checks that drift does not affect the operator's steps in manual
// mode.
func TestDriftInManualMode(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-01-10")
	w.p.Manual = true
	w.drift().wantAttention(t, "clock_untrusted", "step_soon 2027")
	w.run("2027-01-20").wantAttention(t, "clock_untrusted", "step_overdue 2027")
}

func wantRefusedKind(t *testing.T, err error, kind StepKind) {
	t.Helper()
	if refused, ok := err.(*RefusedError); !ok || refused.Kind != kind {
		t.Errorf("%v; want a refused %s", err, kind)
	}
}

// clockLife is any life of a machine and its clock, with all readings since the
// clock was trusted last. A zero ran is a start.
type clockLife struct {
	h        History
	now      time.Time
	readings []reading
}

func (l *clockLife) tick(wall, ran time.Duration) {
	l.now = l.now.Add(wall)
	l.h = l.h.Tick(l.now, ran)
	l.readings = append(l.readings, reading{wall, ran})
}

// worst returns the most that the clock gained in any interval beyond the allowed drift.
// Unlike the code under test, it checks every interval.
func (l *clockLife) worst() (worst time.Duration) {
	for i := range l.readings {
		sum := time.Duration(0)
		for _, r := range l.readings[i:] {
			if r.ran > 0 {
				sum += r.wall - r.ran - r.ran/1000
			}
			worst = max(worst, sum)
		}
	}
	return worst
}

// TestClockDriftIsFoundExactly checks that drift is found exactly if the clock gained more
// than 24 hours in some interval while the server ran, and that it stays until an operator
// ends it.
func TestClockDriftIsFoundExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string, from, to time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(from), int64(to)).Draw(t, name))
		}
		l := &clockLife{now: drawTime(t)}
		l.h = l.h.StartClock(l.now)
		restart := func(*rapid.T) {
			l.now = l.now.Add(span("down", -day, 60*day))
			l.h = l.h.StartClock(l.now)
			l.readings = append(l.readings, reading{})
		}
		t.Repeat(map[string]func(*rapid.T){
			"minutes": func(t *rapid.T) {
				gain := span("gain", -10*time.Second, 10*time.Second)
				for range rapid.IntRange(1, 60).Draw(t, "n") {
					l.tick(time.Minute+gain, time.Minute)
				}
			},
			"suspended": func(*rapid.T) {
				slept := span("slept", time.Minute, 90*day)
				l.tick(slept+span("off", -2*time.Second, 2*time.Second), slept)
			},
			"step of the clock": func(*rapid.T) { l.tick(span("step", -30*time.Hour, 30*time.Hour), time.Minute) },
			"step by hand":      func(*rapid.T) { l.h = l.h.Tick(l.now, 0) },
			"restart":           restart,
			"confirm": func(*rapid.T) {
				l.h, l.readings = l.h.Apply(Step{Kind: StepConfirm}, l.now), nil
			},
			"": func(t *rapid.T) {
				if worst := l.worst(); l.h.Clock.HasDrifted() != (worst > 24*time.Hour) {
					t.Fatalf("gained %v: %+v", worst, l.h.Clock)
				}
				for _, s := range DefaultPolicy().Steps(l.h, l.now) {
					if l.h.Clock.HasDrifted() {
						t.Fatalf("%s %s is taken", s.Kind, s.Year)
					}
				}
			},
		})
	})
}

// TestHonestClockIsNeverDistrusted checks that a machine whose clock follows the true time,
// with the usual corrections, suspensions and restarts, is never distrusted for drift.
func TestHonestClockIsNeverDistrusted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// The true time, how far the clock is off, and how fast the oscillator is
		// that counts the running time, in parts per million.
		truth := drawTime(t)
		off := time.Duration(0)
		ppm := rapid.Int64Range(-500, 500).Draw(t, "ppm")
		h := History{}.StartClock(truth)
		for range rapid.IntRange(1, 400).Draw(t, "ticks") {
			passed := time.Duration(rapid.SampledFrom([]time.Duration{time.Minute, time.Minute, time.Hour, day, 30 * day}).Draw(t, "passed"))
			truth = truth.Add(passed)
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // NTP corrects the clock
				off = time.Duration(rapid.Int64Range(int64(-2*time.Second), int64(2*time.Second)).Draw(t, "off"))
			case 1:
				h = h.StartClock(truth.Add(off))
				continue
			}
			h = h.Tick(truth.Add(off), passed+passed/1_000_000*time.Duration(ppm))
		}
		if h.Clock.HasDrifted() || h.Clock.Drift > time.Minute {
			t.Fatalf("%+v", h.Clock)
		}
	})
}
