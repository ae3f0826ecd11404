package rotation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// TestCertEndingNamesItsReasons checks that the attention for our expiring certificate names
// its reason. That service providers have not moved is a reason only if there is a year to
// move to.
func TestCertEndingNamesItsReasons(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(*deployment) // after a first start on 22 November 2026
		want []Reason          // of certificate_ending 2026; nil if there is none
	}{
		{"90 days before, nothing to move to", func(w *deployment) { w.run("2027-01-01") }, nil},
		{"60 days before, nothing to move to", func(w *deployment) { w.run("2027-01-31") }, nil},
		{"nothing to move to", func(w *deployment) { w.p.Manual = true; w.used = []idp.Year{"2026"}; w.run("2027-03-02") },
			[]Reason{{Code: WaitsNoNewerYear}}},
		{"nothing to move to, whatever was counted", func(w *deployment) {
			w.p.Manual = true
			w.run("2027-03-02")
			w.unmoved = Counts{"2026": 2}
		}, []Reason{{Code: WaitsNoNewerYear}}},
		{"two have not moved", func(w *deployment) { w.run("2027-03-02"); w.unmoved = Counts{"2026": 2} },
			[]Reason{{Code: EndsNotMoved, Args: Args{Count: 2}}}},
		{"all have moved", func(w *deployment) { w.used = []idp.Year{"2026"}; w.run("2027-03-02"); w.unmoved = Counts{"2026": 0} }, nil},
		{"a rollback keeps them", func(w *deployment) { w.used = []idp.Year{"2026"}; w.run("2027-03-02").hand("rollback 2026") },
			[]Reason{{Code: WaitsHold, Args: Args{At: at("2027-03-02")}}}},
		{"a rollback keeps a year that no one uses", func(w *deployment) { w.run("2027-03-02").hand("rollback 2026") }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := firstStart(t, "2026-11-22")
			tt.do(w)
			var got []Reason
			for _, a := range w.p.Attention(w.h, w.now, w.unmoved) {
				if a.Code == CertEnding {
					got = a.Reasons
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
