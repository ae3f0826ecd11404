package certs

import "time"

// Clock is what the store remembers of the time. A clock that is wrong must not
// end a year, so after a jump nothing is retired until the server has run for
// 14 days or an operator has confirmed the time.
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
}

// Trusted is false after a jump of the clock.
func (c Clock) Trusted() bool { return c.JumpedTo.IsZero() }

// untrustedFor is the running time that is left until the clock is trusted.
func (c Clock) untrustedFor() time.Duration {
	if c.Trusted() {
		return 0
	}
	return c.JumpedAt + quietTime - c.Running
}

// trust forgets the jump.
func (c Clock) trust() Clock {
	c.JumpedFrom, c.JumpedTo, c.JumpedAt = time.Time{}, time.Time{}, 0
	return c
}

// Tick moves the memory of the clock on. ran is the time that the server has
// run since the last Tick by its monotonic clock, which no setting of the clock
// changes; 0 at its start, and from commands that work without a server.
//
// The time may have gone backward, or forward by more than 45 days beyond ran:
// both are jumps. Downtime of that length cannot be told from a wrong clock. A
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
	case !c.Trusted() && c.untrustedFor() <= 0:
		*c = c.trust()
	}
	return h
}
