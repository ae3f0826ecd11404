package rotation

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// TestHistoryJSON checks that a history survives JSON unchanged, because nothing else is
// stored.
func TestHistoryJSON(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22T13:36:00.5Z")
	w.used = []idp.Year{"2026"}
	w.run("2027-03-15").hand("rollback 2026 2027-03-20").down("2027-09-01")
	w.h = w.h.Fail(Step{Kind: StepPrefer, Year: "2027"}, w.now, "the disk is full")
	text, err := json.Marshal(w.h)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.h, back); diff != "" {
		t.Errorf("%s\n(-before +after):\n%s", text, diff)
	}
}

// TestHistoryIsNotChanged checks that no step changes a history that another goroutine may
// hold.
func TestHistoryIsNotChanged(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-03-15")
	w.h = w.h.Fail(Step{Kind: StepRetire, Year: "2026"}, w.now, "no")
	held := w.h
	before, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	held.Use("2026", w.now)
	held.Fail(Step{Kind: StepRetire, Year: "2026"}, w.now, "again")
	held.Tick(at("2030-01-01"), 0)
	for _, k := range []StepKind{StepCreate, StepPublish, StepPrefer, StepRetire, StepDestroy, StepRollback, StepRevoke} {
		for _, y := range []idp.Year{"2025", "2026", "2026b", "2027", "2028"} {
			held.Apply(Step{Kind: k, Year: y, CertEndAt: at("2029-01-01")}, w.now)
		}
	}
	after, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// TestRepeatedUseReportCountsOnce checks that the same use can be reported repeatedly: the
// year is quiet from its first report on. If a wrong clock left the last use in the future,
// every report counts, because no use could be newer.
func TestRepeatedUseReportCountsOnce(t *testing.T) {
	t.Parallel()
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	type report struct {
		now string        // when the server reports
		ran time.Duration // since the report before
		use string        // the last use that it knows
	}
	tests := []struct {
		name    string
		reports []report
		used    string
		quiet   time.Duration // running time without use, at the last report
	}{
		{"a use", []report{{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T09:30:00Z"}}, "2026-12-01T09:30:00Z", 0},
		{"reported again", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T09:30:00Z"}, {"2026-12-01T12:00:00Z", hours(2), "2026-12-01T09:30:00Z"},
		}, "2026-12-01T09:30:00Z", hours(2)},
		{"a newer one", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T09:30:00Z"}, {"2026-12-01T12:00:00Z", hours(2), "2026-12-01T10:30:00Z"},
		}, "2026-12-01T10:30:00Z", 0},
		{"an older one", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T09:30:00Z"}, {"2026-12-01T12:00:00Z", hours(2), "2026-12-01T08:00:00Z"},
		}, "2026-12-01T09:30:00Z", hours(2)},
		{"used before the server stopped, reported after it started", []report{
			{"2026-12-01T10:00:00Z", hours(1), ""}, {"2026-12-20T10:00:00Z", 0, "2026-12-01T10:00:30Z"},
		}, "2026-12-01T10:00:30Z", 0},
		{"another server's clock is ahead", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T10:40:00Z"}, {"2026-12-01T10:20:00Z", hours(1), "2026-12-01T10:40:00Z"},
		}, "2026-12-01T10:40:00Z", 0},
		{"and time has passed it", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T10:40:00Z"}, {"2026-12-01T11:00:00Z", hours(1), "2026-12-01T10:40:00Z"},
		}, "2026-12-01T10:40:00Z", hours(1)},
		{"the clock was years ahead, and is right again", []report{
			{"2031-12-01T10:00:00Z", hours(1), "2031-12-01T10:00:00Z"}, {"2026-12-01T12:00:00Z", hours(2), "2026-12-01T11:00:00Z"},
		}, "2026-12-01T11:00:00Z", 0},
		{"and was set back while the year is used", []report{
			{"2026-12-01T10:00:00Z", hours(1), "2026-12-01T10:00:00Z"}, {"2020-01-01T00:00:00Z", hours(2), "2020-01-01T00:00:00Z"},
			{"2020-01-01T01:00:00Z", hours(1), "2020-01-01T00:30:00Z"},
		}, "2020-01-01T00:30:00Z", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := firstStart(t, "2026-11-22").h
			for _, r := range tt.reports {
				h = h.Tick(at(r.now), r.ran)
				if r.use != "" {
					h = h.Use("2026", at(r.use))
				}
			}
			got, _ := h.Record("2026")
			if !got.UsedAt.Equal(at(tt.used)) || h.Clock.RunningTime-got.QuietReading != tt.quiet {
				t.Errorf("last use %s, quiet for %s; want %s, %s", got.UsedAt, h.Clock.RunningTime-got.QuietReading, tt.used, tt.quiet)
			}
		})
	}
}

