package rotation

import (
	"time"

	"vernal/idp"
)

// UpcomingStep is a future event of a year: a step, or a change caused by another year's step or
// the end of its certificate.
type UpcomingStep struct {
	At time.Time `json:"at"`
	// Days counts the calendar days left.
	Days int      `json:"days"`
	Year idp.Year `json:"year"`
	// Step is the step, or "" for a change without one.
	Step StepKind `json:"step,omitzero"`
	// FromState and To are the states of the year before and after, and can be the same.
	FromState State  `json:"from"`
	ToState   State  `json:"to"`
	Cause  Reason `json:"why"`
	// DueAt is the calendar date, if the step comes later. Waits are the reasons for that, or
	// the reasons why a step by hand waits.
	DueAt time.Time `json:"due_at,omitzero"`
	Waits []Reason  `json:"waits,omitempty"`
	// ByHand means that only an operator can take the step.
	ByHand bool `json:"by_hand,omitzero"`
	// Stuck means that the step waits for an operator and has no date. At is its calendar date,
	// or now if that has passed.
	Stuck bool `json:"stuck,omitzero"`
}

// Plan lists the future events within years, by date, from the same rules that take the
// steps. The dates are the earliest possible: it assumes that the server keeps running,
// that years due to be retired are not used, and that operators take their steps on time.
func (p Policy) Plan(h History, now time.Time, years int) []UpcomingStep {
	now = now.UTC()
	w := walk{policy: p, h: h.Tick(now, 0), startAt: now, stuckKeys: map[string]bool{}}
	end := now.AddDate(years, 0, 0)
	for t := now; !t.After(end); {
		for w.takeNext(t) {
		}
		next := w.findNextTime(t)
		if next.IsZero() || next.After(end) {
			break
		}
		w.h = w.h.Tick(next, next.Sub(t))
		t = next
		w.listCertEnds(t)
	}
	return w.steps
}

// walk simulates the future on its own copy of the history.
type walk struct {
	policy Policy
	h      History
	startAt  time.Time
	steps []UpcomingStep
	stuckKeys  map[string]bool
}

// takeNext takes one step that is ready at t, or returns false.
func (w *walk) takeNext(t time.Time) bool {
	for _, d := range w.policy.listDue(w.h, t) {
		switch {
		case d.DueAt.After(t):
			continue
		case d.Kind == StepImport && d.ByHand:
			d.CertEndAt = w.policy.Dates(d.Year).CertEndAt
		case d.ReadyAt.IsZero():
			w.addStuck(d, t)
			continue
		case d.ReadyAt.After(t):
			continue
		}
		w.take(d, t)
		return true
	}
	return false
}

// take applies the step and lists every year whose state it changes.
func (w *walk) take(d DueStep, t time.Time) {
	before := w.h
	w.h = w.h.Apply(d.Step, t)
	own := w.newStep(t, d.Year, before)
	own.Step, own.Cause = d.Kind, d.Cause
	own.ByHand = w.policy.IsByHand(d)
	if d.ByHand {
		own.Waits = d.Waits
	}
	if d.DueAt.Before(own.At) {
		own.DueAt, own.Waits = d.DueAt, d.Waits
	}
	w.steps = append(w.steps, own)
	for _, r := range w.h.Records {
		if c := w.newStep(t, r.Year, before); r.Year != d.Year && c.FromState != c.ToState {
			c.Cause = newReason(WhyOtherYearPreferred, Args{Year: w.h.Preferred})
			w.steps = append(w.steps, c)
		}
	}
}

func (w *walk) newStep(t time.Time, y idp.Year, before History) UpcomingStep {
	return UpcomingStep{At: t, Days: countDays(t) - countDays(w.startAt), Year: y, FromState: before.State(y, t), ToState: w.h.State(y, t)}
}

// addStuck lists a step that waits for an operator, once.
func (w *walk) addStuck(d DueStep, t time.Time) {
	key := string(d.Kind) + string(d.Year)
	if w.stuckKeys[key] {
		return
	}
	w.stuckKeys[key] = true
	c := w.newStep(t, d.Year, w.h)
	c.Step, c.Cause, c.Waits, c.ByHand, c.Stuck = d.Kind, d.Cause, d.Waits, true, true
	if d.DueAt.Before(t) {
		c.DueAt = d.DueAt
	}
	w.steps = append(w.steps, c)
}

// listCertEnds lists the certificates that expire at t.
func (w *walk) listCertEnds(t time.Time) {
	for _, r := range w.h.Records {
		if r.IsOver() || !r.CertEndAt.Equal(t) {
			continue
		}
		c := w.newStep(t, r.Year, w.h)
		c.FromState = w.h.State(r.Year, t.Add(-1))
		c.Cause = newReason(WhyOurCertEnds, Args{Year: r.Year})
		w.steps = append(w.steps, c)
	}
}

// findNextTime returns the next time after t at which something can happen, or zero.
func (w *walk) findNextTime(t time.Time) (next time.Time) {
	soonest := func(at time.Time) {
		if at.After(t) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, d := range w.policy.listDue(w.h, t) {
		soonest(d.DueAt)
		soonest(d.ReadyAt)
	}
	for _, r := range w.h.Records {
		if !r.IsOver() {
			soonest(r.CertEndAt)
		}
	}
	return next
}

func countDays(t time.Time) int { return int(t.Unix() / int64(day/time.Second)) }
