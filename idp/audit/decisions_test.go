package audit_test

import (
	"slices"
	"testing"

	"vernal/idp"
	"vernal/idp/audit"
)

// TestEveryDecisionHasRule checks that every decision has a rule under a unique name, whose
// kind is in the list of kinds.
func TestEveryDecisionHasRule(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, d := range audit.Decisions() {
		r := d.Rule()
		if r.Name == "" || names[r.Name] {
			t.Errorf("decision %d has the name %q", d, r.Name)
		}
		names[r.Name] = true
		if (r.Kind == "") != (r.Writer == audit.WriterNone) {
			t.Errorf("%s: kind %q with writer %d", d, r.Kind, r.Writer)
		}
		if r.Kind != "" && !slices.ContainsFunc(idp.AuditKinds(), func(k idp.AuditMeaning) bool { return k.Kind == r.Kind }) {
			t.Errorf("%s: kind %q is not in the list of kinds", d, r.Kind)
		}
		if r.Outcome == "" && r.Writer != audit.WriterPage && r.Writer != audit.WriterNone {
			t.Errorf("%s has no outcome", d)
		}
		if r.Must&r.May != 0 {
			t.Errorf("%s: a field is both required and optional", d)
		}
	}
	if audit.Undecided.Rule().Name != "" || audit.Decision(255).Rule().Name != "" {
		t.Error("what is no decision has a rule")
	}
}

// TestCheckRecord checks that a record with more or fewer fields than its rule is found.
func TestCheckRecord(t *testing.T) {
	t.Parallel()
	good := idp.AuditEvent{Kind: "refusal", Outcome: "code", User: "u1", RequestID: "r", IPAddress: "192.0.2.7", Detail: map[string]string{"route": "/sign-in/code"}}
	tests := []struct {
		name   string
		change func(*idp.AuditEvent)
		good   bool
	}{
		{"as it should be", func(*idp.AuditEvent) {}, true},
		{"for a service provider", func(e *idp.AuditEvent) { e.SP, e.Year = "https://a.example", "2031" }, true},
		{"another kind", func(e *idp.AuditEvent) { e.Kind = "failure" }, false},
		{"another outcome", func(e *idp.AuditEvent) { e.Outcome = "password" }, false},
		{"no user", func(e *idp.AuditEvent) { e.User = "" }, false},
		{"no IP address", func(e *idp.AuditEvent) { e.IPAddress = "" }, false},
		{"an actor", func(e *idp.AuditEvent) { e.Actor = "user:u1" }, false},
		{"no route", func(e *idp.AuditEvent) { e.Detail = nil }, false},
		{"more detail", func(e *idp.AuditEvent) { e.Detail = map[string]string{"route": "/", "email": "x"} }, false},
	}
	for _, tt := range tests {
		rec := idp.AuditRecord{AuditEvent: good}
		tt.change(&rec.AuditEvent)
		if err := audit.CodeWrong.CheckRecord(&rec); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if audit.NothingDecided.CheckRecord(&idp.AuditRecord{AuditEvent: good}) == nil {
		t.Error("a decision that leaves no record takes one")
	}
}
