package rotation

import (
	"testing"

	"vernal/idp"
)

type states = map[idp.Year]State

// TestFirstStartOpensYearOfDate starts an installation on typical days and checks the steps
// that follow.
func TestFirstStartOpensYearOfDate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, now string
		log       []string
		states    states
	}{
		{"autumn: the calendar's year", "2026-11-22T13:36:00Z",
			[]string{"2026-11-22 create 2026", "2026-11-22 publish 2026", "2026-11-22 prefer 2026"},
			states{"2026": Preferred}},
		{"the next key's date has passed", "2027-01-20",
			[]string{"2027-01-20 create 2026", "2027-01-20 publish 2026", "2027-01-20 prefer 2026", "2027-01-20 create 2027"},
			states{"2026": Preferred, "2027": Created}},
		{"the next one is published", "2027-02-10",
			[]string{"2027-02-10 create 2026", "2027-02-10 publish 2026", "2027-02-10 prefer 2026", "2027-02-10 create 2027", "2027-02-10 publish 2027"},
			states{"2026": Preferred, "2027": Published}},
		{"preferred already: never an older one", "2027-03-15",
			[]string{"2027-03-15 create 2027", "2027-03-15 publish 2027", "2027-03-15 prefer 2027"},
			states{"2027": Preferred}},
		{"after the old certificate's end", "2027-04-02",
			[]string{"2027-04-02 create 2027", "2027-04-02 publish 2027", "2027-04-02 prefer 2027"},
			states{"2027": Preferred}},
		{"after the old one's retirement", "2027-07-05",
			[]string{"2027-07-05 create 2027", "2027-07-05 publish 2027", "2027-07-05 prefer 2027"},
			states{"2027": Preferred}},
		{"leap day", "2028-02-29",
			[]string{"2028-02-29 create 2027", "2028-02-29 publish 2027", "2028-02-29 prefer 2027", "2028-02-29 create 2028", "2028-02-29 publish 2028"},
			states{"2027": Preferred, "2028": Published}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, tt.now)
			w.wantLog(t, tt.log...)
			w.wantStates(t, tt.states)
			w.wantAttention(t)
		})
	}
}

// TestYearRotatesOnCalendarDates checks the spring of 2027 in an installation of November
// 2026.
func TestYearRotatesOnCalendarDates(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22T13:36:00Z")
	w.log = nil
	for _, day := range []struct {
		until     string
		states    states
		log       []string
		attention []string
	}{
		{until: "2027-01-14", states: states{"2026": Preferred}},
		{until: "2027-01-20", states: states{"2026": Preferred, "2027": Created}, log: []string{"2027-01-15 create 2027"}},
		{until: "2027-02-10", states: states{"2026": Preferred, "2027": Published}, log: []string{"2027-02-01 publish 2027"}},
		{until: "2027-03-15", states: states{"2026": Expiring, "2027": Preferred}, log: []string{"2027-03-01 prefer 2027"}},
		{until: "2027-04-02", states: states{"2026": Grace, "2027": Preferred}, attention: []string{"certificate_ended 2026"}},
		{until: "2027-07-05", states: states{"2026": Retired, "2027": Preferred}, log: []string{"2027-07-01 retire 2026"}},
		{until: "2027-08-01", states: states{"2026": Retired, "2027": Preferred}, log: []string{"2027-07-31 destroy 2026"}},
		{until: "2028-02-29", states: states{"2026": Retired, "2027": Preferred, "2028": Published},
			log: []string{"2028-01-15 create 2028", "2028-02-01 publish 2028"}},
		{until: "2028-03-01", states: states{"2026": Retired, "2027": Expiring, "2028": Preferred}, log: []string{"2028-03-01 prefer 2028"}},
	} {
		w.run(day.until)
		w.wantLog(t, day.log...)
		w.wantStates(t, day.states)
		w.wantAttention(t, day.attention...)
	}
	if r, _ := w.h.Record("2026"); r.KeyDestroyedAt.IsZero() || r.CertEndAt != at("2027-04-01") {
		t.Errorf("2026 keeps its certificate and loses its key: %+v", r)
	}
}

