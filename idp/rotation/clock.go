package rotation

import (
	"slices"
	"time"
)

// Clock is what the store remembers of the time. A clock that is wrong must not
// begin or end a year:
//
//	after a jump    nothing is retired until the server has run for 14 days or an
//	                operator has confirmed the time
//	after drift     no automatic step is taken until an operator has confirmed it
//
// A jump can be seen at a start too. Drift is what is measured while the server
// runs, where downtime is no explanation.
type Clock struct {
	// SeenAt is the last time seen.
	SeenAt time.Time `json:"seen_at,omitzero"`
	// Running is the running time of the server, all runs together.
	Running time.Duration `json:"running_ns,omitzero"`
	// JumpedFrom and JumpedTo are the two sides of the last jump, as long as
	// the clock is not trusted; zero otherwise.
	JumpedFrom time.Time `json:"jumped_from,omitzero"`
	JumpedTo   time.Time `json:"jumped_to,omitzero"`
	// JumpedAt is the reading of Running at the jump.
	JumpedAt time.Duration `json:"jumped_at_ns,omitzero"`
	// MeasuredAt is the time at the last measurement of drift, or at the start
	// after it.
	MeasuredAt time.Time `json:"measured_at,omitzero"`
	// Drift is how far the clock went forward while the server ran, beyond the
	// running time. It is never negative: time that the clock loses is no credit.
	Drift time.Duration `json:"drift_ns,omitzero"`
	// DriftedAt is when Drift passed 24 hours; zero again once an operator has
	// confirmed the time. Running on does not clear it.
	DriftedAt time.Time `json:"drifted_at,omitzero"`
}

// Trusted is false after a jump of the clock and after drift.
func (c Clock) Trusted() bool { return !c.HasJumped() && !c.HasDrifted() }

// HasJumped reports whether the clock jumped and nothing has made up for it since.
func (c Clock) HasJumped() bool { return !c.JumpedTo.IsZero() }

// HasDrifted reports whether drift keeps automatic steps from being taken.
func (c Clock) HasDrifted() bool { return !c.DriftedAt.IsZero() }

// untrustedFor is the running time that is left until the clock is trusted
// after a jump.
func (c Clock) untrustedFor() time.Duration {
	if !c.HasJumped() {
		return 0
	}
	return c.JumpedAt + QuietTime - c.Running
}

// endJump forgets the jump.
func (c Clock) endJump() Clock {
	c.JumpedFrom, c.JumpedTo, c.JumpedAt = time.Time{}, time.Time{}, 0
	return c
}

// trust forgets the jump and the drift.
func (c Clock) trust() Clock {
	c = c.endJump()
	c.Drift, c.DriftedAt = 0, time.Time{}
	return c
}

// StartClock is the first Tick of a process. Downtime cannot be distinguished from a
// wrong clock, so the time since the last measurement is no drift.
func (h History) StartClock(now time.Time) History {
	h = h.Tick(now, 0)
	h.Clock.MeasuredAt = now.UTC()
	return h
}

// Tick moves the memory of the clock on. ran is the time that the server has
// run since the last Tick by a clock that no one sets; 0 at its start, and for
// decisions in between.
//
// The time may have gone backward, or forward by more than 45 days beyond ran:
// both are jumps. Downtime of that length cannot be distinguished from a wrong clock. A
// few seconds backward are two callers that overtake one another.
func (h History) Tick(now time.Time, ran time.Duration) History {
	now, ran = now.UTC(), max(ran, 0)
	c := &h.Clock
	seen := c.SeenAt
	c.Running += ran
	if step := now.Sub(seen); step >= 0 || step < -jitter {
		c.SeenAt = now
	}
	switch {
	case !seen.IsZero() && (c.SeenAt.Before(seen) || now.Sub(seen)-ran > jumpTime):
		c.JumpedFrom, c.JumpedTo, c.JumpedAt = seen, now, c.Running
	case c.HasJumped() && c.untrustedFor() <= 0:
		*c = c.endJump()
	}
	if ran > 0 {
		c.measure(now, ran)
	}
	return h
}

// Asleep takes time that the machine was suspended, which is part of the running time,
// out of every wait that counts it: no service provider can use a year, and no wrong clock
// be noticed, while the server is asleep.
func (h History) Asleep(d time.Duration) History {
	if d <= 0 {
		return h
	}
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		h.Records[i].QuietFrom += d
	}
	if h.Clock.HasJumped() {
		h.Clock.JumpedAt += d
	}
	return h
}

// maxStep is as far as one step of the clock counts. Of two, the sum still fits
// into a time.Duration.
const maxStep = 100 * 365 * day

// measure adds to Drift what ran does not explain since the last measurement,
// less the inaccuracy of the clocks.
//
// The steps are added up with their signs, so noise cancels: an early reading
// makes one step too long and the next one too short by the same amount, and a
// correction backward takes away what a fast clock added. What clocks may differ
// by for good is a share of the running time. A fixed number of seconds per
// measurement would be nothing in a day for one and hours for another who
// measures every minute: 4 seconds a minute are 96 minutes a day.
func (c *Clock) measure(now time.Time, ran time.Duration) {
	last := c.MeasuredAt
	c.MeasuredAt = now
	if last.IsZero() {
		return
	}
	// Steps to the ends of time must not overflow the sum.
	step := min(max(now.Sub(last), -maxStep), maxStep)
	c.Drift = min(max(c.Drift+step-ran-ran/clockShare, 0), maxStep)
	if c.Drift > driftTime && !c.HasDrifted() {
		c.DriftedAt = now
	}
}

// holdDrifted makes the automatic steps among due wait for an operator while the
// clock is not trusted because of drift.
func (p Policy) holdDrifted(c Clock, due []Due) []Due {
	if !c.HasDrifted() {
		return due
	}
	for i, d := range due {
		if !p.IsByHand(d) {
			due[i].ReadyAt, due[i].Waits = time.Time{}, append(slices.Clip(due[i].Waits), c.reason())
		}
	}
	return due
}
