package rotation

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// keyOf returns the key and certificate of a year as the rules see them.
func keyOf(y idp.Year) MadeKey {
	m := full(y)
	m.CertSHA256, m.PublicKeySHA256 = "certificate of "+string(y), "key of "+string(y)
	return m
}

// otherKey returns a key of the year that is not the recorded one.
func otherKey(y idp.Year) MadeKey {
	m := full(y)
	m.CertSHA256, m.PublicKeySHA256 = "another certificate", "another key"
	return m
}

// recordedWith returns a deployment on 15 February 2027, with 2026 preferred and 2027
// published, whose history records the keys.
func recordedWith(t *testing.T, keys ...MadeKey) *deployment {
	t.Helper()
	w := firstStart(t, "2026-11-22").run("2027-02-15")
	w.log = nil
	for _, k := range keys {
		w.h = w.h.edit(k.Year, func(r *Record) { r.recordIdentity(k.CertSHA256, k.PublicKeySHA256) })
	}
	return w
}

// TestStepsRefuseFaultyYear checks that steps that rely on the key of a faulty year are
// refused, and that those that end the year are not.
func TestStepsRefuseFaultyYear(t *testing.T) {
	t.Parallel()
	k26, k27 := keyOf("2026"), keyOf("2027")
	preferred := func(w *deployment) { w.hand("prefer 2027") }
	unpublished := func(w *deployment) {
		w.h = w.h.edit("2027", func(r *Record) { r.PublishedAt = time.Time{} })
	}
	other := otherKey("2027")
	waiting := func(w *deployment) {
		w.h = w.h.edit("2027", func(r *Record) { r.PublishedAt, r.CertEndAt, r.CertificateSHA256 = time.Time{}, time.Time{}, "" })
	}
	bring := func(k MadeKey) Step {
		return Step{Kind: StepImport, Year: "2027", CertEndAt: k.CertEndAt, CertificateSHA256: k.CertSHA256, PublicKeySHA256: k.PublicKeySHA256}
	}
	tests := []struct {
		name   string
		before func(*deployment)
		faulty idp.Year // "": none
		step   Step
		want   ReasonCode
	}{
		{"publish", unpublished, "2027", Step{Kind: StepPublish, Year: "2027"}, ReasonCode(KeyMissing)},
		{"prefer", nil, "2027", Step{Kind: StepPrefer, Year: "2027"}, ReasonCode(KeyMissing)},
		{"rollback", preferred, "2026", Step{Kind: StepRollback, Year: "2026"}, ReasonCode(KeyMissing)},
		{"create", nil, "2027", Step{Kind: StepCreate, Year: "2027", CertEndAt: at("2028-04-01")}, ReasonCode(KeyMissing)},
		{"csr", waiting, "2027", Step{Kind: StepCSR, Year: "2027"}, ReasonCode(KeyMissing)},
		{"import of another pair, the key lost", waiting, "2027", bring(other), ReasonCode(KeyMissing)},
		{"import of another pair, the key there", waiting, "", bring(other), RefusedOtherKey},
		{"import of the recorded pair, the key lost", waiting, "2027", bring(k27), ""},
		{"import of the recorded pair", waiting, "", bring(k27), ""},
		{"create of another certificate", nil, "", Step{Kind: StepCreate, Year: "2027", CertEndAt: at("2028-04-01"), CertificateSHA256: other.CertSHA256}, RefusedOtherKey},
		{"revoke", nil, "2027", Step{Kind: StepRevoke, Year: "2027", Reason: "lost"}, ""},
		{"revoke the preferred", nil, "2026", Step{Kind: StepRevoke, Year: "2026", Reason: "lost"}, ""},
		{"prefer another", nil, "2026", Step{Kind: StepPrefer, Year: "2027"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := recordedWith(t, k26, k27)
			if tt.before != nil {
				tt.before(w)
			}
			if tt.faulty != "" {
				w.h = w.h.WithFaults(map[idp.Year]KeyFault{tt.faulty: KeyMissing})
			}
			before := w.h
			_, err := w.p.Take(tt.step, w.h, w.now)
			var refused *RefusedError
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (!errors.As(err, &refused) || refused.Reason.Code != tt.want):
				t.Errorf("%v, want a refusal because of %s", err, tt.want)
			}
			if diff := cmp.Diff(before, w.h); diff != "" {
				t.Errorf("the history changed:\n%s", diff)
			}
		})
	}
}

// TestRevokePassesOverFaultySuccessor checks that a year without its key cannot take over
// from a revoked one: an emergency year with the next letter is made.
func TestRevokePassesOverFaultySuccessor(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	w.h = w.h.WithFaults(map[idp.Year]KeyFault{"2027": KeyMissing})
	steps, err := w.p.RevokeSteps(w.h, "2026", "leaked", w.now)
	if err != nil || len(steps) != 2 || steps[0].Year != "2026b" || steps[0].Kind != StepCreate {
		t.Errorf("%+v, %v; want 2026b created first", steps, err)
	}
}

// TestAutomaticHoldsFaultyYear checks that automatic mode holds the steps of a year that has
// lost its key, and gives the reason.
func TestAutomaticHoldsFaultyYear(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	faults := map[idp.Year]KeyFault{"2027": KeyMissing}
	w.h = w.h.WithFaults(faults)
	w.wantAttention(t, "signing_key_unusable 2027")
	w.run("2027-03-02")
	w.wantLog(t)
	w.wantAttention(t, "signing_key_unusable 2027", "step_held 2027")
	if st := w.p.Status(w.h, w.now, nil); st.Years[1].Live || !st.Years[0].Live {
		t.Error("a closed year is shown as live")
	}
	w.h = w.h.WithFaults(nil)
	w.auto()
	w.wantLog(t, "2027-03-02 prefer 2027")
}

