package audit_test

import (
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// TestKindsListEveryDecisionAndStep checks that the table lists the kind of every decision
// and rotation step once, in order, with its meaning. Operators look kinds up in it.
func TestKindsListEveryDecisionAndStep(t *testing.T) {
	t.Parallel()
	known := idp.AuditKinds()
	if !slices.IsSortedFunc(known, func(a, b idp.AuditMeaning) int { return strings.Compare(string(a.Kind), string(b.Kind)) }) {
		t.Error("Kinds are not in order")
	}
	seen := map[idp.AuditKind]bool{}
	for _, k := range known {
		if k.Kind == "" || k.Meaning == "" || seen[k.Kind] {
			t.Errorf("kind %q has no meaning, or appears twice", k.Kind)
		}
		seen[k.Kind] = true
	}
	for _, step := range []rotation.StepKind{rotation.StepCreate, rotation.StepCSR, rotation.StepImport, rotation.StepPublish, rotation.StepPrefer, rotation.StepRetire,
		rotation.StepDestroy, rotation.StepRollback, rotation.StepResume, rotation.StepRevoke, rotation.StepConfirm} {
		if kind := idp.RotationAuditKind(string(step)); !seen[kind] {
			t.Errorf("kind %q is not in the table", kind)
		}
	}
	for _, d := range audit.Decisions() {
		if kind := d.Rule().Kind; kind != "" && !seen[kind] {
			t.Errorf("kind %q of the decision %s is not in the table", kind, d)
		}
	}
}