// TestDowntimeDelaysStepsSafely checks that after downtime the calendar decides which years
// are made, and that partners still get their time to move.
func TestDowntimeDelaysStepsSafely(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		live, back string // the server runs until live, and again from back on
		until      string
		log        []string
	}{
		{"two years: skipped years are never made, and an ended certificate gives way at once", "2026-11-23", "2028-11-23", "2029-05-01",
			[]string{"2028-11-23 create 2028", "2028-11-23 publish 2028", "2028-11-23 prefer 2028",
				"2029-01-15 create 2029", "2029-02-01 publish 2029", "2029-03-01 prefer 2029",
				"2029-03-23 retire 2026", "2029-04-22 destroy 2026"}},
		{"over the preferring date: 28 days", "2026-11-23", "2027-03-02", "2027-03-31",
			[]string{"2027-03-02 create 2027", "2027-03-02 publish 2027", "2027-03-30 prefer 2027"}},
		{"back on the preferring date: 28 days", "2026-11-23", "2027-03-01", "2027-03-31",
			[]string{"2027-03-01 create 2027", "2027-03-01 publish 2027", "2027-03-29 prefer 2027"}},
		{"the old certificate ends within the 28 days", "2026-11-23", "2027-03-20", "2027-04-20",
			[]string{"2027-03-20 create 2027", "2027-03-20 publish 2027", "2027-04-01 prefer 2027"}},
		{"the old certificate has ended", "2026-11-23", "2027-04-01", "2027-04-20",
			[]string{"2027-04-01 create 2027", "2027-04-01 publish 2027", "2027-04-01 prefer 2027"}},
		{"made before, published late", "2027-01-20", "2027-03-05", "2027-04-20",
			[]string{"2027-03-05 publish 2027", "2027-04-01 prefer 2027"}},
		{"published on its date: preferred at once", "2027-02-10", "2027-03-05", "2027-03-06",
			[]string{"2027-03-05 prefer 2027"}},
		{"over the publishing date only", "2026-12-24", "2027-02-05", "2027-03-02",
			[]string{"2027-02-05 create 2027", "2027-02-05 publish 2027", "2027-03-01 prefer 2027"}},
		{"made before and skipped: published no more, retired on its date", "2027-01-20", "2028-03-10", "2028-12-31",
			[]string{"2028-03-10 create 2028", "2028-03-10 publish 2028", "2028-03-10 prefer 2028",
				"2028-07-08 retire 2026", "2028-07-08 retire 2027", "2028-08-07 destroy 2026", "2028-08-07 destroy 2027"}},
		{"over the retiring date: first 14 days of running time", "2027-05-01", "2027-08-01", "2027-08-20",
			[]string{"2027-08-15 retire 2026"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22").run(tt.live)
			w.log = nil
			w.down(tt.back).run(tt.until).wantLog(t, tt.log...)
		})
	}
}

// TestRevokeDuringOverlapKeepsSigning checks an emergency while two years are live, in the
// weeks when partners move.
func TestRevokeDuringOverlapKeepsSigning(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, on string
		revoke   idp.Year
		steps    []StepKind
		states   states
		log      []string // what automatic mode does until May
	}{
		{"the old year, before the change: the new one takes over now", "2027-02-10", "2026",
			[]StepKind{StepRevoke}, states{"2026": Revoked, "2027": Preferred},
			[]string{"2027-03-12 destroy 2026"}},
		{"the old year, and the new one has a key only", "2027-01-20", "2026",
			[]StepKind{StepRevoke}, states{"2026": Revoked, "2027": Preferred},
			[]string{"2027-02-19 destroy 2026"}},
		{"the old year after the change: it only ends", "2027-03-15", "2026",
			[]StepKind{StepRevoke}, states{"2026": Revoked, "2027": Preferred},
			[]string{"2027-04-14 destroy 2026"}},
		{"the new year before the change: it ends, and a letter is made in its place", "2027-02-10", "2027",
			[]StepKind{StepRevoke}, states{"2026": Preferred, "2027": Revoked},
			[]string{"2027-02-11 create 2027b", "2027-02-11 publish 2027b", "2027-03-01 prefer 2027b", "2027-03-12 destroy 2027"}},
		{"the new year after the change: its letter, never the old year", "2027-03-15", "2027",
			[]StepKind{StepCreate, StepRevoke}, states{"2026": Expiring, "2027": Revoked, "2027b": Preferred},
			[]string{"2027-04-14 destroy 2027"}},
		{"no newer key", "2026-12-24", "2026",
			[]StepKind{StepCreate, StepRevoke}, states{"2026": Revoked, "2026b": Preferred},
			[]string{"2027-01-15 create 2027", "2027-01-23 destroy 2026", "2027-02-01 publish 2027", "2027-03-01 prefer 2027"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22").run(tt.on)
			w.log = nil
			before, _ := w.h.Record(tt.revoke)
			steps, err := w.p.RevokeSteps(w.h, tt.revoke, "the laptop is gone", w.now)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []StepKind
			for _, s := range steps {
				kinds = append(kinds, s.Kind)
				if s.Kind == StepCreate && s.CertEndAt != before.CertEndAt {
					t.Errorf("the letter's certificate ends on %s, that of %s on %s", s.CertEndAt, tt.revoke, before.CertEndAt)
				}
				if err := w.try(s); err != nil {
					t.Fatal(err)
				}
			}
			if len(kinds) != len(tt.steps) || kinds[0] != tt.steps[0] {
				t.Errorf("steps %v, want %v", kinds, tt.steps)
			}
			w.wantStates(t, tt.states)
			w.run("2027-05-01").wantLog(t, tt.log...)
		})
	}
}
