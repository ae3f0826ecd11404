package rotation

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// restore restores the installation from a backup of a time, as of now.
func (w *deployment) restore(backup string) *deployment {
	w.h = w.h.Restore(at(backup), w.now)
	return w
}

// TestRestoreHoldsAutomaticSteps checks that no automatic step is taken after a restore until
// an operator resumes them, in either mode.
func TestRestoreHoldsAutomaticSteps(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").restore("2026-11-20")
	w.log = nil
	w.run("2027-08-01").wantLog(t)
	w.wantAttention(t, "certificate_ended 2026", "restored", "step_held 2027")
	st := w.p.Status(w.h, w.now, nil)
	i := slices.IndexFunc(st.Attention, func(a Attention) bool { return a.Code == RestoreHeld })
	if a := st.Attention[i]; a.Reasons[0].Code != WaitsRestored || a.Suggestions[0].Do != idp.DoRotationResume {
		t.Errorf("attention after a restore: %+v", a)
	}
	if !st.Restoration.Holds() || !st.History().Restoration.Holds() {
		t.Error("the status does not say that the installation was restored")
	}
	if h := w.h.Apply(Step{Kind: StepConfirm}, w.now); !h.Restoration.Holds() {
		t.Error("confirm-clock ended the hold of a restore")
	}
	w.hand("resume").run("2027-08-02")
	if w.h.Restoration.Holds() || len(w.log) == 0 {
		t.Errorf("resume left %+v, steps %v", w.h.Restoration, w.log)
	}
	wantRefusedKind(t, w.try(w.step("resume")), StepResume)
}

// TestRestoreHoldsDestroyInManualMode checks that no key is destroyed before an operator looked.
func TestRestoreHoldsDestroyInManualMode(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-07-10")
	w.p.Manual = true
	w.restore("2027-07-09")
	w.log = nil
	w.run("2027-09-01").wantLog(t)
	w.wantAttention(t, "restored", "step_held 2026")
	w.hand("resume").run("2027-09-02").wantLog(t, "2027-09-02 destroy 2026")
}

// TestRestoreBeginsQuietTimeAgain checks that a year is not retired because it was not used
// before the backup: what used it after that is unknown.
func TestRestoreBeginsQuietTimeAgain(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-06-30").restore("2027-06-29").hand("resume")
	w.log = nil
	w.run("2027-07-13").wantLog(t)
	w.run("2027-07-15").wantLog(t, "2027-07-14 retire 2026")
}

// TestRestoreHoldSurvivesJSON checks the stored form.
func TestRestoreHoldSurvivesJSON(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").restore("2026-11-20")
	text, err := json.Marshal(w.h)
	if err != nil {
		t.Fatal(err)
	}
	var h History
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Restoration{At: at("2026-11-22"), BackupAt: at("2026-11-20")}, h.Restoration); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

// past returns a step of the trail.
func past(date string, s Step) PastStep { return PastStep{s, at(date)} }

func pastCreate(date string, y idp.Year) PastStep {
	return past(date, Step{Kind: StepCreate, Year: y, CertEndAt: at("2028-04-01"), CertificateSHA256: "c" + string(y), PublicKeySHA256: "k" + string(y)})
}