func TestUseOfUnknownYearIsIgnored(t *testing.T) {
	t.Parallel()
	h := History{}.Use("2026", at("2026-11-22"))
	if _, ok := h.Record("2026"); ok || len(h.Records) > 0 {
		t.Errorf("use made a year: %+v", h)
	}
	if s := h.State("2026", at("2026-11-22")); s != Planned {
		t.Errorf("state %s", s)
	}
}

func TestYearLettersSortAfterTheirYear(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").hand("create 2027", "create 2026c", "create 2026b", "csr 2028")
	var got []idp.Year
	for _, r := range w.h.Records {
		got = append(got, r.Year)
	}
	if diff := cmp.Diff([]idp.Year{"2026", "2026b", "2026c", "2027", "2028"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBeginGivesStatesOfFirstStart checks that keys made by init get the states of a first
// start.
func TestBeginGivesStatesOfFirstStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		made []MadeKey
		now  string
		want states
	}{
		{"nothing", nil, "2026-11-22", states{}},
		{"one year", []MadeKey{full("2026")}, "2026-11-22", states{"2026": Preferred}},
		{"the next one was made, too", []MadeKey{full("2027"), full("2026")}, "2027-01-20", states{"2026": Preferred, "2027": Created}},
		{"and its publishing date has passed", []MadeKey{full("2027"), full("2026")}, "2027-02-10", states{"2026": Preferred, "2027": Published}},
		{"the next one waits for its certificate", []MadeKey{full("2026"), bare("2027")}, "2027-02-10", states{"2026": Preferred, "2027": Created}},
		{"a year that the operator named", []MadeKey{full("2029")}, "2026-11-22", states{"2029": Preferred}},
	}
	for _, tt := range tests {
		for _, manual := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", manual ", manual), func(t *testing.T) {
				t.Parallel()
				p := DefaultPolicy()
				p.Manual = manual
				h := p.Begin(tt.made, at(tt.now))
				if diff := cmp.Diff(tt.want, h.all(at(tt.now))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(h, p.Adopt(h, tt.made, at(tt.now))); diff != "" {
					t.Errorf("adopting changes it:\n%s", diff)
				}
				p.Manual = false
				w := &deployment{t: t, p: p, h: h, now: at(tt.now)}
				w.runTo(w.now.AddDate(3, 0, 0)) // and from there it lives on
			})
		}
	}
}

// TestAdoptMakesNoYearLive checks that keys alone make no year live: they do not show which
// certificates service providers trust.
func TestAdoptMakesNoYearLive(t *testing.T) {
	t.Parallel()
	h := DefaultPolicy().Adopt(History{}, []MadeKey{gone("2025"), full("2026"), full("2027"), full("2028")}, at("2027-08-10"))
	if diff := cmp.Diff(states{"2026": Created, "2027": Created, "2028": Created}, h.all(at("2027-08-10"))); diff != "" || h.Preferred != "" {
		t.Errorf("preferred %q, states (-want +got):\n%s", h.Preferred, diff)
	}
}

// TestAdoptTakesKeyLeftByCrash checks that Adopt takes a key that a crash left without a
// recorded step.
func TestAdoptTakesKeyLeftByCrash(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-01-14").hand("csr 2028")
	w.now = at("2027-02-10")
	made := []MadeKey{full("2026"), full("2027"), full("2028")}
	w.h = w.p.Adopt(w.h, made, w.now)
	w.wantStates(t, states{"2026": Preferred, "2027": Created, "2028": Created})
	if r, _ := w.h.Record("2028"); r.CertEndAt.IsZero() {
		t.Error("the certificate that came is not noted")
	}
	w.log = nil
	w.auto()
	w.wantLog(t, "2027-02-10 publish 2027")

	w.run("2027-07-02")
	w.h = w.p.Adopt(w.h, []MadeKey{gone("2026"), gone("2027"), full("2028")}, w.now)
	if r, _ := w.h.Record("2026"); r.KeyDestroyedAt != w.now {
		t.Errorf("the key of a retired year is gone and not noted: %+v", r)
	}
	if r, _ := w.h.Record("2027"); !r.KeyDestroyedAt.IsZero() {
		t.Errorf("the key of the preferred year is missing, which is no step: %+v", r)
	}
}
