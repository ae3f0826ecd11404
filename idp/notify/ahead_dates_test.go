package notify

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/rotation"
)

// TestDueStepDateFallsBackToCalendar checks that the date of the next step is the one on
// which it is taken, or the calendar's if no date is sure.
func TestDueStepDateFallsBackToCalendar(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	used, hold := rotation.WaitsUsed, rotation.WaitsHold
	tests := []struct {
		name       string
		kind       rotation.StepKind
		due, ready string
		waits      rotation.ReasonCode
		hand       bool
		at         string
		open       bool
		marks      []int
	}{
		{"on its date", rotation.StepPublish, "2027-03-01", "2027-03-01", "", false, "2027-03-01", false, serverMarks},
		{"published late", rotation.StepPrefer, "2027-03-01", "2027-03-10", rotation.WaitsPublishedLate, false, "2027-03-10", false, serverMarks},
		{"late, and past its date", rotation.StepPrefer, "2027-01-01", "2027-03-10", rotation.WaitsPublishedLate, false, "2027-03-10", false, serverMarks},
		{"held until a date", rotation.StepPrefer, "2027-03-01", "2027-03-10", rotation.WaitsHoldUntil, false, "2027-03-10", false, serverMarks},
		{"held without an end", rotation.StepPrefer, "2027-03-01", "", hold, false, "2027-03-01", true, serverMarks},
		{"held without an end, past its date", rotation.StepPrefer, "2027-01-01", "", hold, false, "", false, serverMarks},
		{"retirement", rotation.StepRetire, "2027-03-01", "2027-03-01", "", false, "2027-03-01", false, marks},
		{"retirement, successor too new", rotation.StepRetire, "2027-03-01", "2027-04-01", rotation.WaitsSuccessorTooNew, false, "2027-04-01", false, marks},
		{"retirement, used before its date", rotation.StepRetire, "2027-02-20", "2027-03-01", used, false, "2027-02-20", true, marks},
		{"retirement, used after its date", rotation.StepRetire, "2027-02-01", "2027-03-01", used, false, "2027-03-01", false, lastMark},
		{"by hand", rotation.StepPublish, "2027-03-01", "2027-03-10", "", true, "2027-03-01", false, marks},
		{"retirement by hand, used", rotation.StepRetire, "2027-03-01", "2027-03-10", used, true, "2027-03-01", false, marks},
	}
	for _, tt := range tests {
		d := rotation.DueStep{Step: rotation.Step{Kind: tt.kind, Year: "2027"}, DueAt: at(tt.due), ReadyAt: at(tt.ready)}
		if tt.waits != "" {
			d.Waits = []rotation.Reason{{Code: tt.waits}}
		}
		c := newUpcomingStep(d, tt.hand, at("2027-02-15"))
		if !c.at.Equal(at(tt.at)) || c.isCalendarDate != tt.open || !slices.Equal(c.marks, tt.marks) || c.isByHand != tt.hand {
			t.Errorf("%s: %+v", tt.name, c)
		}
		if diff := cmp.Diff(d.Waits, c.waits); diff != "" {
			t.Errorf("%s: waits (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestComingStepsOfPlan checks that the steps after the next ones come from the plan,
// without those that an operator must take and without changes that are no steps.
func TestComingStepsOfPlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 10, 0, 0, 0, 0, time.UTC)
	due := []rotation.DueStep{{Step: rotation.Step{Kind: rotation.StepCreate, Year: "2027"}, DueAt: now, ReadyAt: now}}
	plan := []rotation.UpcomingStep{
		{Step: rotation.StepCreate, Year: "2027", At: now},
		{Step: rotation.StepPublish, Year: "2027", At: now.AddDate(0, 0, 5)},
		{Step: rotation.StepPrefer, Year: "2027", At: now.AddDate(0, 0, 9), ByHand: true, Stuck: true},
		{Year: "2026", At: now},
		{Step: rotation.StepRetire, Year: "2026", At: now.AddDate(0, 0, 14), DueAt: now.AddDate(0, 0, -1)},
	}
	var got []string
	for _, c := range listUpcomingSteps(due, plan, rotation.DefaultPolicy(), now) {
		got = append(got, c.formatID(c.at, len(c.marks)))
	}
	if diff := cmp.Diff([]string{"create/2027/2027-01-10/2", "publish/2027/2027-01-15/2", "retire/2026/2027-01-24/1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRunningTimeDateHasNeighbouringIDs checks that a date counted in running time has the
// IDs of the nearby days.
func TestRunningTimeDateHasNeighbouringIDs(t *testing.T) {
	t.Parallel()
	c := upcomingStep{kind: rotation.StepRetire, year: "2026", at: time.Date(2027, 7, 16, 23, 59, 0, 0, time.UTC), waits: []rotation.Reason{{Code: rotation.WaitsUsed}}}
	if diff := cmp.Diff([]string{"retire/2026/2027-07-16/1", "retire/2026/2027-07-17/1"}, c.listPossibleIDs(1)); diff != "" {
		t.Errorf("near to midnight (-want +got):\n%s", diff)
	}
	c.waits = []rotation.Reason{{Code: rotation.WaitsHoldUntil}}
	if got := c.listPossibleIDs(1); got != nil {
		t.Errorf("a date of the calendar: %v", got)
	}
}
