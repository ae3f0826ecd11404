package rotation

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// TestImportModeNeverSelfSigns checks that with external keys no certificate is self-signed.
func TestImportModeNeverSelfSigns(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	p.KeySource = SourceImport
	w := &deployment{t: t, p: p, now: at("2026-11-22")}
	w.run("2026-11-23").wantLog(t)
	w.wantAttention(t, "no_signing_key", "step_overdue 2026")
	w.hand("csr 2026").run("2026-11-23T12:00:00Z").wantLog(t)
	w.wantAttention(t, "no_signing_key", "step_overdue 2026")
	w.hand("import 2026").run("2026-11-24").wantLog(t, "2026-11-24 publish 2026", "2026-11-24 prefer 2026")
	w.wantAttention(t)

	w.run("2027-01-14").wantAttention(t)
	w.run("2027-01-15").wantAttention(t, "step_overdue 2027")
	w.hand("csr 2027").wantAttention(t) // it has a key now, by its date
	w.run("2027-02-01").wantAttention(t, "step_overdue 2027")
	w.wantStates(t, states{"2026": Preferred, "2027": Created})
	w.run("2027-04-02").wantLog(t)
	w.wantAttention(t, "certificate_ended 2026", "step_overdue 2027")
	w.wantStates(t, states{"2026": Preferred, "2027": Created})
	if s := w.p.Status(w.h, w.now, nil); s.Preferred != "2026" || !s.Years[0].CertExpired {
		t.Errorf("preferred with an ended certificate: %+v", s.Years[0])
	}
	w.hand("import 2027 2028-05-01").run("2027-04-03").wantLog(t, "2027-04-03 publish 2027", "2027-04-03 prefer 2027")
}

// TestManualModeOnlyRemindsOfSteps checks that in manual mode the server reminds of steps,
// and only destroys the keys of years that are over.
func TestManualModeOnlyRemindsOfSteps(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22")
	w.p.Manual, w.log = true, nil
	w.run("2026-12-31").wantAttention(t)
	w.run("2027-01-01").wantAttention(t, "step_soon 2027")
	w.run("2027-01-15").wantAttention(t, "step_overdue 2027")
	w.hand("create 2027").wantAttention(t)
	w.run("2027-02-01").hand("publish 2027").run("2027-03-01").wantAttention(t, "step_overdue 2027")
	w.hand("prefer 2027").run("2027-07-01").wantAttention(t, "certificate_ended 2026", "step_overdue 2026")
	w.hand("retire 2026").run("2027-08-01").wantLog(t, "2027-07-31 destroy 2026")
	w.wantAttention(t)
}

func TestAttentionNamesLateAndEndingYears(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(*deployment) // after a first start on 22 November 2026
		want []string
	}{
		{"nothing", func(*deployment) {}, nil},
		{"an automatic step a minute late is under way", func(w *deployment) { w.run("2027-01-14"); w.now = at("2027-01-15T00:01:00Z") }, nil},
		{"an automatic step an hour late: no server takes it", func(w *deployment) { w.run("2027-01-14"); w.now = at("2027-01-15T01:00:00Z") }, []string{"step_overdue 2027"}},
		{"an automatic step that failed", func(w *deployment) {
			w.h = w.h.Fail(Step{Kind: StepCreate, Year: "2027"}, w.now, "the disk is full").Fail(Step{Kind: StepCreate, Year: "2027"}, w.now, "still full")
		}, []string{"step_failed 2027"}},
		{"it worked later", func(w *deployment) {
			w.h = w.h.Fail(Step{Kind: StepCreate, Year: "2027"}, w.now, "the disk is full")
			w.run("2027-01-16")
		}, nil},
		{"published late, so preferred late", func(w *deployment) { w.down("2027-03-05") }, []string{"clock_untrusted", "step_held 2027"}},
		{"ends in 30 days, all have moved", func(w *deployment) { w.run("2027-03-02") }, nil},
		{"ends in 31 days, one has not moved", func(w *deployment) { w.run("2027-03-01"); w.unmoved = Counts{"2026": 1} }, nil},
		{"ends in 30 days, one has not moved", func(w *deployment) { w.run("2027-03-02"); w.unmoved = Counts{"2026": 1} }, []string{"certificate_ending 2026"}},
		{"ends in 30 days, one has not moved from another year", func(w *deployment) { w.run("2027-03-02"); w.unmoved = Counts{"2027": 1} }, nil},
		{"ends in 30 days, and there is nothing to move to", func(w *deployment) { w.p.Manual = true; w.run("2027-03-02") },
			[]string{"certificate_ending 2026", "step_overdue 2027"}},
		{"ended", func(w *deployment) { w.run("2027-04-01") }, []string{"certificate_ended 2026"}},
		{"ended and retired", func(w *deployment) { w.run("2027-07-01") }, nil},
		{"a certificate that ended before it was published", func(w *deployment) {
			w.hand("import 2027 2027-01-20").run("2027-02-01")
		}, []string{"step_held 2027"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22")
			tt.do(w)
			w.wantAttention(t, tt.want...)
		})
	}
}

