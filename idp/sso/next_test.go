package sso

import (
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// The person and the service provider of a rehearsal are answered for one
// another, and in no other company.
func TestNextRehearsal(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 2, 1, 9, 0, 0, 0, time.UTC)
	person, rehearsed := &idp.User{ID: "ada"}, &idp.User{ID: idp.RehearsalUser}
	tests := []struct {
		name string
		sp   idp.EntityID
		user *idp.User
		want stepKind
	}{
		{"both", idp.RehearsalSP, rehearsed, stepIssue},
		{"neither", "https://a.example", person, stepIssue},
		{"a person at the rehearsal", idp.RehearsalSP, person, stepRefuse},
		{"nobody at the rehearsal", idp.RehearsalSP, nil, stepRefuse},
		{"the rehearsal's person elsewhere", "https://a.example", rehearsed, stepRefuse},
		{"nobody elsewhere", "https://a.example", nil, stepSignIn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			need, err := assurance.Resolve(assurance.Ask{}, &idp.ServiceProvider{IAL: idp.IALAuthOnly, AAL: idp.AALDefault})
			if err != nil {
				t.Fatal(err)
			}
			var s *idp.Session
			if tt.user != nil {
				s = &idp.Session{User: tt.user.ID, AuthnAt: now, Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}}}
			}
			if got := next(&idp.LoginRequest{SP: tt.sp}, need, s, tt.user, now); got.kind != tt.want {
				t.Errorf("step %d (%v), want %d", got.kind, got.refusal, tt.want)
			}
		})
	}
}
