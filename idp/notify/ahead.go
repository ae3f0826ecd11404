package notify

import (
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// marks are how many days before a date operators are reminded of it.
var (
	marks = []int{1, 7, 14, 30, 60, 90}
	// serverMarks are for a step that the server takes.
	serverMarks = []int{1, 14}
	// lastMark is for a retirement whose date moves with every use of the year. Earlier marks would
	// be reached again each day, and operators already get a notice of the held step.
	lastMark = []int{1}
)

// findReachedMark returns the nearest mark that has been reached. It returns false before the
// first mark and after the date. Marks passed during downtime are skipped.
func findReachedMark(at, now time.Time, marks []int) (int, bool) {
	left := at.Sub(now)
	for _, m := range marks {
		if left > 0 && left <= time.Duration(m)*day {
			return m, true
		}
	}
	return 0, false
}

// upcomingStep is a rotation step that operators are notified of before its date.
type upcomingStep struct {
	kind rotation.StepKind
	year idp.Year
	// at is the announced date, or zero without one.
	at    time.Time
	waits []rotation.Reason
	// isByHand means that an operator must take the step.
	isByHand bool
	// isCalendarDate means that at is the date in the calendar, and that the step is late if its conditions
	// are met later.
	isCalendarDate bool
	// marks are the days before at on which operators are notified.
	marks []int
}

// formatID returns the ID of the notices of the step with this date and mark.
func (c upcomingStep) formatID(at time.Time, mark int) string {
	return fmt.Sprintf("%s/%s/%s/%d", c.kind, c.year, at.UTC().Format(time.DateOnly), mark)
}

// clockSlack is how much a date counted in running time moves, because running time is
// recorded every minute.
const clockSlack = 10 * time.Minute

// listPossibleIDs returns the IDs under which the notice may be recorded already. A date counted in
// running time can move across midnight.
func (c upcomingStep) listPossibleIDs(mark int) (ids []string) {
	counted := slices.ContainsFunc(c.waits, func(r rotation.Reason) bool { return r.IsUse() || r.Code == rotation.WaitsClockJumped })
	if !counted || c.isCalendarDate {
		return nil
	}
	return []string{c.formatID(c.at.Add(-clockSlack), mark), c.formatID(c.at.Add(clockSlack), mark)}
}

// listUpcomingSteps lists the next steps, and the server's later steps from the plan.
func listUpcomingSteps(due []rotation.DueStep, plan []rotation.UpcomingStep, policy rotation.Policy, now time.Time) (all []upcomingStep) {
	for _, d := range due {
		all = append(all, newUpcomingStep(d, policy.IsByHand(d), now))
	}
	for _, p := range plan {
		isDue := slices.ContainsFunc(due, func(d rotation.DueStep) bool { return d.Kind == p.Step && d.Year == p.Year })
		if p.Step == "" || p.ByHand || isDue {
			continue
		}
		c := upcomingStep{kind: p.Step, year: p.Year, at: p.At, waits: p.Waits, marks: serverMarks}
		if p.Step == rotation.StepRetire && !p.DueAt.IsZero() {
			c.marks = lastMark // it may be late because the year is used
		}
		all = append(all, c)
	}
	return all
}

// newUpcomingStep returns a step that comes next. If its year is in use, every use moves the date, and a
// hold without an end leaves no date. In both cases, at is the date in the calendar if that is in
// the future.
func newUpcomingStep(d rotation.DueStep, hand bool, now time.Time) upcomingStep {
	c := upcomingStep{kind: d.Kind, year: d.Year, at: d.ReadyAt, waits: d.Waits, isByHand: hand, marks: serverMarks}
	used := slices.ContainsFunc(d.Waits, rotation.Reason.IsUse)
	switch {
	case hand:
		c.at, c.marks = d.DueAt, marks
	case d.DueAt.After(now) && (used || d.ReadyAt.IsZero()):
		c.at, c.isCalendarDate = d.DueAt, true
	case used:
		c.marks = lastMark
		return c
	}
	if d.Kind == rotation.StepRetire {
		c.marks = marks // until then service providers must move
	}
	return c
}