func TestStatusShowsStateAndNextStep(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-03-15")
	s := w.p.Status(w.h, w.now, nil)
	type row struct {
		Year     idp.Year
		State    State
		Live     bool
		NextStep StepKind
		NextTo   State
		NextDays int
	}
	var got []row
	for _, y := range s.Years {
		r := row{Year: y.Year, State: y.State, Live: y.Live}
		if y.Next != nil {
			r.NextStep, r.NextTo, r.NextDays = y.Next.Step, y.Next.ToState, y.Next.Days
		}
		got = append(got, r)
	}
	want := []row{
		{"2026", Expiring, true, "", Grace, 17},
		{"2027", Preferred, true, "", Expiring, 352},
		{"2028", Planned, false, StepCreate, Created, 306},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(text), `"year":"2028","state":"planned","live":false,"certificate_expired":false,"next":{"at":"2028-01-15T00:00:00Z","days":306`) {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

func TestPlanListsComingSteps(t *testing.T) {
	t.Parallel()
	lines := func(plan []UpcomingStep) (out []string) {
		for _, c := range plan {
			line := date(c.At) + " " + string(c.Year) + " " + string(c.Step) + " " + string(c.ToState)
			if c.ByHand {
				line += " by hand"
			}
			if c.Stuck {
				line += " stuck"
			}
			out = append(out, line)
		}
		return out
	}
	year := []string{
		"2027-01-15 2027 create created", "2027-02-01 2027 publish published",
		"2027-03-01 2027 prefer preferred", "2027-03-01 2026  expiring",
		"2027-04-01 2026  grace", "2027-07-01 2026 retire retired", "2027-07-31 2026 destroy retired",
	}
	tests := []struct {
		name  string
		do    func(*deployment)
		years int
		want  []string
	}{
		{"a year", func(*deployment) {}, 1, year},
		{"before the first start", func(w *deployment) { w.h = History{}; w.now = at("2027-01-14") }, 0,
			[]string{"2027-01-14 2026 create created", "2027-01-14 2026 publish published", "2027-01-14 2026 prefer preferred"}},
		{"published late: 28 days, and the clock must be trusted by July", func(w *deployment) { w.down("2027-03-02") }, 1,
			[]string{"2027-03-30 2027 prefer preferred", "2027-03-30 2026  expiring", "2027-04-01 2026  grace", "2027-07-01 2026 retire retired", "2027-07-31 2026 destroy retired",
				"2028-01-15 2028 create created", "2028-02-01 2028 publish published", "2028-03-01 2028 prefer preferred", "2028-03-01 2027  expiring"}},
		{"used until today: retired in 14 days at the earliest", func(w *deployment) { w.used = []idp.Year{"2026"}; w.run("2027-12-01") }, 0, nil},
		{"the same, with what follows", func(w *deployment) { w.used = []idp.Year{"2026"}; w.run("2027-12-01") }, 1,
			[]string{"2027-12-15 2026 retire retired", "2028-01-14 2026 destroy retired", "2028-01-15 2028 create created",
				"2028-02-01 2028 publish published", "2028-03-01 2028 prefer preferred", "2028-03-01 2027  expiring",
				"2028-04-01 2027  grace", "2028-07-01 2027 retire retired", "2028-07-31 2027 destroy retired"}},
		{"held without end", func(w *deployment) { w.run("2027-03-15").hand("rollback 2026") }, 1,
			[]string{"2027-03-15 2027 prefer published by hand stuck", "2027-04-01 2026  preferred", "2028-01-15 2028 create created",
				"2028-02-01 2028 publish published", "2028-03-01 2028 prefer published by hand stuck"}},
		{"held until a date", func(w *deployment) {
			w.run("2027-12-20").hand("create 2028", "publish 2028", "prefer 2028", "rollback 2027 2027-12-30")
		}, 0, nil},
		{"the same, with what follows", func(w *deployment) {
			w.run("2027-12-20").hand("create 2028", "publish 2028", "prefer 2028", "rollback 2027 2028-03-20")
		}, 1,
			[]string{"2028-03-20 2028 prefer preferred", "2028-03-20 2027  expiring", "2028-04-01 2027  grace",
				"2028-07-01 2027 retire retired", "2028-07-31 2027 destroy retired"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22")
			tt.do(w)
			if diff := cmp.Diff(tt.want, lines(w.p.Plan(w.h, w.now, tt.years))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22")
		w.p.KeySource = SourceImport
		want := append([]string{"2027-01-15 2027 import created by hand"}, year[1:]...)
		if diff := cmp.Diff(want, lines(w.p.Plan(w.h, w.now, 1))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a hold that is over before the date", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("create 2027", "publish 2027", "prefer 2027", "rollback 2026 2027-02-20")
		if d := w.p.Status(w.h, w.now, nil).DueSteps[0]; d.Kind != StepPrefer || d.ReadyAt != at("2027-03-01") || d.Waits != nil {
			t.Errorf("due: %+v", d)
		}
		if diff := cmp.Diff([]string{"2027-03-01 2027 prefer preferred", "2027-03-01 2026  expiring"}, lines(w.p.Plan(w.h, w.now, 1))[:2]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a year made far ahead", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22").hand("create 2040")
		var due []string
		for _, d := range w.p.Status(w.h, w.now, nil).DueSteps {
			due = append(due, string(d.Kind)+" "+string(d.Year)+" "+date(d.DueAt))
		}
		if diff := cmp.Diff([]string{"create 2027 2027-01-15", "publish 2040 2040-02-01"}, due); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("five years", func(t *testing.T) {
		t.Parallel()
		w := firstStart(t, "2026-11-22")
		plan := w.p.Plan(w.h, w.now, 5)
		last := plan[len(plan)-1]
		if len(plan) != 5*len(year) || last.Year != "2030" || last.At != at("2031-07-31") || last.Days != 1712 {
			t.Errorf("%d lines, the last: %+v", len(plan), last)
		}
	})
}

func TestPlanMatchesTakenSteps(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"2026-11-22", "2027-02-10", "2027-03-15"} {
		w := firstStart(t, from)
		w.log = nil
		var want []string
		for _, c := range w.p.Plan(w.h, w.now, 10) {
			if c.Step != "" {
				want = append(want, date(c.At)+" "+string(c.Step)+" "+string(c.Year))
			}
		}
		w.runTo(w.now.AddDate(10, 0, 0))
		w.wantLog(t, want...)
	}
}
