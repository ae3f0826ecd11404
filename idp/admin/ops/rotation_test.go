package ops_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/idp/sp"
)

// newRotation returns a service whose rotation has begun, with the year 2031.
func newRotation(t *testing.T) (*ops.Service, *fixture.Fixture) {
	t.Helper()
	s, f := newService(t)
	if err := s.Rotation.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, f
}

// TestDryRunPredictsRotationStep takes several steps. Each is recorded under the caller's name,
// and a dry run returns the same answer without leaving a trace.
func TestDryRunPredictsRotationStep(t *testing.T) {
	t.Parallel()
	s, f := newRotation(t)
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Caller{UID: os.Geteuid(), Name: "ops"})
	before := auditKinds(t, f.Store)
	dry := ops.StepRequest{Step: rotation.StepRevoke, Year: "2031", Reason: "leaked", DryRun: true}
	foretold, err := admin.Call(t.Context(), c, ops.TakeStep, dry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, auditKinds(t, f.Store)); diff != "" {
		t.Errorf("the dry run is recorded (-want +got):\n%s", diff)
	}
	if st, err := admin.Call(t.Context(), c, ops.ShowStatus, ops.Empty{}); err != nil || st.Preferred != "2031" {
		t.Errorf("%s is preferred after a dry run: %v", st.Preferred, err)
	}
	dry.DryRun = false
	done, err := admin.Call(t.Context(), c, ops.TakeStep, dry)
	if err != nil {
		t.Fatal(err)
	}
	want := []ops.YearChange{
		{Year: "2031", From: rotation.Preferred, To: rotation.Revoked},
		{Year: "2031b", From: rotation.Planned, To: rotation.Preferred},
	}
	if diff := cmp.Diff(want, done.Changed); diff != "" {
		t.Errorf("revoke (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, foretold.Changed); diff != "" {
		t.Errorf("its dry run (-want +got):\n%s", diff)
	}
	after := append(before, "rotation.create "+admin.Caller{UID: os.Geteuid(), Name: "ops"}.Actor(),
		"rotation.revoke "+admin.Caller{UID: os.Geteuid(), Name: "ops"}.Actor())
	if diff := cmp.Diff(after, auditKinds(t, f.Store)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	next, err := admin.Call(t.Context(), c, ops.TakeStep, ops.StepRequest{Step: rotation.StepCreate, Year: "2032", DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	// A year that is over is not reported again.
	same := []ops.YearChange{{Year: "2031b", From: rotation.Preferred, To: rotation.Preferred}}
	if diff := cmp.Diff(same, next.Unchanged); diff != "" {
		t.Errorf("unchanged (-want +got):\n%s", diff)
	}
	if st, err := admin.Call(t.Context(), c, ops.ShowStatus, ops.Empty{}); err != nil || st.Preferred != "2031b" || !st.Automatic {
		t.Errorf("after revoke: %+v, %v", st, err)
	}
}

// auditKinds returns the kind and actor of every audit record.
func auditKinds(t *testing.T, store idp.Store) (kinds []string) {
	t.Helper()
	records, err := audit.Records(t.Context(), store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		kinds = append(kinds, string(r.Kind)+" "+r.Actor)
	}
	return kinds
}

// TestRefusedStepExplainsAndWritesNothing asks for steps that are refused. Each answer says
// why and, where possible, how to fix it. Nothing is written.
func TestRefusedStepExplainsAndWritesNothing(t *testing.T) {
	t.Parallel()
	s, f := newRotation(t)
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	before := auditKinds(t, f.Store)
	tests := []struct {
		name string
		req  ops.StepRequest
		code admin.Code
		// why is the reason code of a refusal, do the suggestion.
		why rotation.ReasonCode
		do  []idp.Suggestion
	}{
		{"unknown step", ops.StepRequest{Step: "sell", Year: "2031"}, admin.CodeInvalid, "", nil},
		{"destroy is no command", ops.StepRequest{Step: rotation.StepDestroy, Year: "2031"}, admin.CodeInvalid, "", nil},
		{"import is no command here", ops.StepRequest{Step: rotation.StepImport, Year: "2032"}, admin.CodeInvalid, "", nil},
		{"no year", ops.StepRequest{Step: rotation.StepCreate}, admin.CodeInvalid, "", nil},
		{"a path for a year", ops.StepRequest{Step: rotation.StepCreate, Year: "../2032"}, admin.CodeInvalid, "", nil},
		{"a year for resume", ops.StepRequest{Step: rotation.StepResume, Year: "2031"}, admin.CodeInvalid, "", nil},
		{"a key to destroy with a publish", ops.StepRequest{Step: rotation.StepPublish, Year: "2031", DestroyNow: true}, admin.CodeInvalid, "", nil},
		{"rollback without a reason", ops.StepRequest{Step: rotation.StepRollback}, admin.CodeInvalid, "", nil},
		{"a long reason", ops.StepRequest{Step: rotation.StepRollback, Reason: strings.Repeat("x", 501)}, admin.CodeInvalid, "", nil},
		{"create what is there", ops.StepRequest{Step: rotation.StepCreate, Year: "2031"}, admin.CodeRefused, rotation.RefusedExists, suggest("rotation.create", "2031b")},
		{"create what is over", ops.StepRequest{Step: rotation.StepCreate, Year: "2030"}, admin.CodeRefused, rotation.RefusedOlderThanPreferred, suggest("rotation.create", "2031b")},
		{"publish nothing", ops.StepRequest{Step: rotation.StepPublish, Year: "2032"}, admin.CodeRefused, rotation.RefusedNeverMade, suggest("rotation.create", "2032")},
		{"prefer it again", ops.StepRequest{Step: rotation.StepPrefer, Year: "2031"}, admin.CodeRefused, rotation.RefusedAlready, nil},
		{"retire the preferred", ops.StepRequest{Step: rotation.StepRetire, Year: "2031", Force: true, Reason: "x"}, admin.CodeRefused, rotation.RefusedPreferred, suggest("rotation.plan")},
		{"and destroy its key", ops.StepRequest{Step: rotation.StepRetire, Year: "2031", DestroyNow: true}, admin.CodeRefused, rotation.RefusedPreferred, suggest("rotation.plan")},
		{"roll back to nothing", ops.StepRequest{Step: rotation.StepRollback, Reason: "x"}, admin.CodeRefused, rotation.RefusedNoOlderYear, nil},
		{"revoke without a reason", ops.StepRequest{Step: rotation.StepRevoke, Year: "2031"}, admin.CodeRefused, rotation.RefusedReasonMissing, nil},
		{"revoke nothing", ops.StepRequest{Step: rotation.StepRevoke, Year: "2032", Reason: "x"}, admin.CodeRefused, rotation.RefusedNeverMade, suggest("rotation.status")},
		{"a clock that is right", ops.StepRequest{Step: rotation.StepConfirm}, admin.CodeRefused, rotation.RefusedClockTrusted, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, tt.req.DryRun = range []bool{true, false} {
				_, err := admin.Call(t.Context(), c, ops.TakeStep, tt.req)
				var e *admin.Error
				if !errors.As(err, &e) || e.Code != tt.code || e.Message == "" {
					t.Fatalf("dry run %v: %v, want %s", tt.req.DryRun, err, tt.code)
				}
				if tt.why != "" && (e.Reason == nil || e.Reason.Code != tt.why || e.Reason.Text == "") {
					t.Errorf("dry run %v: reason %+v, want %s", tt.req.DryRun, e.Reason, tt.why)
				}
				if tt.do == nil != (e.Suggestions == nil) || tt.do != nil && (e.Suggestions[0].Do != tt.do[0].Do || !slices.Equal(e.Suggestions[0].Subjects, tt.do[0].Subjects)) {
					t.Errorf("dry run %v: suggestions %+v, want %+v", tt.req.DryRun, e.Suggestions, tt.do)
				}
			}
		})
	}
	if diff := cmp.Diff(before, auditKinds(t, f.Store)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	for _, years := range []int{-1, 0, ops.MaxPlanYears + 1} {
		if _, err := admin.Call(t.Context(), c, ops.ShowPlan, ops.PlanRequest{Years: years}); err == nil {
			t.Errorf("a plan of %d years is made", years)
		}
	}
}

func suggest(do idp.Action, subjects ...string) []idp.Suggestion {
	return []idp.Suggestion{idp.Suggest(do, subjects...)}
}

func TestEndedRequestCertNeedsAttention(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	text, err := os.ReadFile("../../../testdata/keys/sp1.crt")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	f.Clock.Set(cert.NotAfter.Add(-time.Second))
	if err := s.Rotation.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	_, err = admin.Call(t.Context(), c, ops.AddSP, ops.SPChange{EntityID: "urn:one", Edit: sp.Edit{Set: map[string][]string{
		"acs_urls": {"https://sp.example.gov/acs"}, "certs": {string(text)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := func() (found []rotation.Args) {
		t.Helper()
		st, err := admin.Call(t.Context(), c, ops.ShowStatus, ops.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range st.Attention {
			if a.Code == rotation.RequestCertEnded {
				found = append(found, a.Args)
			}
		}
		return found
	}
	if got := ended(); got != nil {
		t.Errorf("a second before: %v", got)
	}
	f.Clock.Set(cert.NotAfter)
	want := []rotation.Args{{SPs: []idp.EntityID{"urn:one"}, At: cert.NotAfter.UTC()}}
	if diff := cmp.Diff(want, ended()); diff != "" {
		t.Errorf("at its end (-want +got):\n%s", diff)
	}
	plan, err := admin.Call(t.Context(), c, ops.ShowPlan, ops.PlanRequest{Years: 1})
	if err != nil || !slices.ContainsFunc(plan.Attention, func(a rotation.Attention) bool { return a.Code == rotation.RequestCertEnded }) {
		t.Errorf("the plan does not mention it: %v, %v", plan.Attention, err)
	}
	// An inactive service provider sends nothing.
	if _, err := admin.Call(t.Context(), c, ops.EditSP, ops.SPChange{EntityID: "urn:one", Edit: sp.Edit{Set: map[string][]string{"active": {"false"}}}}); err != nil {
		t.Fatal(err)
	}
	if got := ended(); got != nil {
		t.Errorf("inactive: %v", got)
	}
}

// TestRetireNamesProvidersOfUsedYear asks to retire a year that is used. The answer names
// the service providers that use it, in the text and in a field.
func TestRetireNamesProvidersOfUsedYear(t *testing.T) {
	t.Parallel()
	s, f := newRotation(t)
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	step := func(kind rotation.StepKind, y idp.Year) error {
		_, err := admin.Call(t.Context(), c, ops.TakeStep, ops.StepRequest{Step: kind, Year: y})
		return err
	}
	for _, kind := range []rotation.StepKind{rotation.StepCreate, rotation.StepPublish, rotation.StepPrefer} {
		if err := step(kind, "2032"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := admin.Call(t.Context(), c, ops.AddSP, ops.SPChange{EntityID: "urn:one", Edit: sp.Edit{Set: map[string][]string{
		"acs_urls": {"https://sp.example.gov/acs"}, "sign_requests": {"optional"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 130 {
		f.Clock.Advance(24 * time.Hour)
		if err := s.Rotation.Tick(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	s.Board.Usage.Use(idp.Use{SP: "urn:one", Year: "2031", At: f.Clock.Now()})
	var refused *admin.Error
	err = step(rotation.StepRetire, "2031")
	if !errors.As(err, &refused) || refused.Code != admin.CodeRefused || !refused.Reason.IsUse() || refused.Suggestions[0].Label != "retire_anyway" {
		t.Fatalf("retire: %v", err)
	}
	if diff := cmp.Diff([]idp.EntityID{"urn:one"}, refused.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	st, err := admin.Call(t.Context(), c, ops.ShowStatus, ops.Empty{})
	if err != nil || st.Board == nil || len(st.Board.SPs) != 1 || st.Board.SPs[0].Move != migration.Unmoved {
		t.Errorf("the board in the answer: %+v, %v", st.Board, err)
	}
	plan, err := admin.Call(t.Context(), c, ops.ShowPlan, ops.PlanRequest{Years: 1})
	if err != nil || len(plan.Steps) == 0 {
		t.Errorf("plan: %+v, %v", plan, err)
	}
}
