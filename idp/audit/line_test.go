package audit_test

import (
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/audit"
)

// TestReadLine checks that a line that is no record is refused, wherever it is cut. Files of
// records are untrusted input.
func TestReadLine(t *testing.T) {
	t.Parallel()
	_, body, _ := audit.Link(audit.Place{Seq: 6, Hash: strings.Repeat("a", 64)}, idp.AuditEvent{Kind: "k", Outcome: "ok"}, start)
	whole := string(body)
	tests := []struct {
		name, line string
		ok         bool
	}{
		{"a record", whole, true},
		{"the largest number", strings.Replace(whole, `"seq":7`, `"seq":18446744073709551615`, 1), true},
		{"a number that is too large", strings.Replace(whole, `"seq":7`, `"seq":18446744073709551616`, 1), false},
		{"a number of 21 digits", strings.Replace(whole, `"seq":7`, `"seq":000000000000000000007`, 1), false},
		{"no number", strings.Replace(whole, `"seq":7`, `"seq":`, 1), false},
		{"not a number", strings.Replace(whole, `"seq":7`, `"seq":x`, 1), false},
		{"another beginning", strings.Replace(whole, `"seq"`, `"SEQ"`, 1), false},
		{"a beginning that is a number", whole[len(`{"seq":`):], false},
		{"another name for prev", strings.Replace(whole, `"prev"`, `"Prev"`, 1), false},
		{"another name for hash", strings.Replace(whole, `"hash"`, `"Hash"`, 1), false},
		{"another end", whole[:len(whole)-1] + "]", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := audit.ReadLine(idp.AuditLine{Place: 7, JSON: []byte(tt.line)}); ok != tt.ok {
				t.Errorf("ReadLine is %v for %s", ok, tt.line)
			}
		})
	}
	for n := range whole {
		if _, ok := audit.ReadLine(idp.AuditLine{Place: 7, JSON: []byte(whole[:n])}); ok {
			t.Errorf("the first %d bytes are a record", n)
		}
	}
}

func TestKnownKind(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{"sign_in": true, "user": true, "user.add": true, "use": false, "signin": false, "": false} {
		if got := audit.IsKnownKind(kind); got != want {
			t.Errorf("KnownKind(%q) = %v", kind, got)
		}
	}
}