// TestReplay replays steps on a history in which 2026 and 2027 exist.
func TestReplay(t *testing.T) {
	t.Parallel()
	step := func(date string, kind StepKind, y idp.Year) PastStep {
		return past(date, Step{Kind: kind, Year: y, Reason: "why"})
	}
	tests := []struct {
		name   string
		backup string // when the backup was made
		past   []PastStep
		want   map[idp.Year]State
		// lost are the years that wait for their keys.
		lost []idp.Year
	}{
		{"nothing", "2027-01-20", nil,
			map[idp.Year]State{"2026": Preferred, "2027": Created}, nil},
		{"published and preferred", "2027-01-20", []PastStep{step("2027-02-01", StepPublish, "2027"), step("2027-03-01", StepPrefer, "2027")},
			map[idp.Year]State{"2026": Expiring, "2027": Preferred}, nil},
		{"revoked with a successor in the backup", "2027-01-20", []PastStep{step("2027-01-25", StepRevoke, "2026")},
			map[idp.Year]State{"2026": Revoked, "2027": Preferred}, nil},
		{"not preferred, revoked", "2027-01-20", []PastStep{step("2027-01-25", StepRevoke, "2027")},
			map[idp.Year]State{"2026": Preferred, "2027": Revoked}, nil},
		{"retired", "2027-03-10", []PastStep{step("2027-06-25", StepRetire, "2026")},
			map[idp.Year]State{"2026": Retired, "2027": Preferred}, nil},
		{"rolled back", "2027-03-10", []PastStep{step("2027-03-11", StepRollback, "2026")},
			map[idp.Year]State{"2026": Preferred, "2027": Published}, nil},
		{"made after the backup", "2026-12-01", []PastStep{pastCreate("2027-01-15", "2027"), step("2027-02-01", StepPublish, "2027"), step("2027-03-01", StepPrefer, "2027")},
			map[idp.Year]State{"2026": Preferred, "2027": Published}, []idp.Year{"2027"}},
		{"made after the backup, and the other one retired", "2026-12-01",
			[]PastStep{pastCreate("2027-01-15", "2027"), step("2027-02-01", StepPublish, "2027"), step("2027-03-01", StepPrefer, "2027"), step("2027-07-01", StepRetire, "2026")},
			map[idp.Year]State{"2026": Retired, "2027": Preferred}, []idp.Year{"2027"}},
		{"revoked, and the successor made after the backup", "2026-12-01", []PastStep{pastCreate("2026-12-02", "2026b"), step("2026-12-02", StepRevoke, "2026")},
			map[idp.Year]State{"2026": Revoked, "2026b": Preferred}, []idp.Year{"2026b"}},
		{"revoked without a successor", "2026-12-01", []PastStep{step("2026-12-02", StepRevoke, "2026")},
			map[idp.Year]State{"2026": Revoked}, nil},
		{"retired, then revoked", "2027-03-10", []PastStep{step("2027-06-25", StepRetire, "2026"), step("2027-06-26", StepRevoke, "2026")},
			map[idp.Year]State{"2026": Revoked, "2027": Preferred}, nil},
		{"made after the backup and revoked", "2026-12-01", []PastStep{pastCreate("2027-01-15", "2027"), step("2027-01-16", StepRevoke, "2027")},
			map[idp.Year]State{"2026": Preferred, "2027": Revoked}, nil},
		{"of no known year", "2026-12-01", []PastStep{step("2026-12-02", StepRevoke, "2025"), step("2026-12-02", StepPublish, "2025"), step("2026-12-02", StepDestroy, "2025"), pastCreate("2026-12-02", "x")},
			map[idp.Year]State{"2026": Preferred}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22").run(tt.backup)
			after, applied := w.h.Replay(tt.past)
			states := map[idp.Year]State{}
			var lost []idp.Year
			for _, r := range after.Records {
				states[r.Year] = after.State(r.Year, w.now)
				if r.KeyFault != "" && !r.IsOver() {
					lost = append(lost, r.Year)
				}
			}
			if diff := cmp.Diff(tt.want, states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.lost, lost); diff != "" {
				t.Errorf("years without their keys (-want +got):\n%s", diff)
			}
			if r, _ := after.Record(after.Preferred); r.IsOver() {
				t.Error("a year that is over is preferred")
			}
			again, more := after.Replay(tt.past)
			if diff := cmp.Diff(after, again); diff != "" || len(more) > 0 {
				t.Errorf("replayed again: %d applied, (-once +again):\n%s", len(more), diff)
			}
			if len(applied) == 0 && tt.name != "nothing" && tt.name != "of no known year" {
				t.Error("nothing was applied")
			}
		})
	}
}

// TestReplayDestroysKeys checks that the end of a key is recorded, so that the rotator removes
// it from the restored folder.
func TestReplayDestroysKeys(t *testing.T) {
	t.Parallel()
	w := firstStart(t, "2026-11-22").run("2027-03-10")
	after, _ := w.h.Replay([]PastStep{
		past("2027-06-25", Step{Kind: StepDestroy, Year: "2027"}), // of a year that is not over
		past("2027-06-25", Step{Kind: StepRetire, Year: "2026"}),
		past("2027-07-25", Step{Kind: StepDestroy, Year: "2026"}),
	})
	for y, want := range map[idp.Year]bool{"2026": true, "2027": false} {
		if r, _ := after.Record(y); !r.KeyDestroyedAt.IsZero() != want {
			t.Errorf("%s: key destroyed at %v", y, r.KeyDestroyedAt)
		}
	}
}

// TestReplaceSteps checks which steps take the place of a preferred year whose key is lost.
func TestReplaceSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		backup string
		past   []PastStep
		source KeySource
		want   []string
	}{
		{"not lost", "2026-12-01", nil, SourceGenerate, nil},
		{"no other year", "2026-12-01", []PastStep{pastCreate("2026-12-02", "2026b"), past("2026-12-02", Step{Kind: StepRevoke, Year: "2026", Reason: "why"})},
			SourceGenerate, []string{"create 2026c", "publish 2026c", "prefer 2026c"}},
		{"external keys", "2026-12-01", []PastStep{pastCreate("2026-12-02", "2026b"), past("2026-12-02", Step{Kind: StepRevoke, Year: "2026", Reason: "why"})},
			SourceImport, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22").run(tt.backup)
			w.p.KeySource = tt.source
			w.h, _ = w.h.Replay(tt.past)
			var got []string
			for _, s := range w.p.ReplaceSteps(w.h, w.now) {
				if got = append(got, string(s.Kind)+" "+string(s.Year)); w.try(s) != nil {
					t.Errorf("%s %s is refused", s.Kind, s.Year)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}
