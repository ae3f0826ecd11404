package rotation

import (
	"slices"
	"time"
)

// Clock is the stored memory of the time, so that a wrong clock cannot begin or end a year:
//
//	after a jump    no year is retired until the server has run for 14 days or an
//	                operator has confirmed the time
//	after drift     no automatic step is taken until an operator has confirmed it
//
// A jump can also be seen at a start. Drift is measured only while the server runs, so
// downtime does not explain it.
type Clock struct {
	// SeenAt is the last time seen.
	SeenAt time.Time `json:"seen_at,omitzero"`
	// RunningTime is the total running time of the server over all runs.
	RunningTime time.Duration `json:"running_ns,omitzero"`
	// BeforeJumpAt and JumpedTo are the times before and after the last jump, or zero if the
	// clock is trusted again.
	BeforeJumpAt time.Time `json:"jumped_from,omitzero"`
	AfterJumpAt   time.Time `json:"jumped_to,omitzero"`
	// JumpReading is the reading of Running at the jump.
	JumpReading time.Duration `json:"jumped_at_ns,omitzero"`
	// MeasuredAt is the time of the last measurement of drift, or of the start after it.
	MeasuredAt time.Time `json:"measured_at,omitzero"`
	// Drift is how far the clock went forward while the server ran, beyond the running
	// time. It is never negative, so that a slow clock cannot hide a later jump forward.
	Drift time.Duration `json:"drift_ns,omitzero"`
	// DriftedAt is when Drift passed 24 hours. Only an operator's confirmation resets it to
	// zero.
	DriftedAt time.Time `json:"drifted_at,omitzero"`
}

// IsTrusted reports whether the clock neither jumped nor drifted.
func (c Clock) IsTrusted() bool { return !c.HasJumped() && !c.HasDrifted() }

// HasJumped reports whether the clock jumped and is not trusted again since.
func (c Clock) HasJumped() bool { return !c.AfterJumpAt.IsZero() }

// HasDrifted reports whether drift blocks automatic steps.
func (c Clock) HasDrifted() bool { return !c.DriftedAt.IsZero() }

// countUntrustedTime returns the running time left until the clock is trusted again after a jump.
func (c Clock) countUntrustedTime() time.Duration {
	if !c.HasJumped() {
		return 0
	}
	return c.JumpReading + QuietTime - c.RunningTime
}

func (c Clock) endJump() Clock {
	c.BeforeJumpAt, c.AfterJumpAt, c.JumpReading = time.Time{}, time.Time{}, 0
	return c
}

func (c Clock) trust() Clock {
	c = c.endJump()
	c.Drift, c.DriftedAt = 0, time.Time{}
	return c
}

// StartClock is the first Tick of a process. Downtime cannot be distinguished from a wrong
// clock, so the time since the last measurement does not count as drift.
func (h History) StartClock(now time.Time) History {
	h = h.Tick(now, 0)
	h.Clock.MeasuredAt = now.UTC()
	return h
}

// Tick advances the memory of the clock. ran is the running time of the server since the last
// Tick, by a clock that cannot be set. It is 0 at the start, and for decisions in between.
//
// A step backward, or forward by more than 45 days beyond ran, is a jump. Downtime of that
// length cannot be distinguished from a wrong clock. A few seconds backward are tolerated,
// because concurrent callers can overtake one another.
func (h History) Tick(now time.Time, ran time.Duration) History {
	now, ran = now.UTC(), max(ran, 0)
	c := &h.Clock
	seen := c.SeenAt
	c.RunningTime += ran
	if step := now.Sub(seen); step >= 0 || step < -jitterTime {
		c.SeenAt = now
	}
	switch {
	case !seen.IsZero() && (c.SeenAt.Before(seen) || now.Sub(seen)-ran > jumpTime):
		c.BeforeJumpAt, c.AfterJumpAt, c.JumpReading = seen, now, c.RunningTime
	case c.HasJumped() && c.countUntrustedTime() <= 0:
		*c = c.endJump()
	}
	if ran > 0 {
		c.measure(now, ran)
	}
	return h
}

// ExcludeSleep excludes suspension of the machine, which is part of the running time, from every
// wait that counts running time: while the server is asleep, no service provider can use a
// year, and no wrong clock can be noticed.
func (h History) ExcludeSleep(d time.Duration) History {
	if d <= 0 {
		return h
	}
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		h.Records[i].QuietReading += d
	}
	if h.Clock.HasJumped() {
		h.Clock.JumpReading += d
	}
	return h
}

// maxStep limits one step of the clock, so that the sum of two fits into a time.Duration.
const maxStep = 100 * 365 * day

// measure adds to Drift the progress of the clock since the last measurement that ran does not
// explain, less the inaccuracy of the clocks.
//
// Steps are added with their signs, so noise cancels out: an early reading makes one step too long
// and the next one too short by the same amount, and a correction backward removes the excess of a
// fast clock. The permitted difference between clocks is a share of the running time. A fixed
// number of seconds per measurement would depend on the frequency of measurements: 4 seconds a
// minute are 96 minutes a day.
func (c *Clock) measure(now time.Time, ran time.Duration) {
	last := c.MeasuredAt
	c.MeasuredAt = now
	if last.IsZero() {
		return
	}
	// Extreme times must not overflow the sum.
	step := min(max(now.Sub(last), -maxStep), maxStep)
	c.Drift = min(max(c.Drift+step-ran-ran/clockShare, 0), maxStep)
	if c.Drift > driftTime && !c.HasDrifted() {
		c.DriftedAt = now
	}
}