func TestAdoptKeepsRecordedKeyIdentity(t *testing.T) {
	t.Parallel()
	k, other := keyOf("2027"), otherKey("2027")
	id := func(k MadeKey) [2]string { return [2]string{k.CertSHA256, k.PublicKeySHA256} }
	pub := [2]string{"", k.PublicKeySHA256}
	certEnd := k.CertEndAt
	alone := MadeKey{Year: "2027", HasKey: true, PublicKeySHA256: k.PublicKeySHA256}
	tests := []struct {
		name   string
		record Record
		key    MadeKey
		want   [2]string
	}{
		{"recorded without digests", Record{CertEndAt: certEnd}, k, [2]string{}},
		{"recorded without digests, key alone", Record{CertEndAt: certEnd}, alone, [2]string{}},
		{"waits", Record{}, alone, pub},
		{"recorded, the same", Record{CertEndAt: certEnd, CertificateSHA256: id(k)[0], PublicKeySHA256: id(k)[1]}, k, id(k)},
		{"recorded, another", Record{CertEndAt: certEnd, CertificateSHA256: id(k)[0], PublicKeySHA256: id(k)[1]}, other, id(k)},
		{"waits, its certificate came", Record{PublicKeySHA256: pub[1]}, k, id(k)},
		{"waits, another pair came", Record{PublicKeySHA256: pub[1]}, other, pub},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.record.Year, tt.record.CreatedAt = "2027", at("2027-01-15")
			h := History{Records: []Record{tt.record}}
			h = DefaultPolicy().Adopt(h, []MadeKey{tt.key}, at("2027-02-15"))
			if got := [2]string{h.Records[0].CertificateSHA256, h.Records[0].PublicKeySHA256}; got != tt.want {
				t.Errorf("recorded %v, want %v", got, tt.want)
			}
			if tt.want == pub && !h.Records[0].CertEndAt.IsZero() {
				t.Error("another certificate than that of the waiting key was recorded")
			}
		})
	}
}

// TestAdoptIgnoresStrayCertificate checks that a certificate without a key counts as an
// earlier year only if nothing is recorded. Otherwise it is a stray file.
func TestAdoptIgnoresStrayCertificate(t *testing.T) {
	t.Parallel()
	w := recordedWith(t)
	stray := keyOf("2031")
	stray.HasKey = false
	if h := w.p.Adopt(w.h, []MadeKey{stray}, w.now); len(h.Records) != len(w.h.Records) {
		t.Errorf("records: %+v", h.Records)
	}
}

// TestIdentitiesInJSON checks that the digests survive JSON, and that earlier histories
// without digests are read.
func TestIdentitiesInJSON(t *testing.T) {
	t.Parallel()
	h := recordedWith(t, keyOf("2027")).h
	doc, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back History
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, back); diff != "" || h.Records[1].CertificateSHA256 == "" {
		t.Errorf("%s", diff)
	}
}

// TestAutomaticWithAnyFaults checks that, whatever keys are lost, automatic mode terminates,
// takes only allowed steps, and never prefers or publishes a year that cannot sign.
func TestAutomaticWithAnyFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := firstStart(t, "2026-11-22")
		for range rapid.IntRange(1, 8).Draw(t, "months") {
			w.runTo(w.now.AddDate(0, rapid.IntRange(1, 3).Draw(t, "month"), 0))
			faults := map[idp.Year]KeyFault{}
			for _, r := range w.h.Records {
				if rapid.IntRange(0, 3).Draw(t, "lost") == 0 && !r.IsOver() && r.Year != w.h.Preferred {
					faults[r.Year] = KeyMissing
				}
			}
			w.h = w.h.WithFaults(faults)
			if y := w.p.CreateStep(w.h, "2027b", w.now); rapid.IntRange(0, 4).Draw(t, "letter") == 0 {
				_ = w.try(y) // allowed or not
			}
			for _, s := range w.p.Steps(w.h, w.now) {
				if r, _ := w.h.Record(s.Year); r.KeyFault != "" && (s.Kind == StepPublish || s.Kind == StepPrefer) {
					t.Fatalf("%s: %s %s without its key", date(w.now), s.Kind, s.Year)
				}
			}
			w.auto()
			if r, _ := w.h.Record(w.h.Preferred); !r.canSign() {
				t.Fatalf("%s: the preferred year %s cannot sign", date(w.now), r.Year)
			}
			w.p.Plan(w.h, w.now, 4)
		}
	})
}

// TestApplyKeepsRecordedKeyIdentity checks that Apply never changes a recorded digest.
func TestApplyKeepsRecordedKeyIdentity(t *testing.T) {
	t.Parallel()
	k, other := keyOf("2027"), otherKey("2027")
	h := recordedWith(t, k).h.Apply(Step{
		Kind: StepImport, Year: "2027", CertificateSHA256: other.CertSHA256, PublicKeySHA256: other.PublicKeySHA256,
	}, at("2027-02-16"))
	if r, _ := h.Record("2027"); r.CertificateSHA256 != k.CertSHA256 || r.PublicKeySHA256 != k.PublicKeySHA256 {
		t.Errorf("recorded: %+v", r)
	}
}
