package sso

import (
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// The user and the service provider of a rehearsal get assertions for each other and in no
// other combination.
func TestRehearsalUserAndProviderStayTogether(t *testing.T) {
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
		{"no user at the rehearsal", idp.RehearsalSP, nil, stepRefuse},
		{"the rehearsal's user at another SP", "https://a.example", rehearsed, stepRefuse},
		{"no user at another SP", "https://a.example", nil, stepSignIn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			need, err := assurance.Resolve(assurance.ContextRequest{}, &idp.ServiceProvider{IAL: idp.IALAuthOnly, AAL: idp.AALDefault})
			if err != nil {
				t.Fatal(err)
			}
			var s *idp.Session
			if tt.user != nil {
				s = &idp.Session{User: tt.user.ID, AuthnAt: now, Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}}}
			}
			if got := nextStep(&idp.LoginRequest{SP: tt.sp}, need, s, tt.user, now); got.kind != tt.want {
				t.Errorf("step %d (%v), want %d", got.kind, got.refusal, tt.want)
			}
		})
	}
}

// A session must meet these conditions to answer, in addition to the requested factors.
func TestNextStepDependsOnSession(t *testing.T) {
	t.Parallel()
	const code, device = idp.FactorTOTP, idp.FactorRememberedDevice
	came := time.Date(2031, 2, 1, 9, 0, 0, 0, time.UTC)
	after := func(d time.Duration, f idp.Factor) idp.FactorUse { return idp.FactorUse{Factor: f, At: came.Add(d)} }
	signedIn := func(at time.Duration, uses ...idp.FactorUse) *idp.Session {
		return &idp.Session{User: "ada", AuthnAt: came.Add(at), Factors: uses}
	}
	ada, locked := &idp.User{ID: "ada"}, &idp.User{ID: "ada", LockedAt: came}
	const s, m = time.Second, time.Minute
	tests := []struct {
		name     string
		req      idp.LoginRequest
		session  *idp.Session
		user     *idp.User
		ago      time.Duration // since the request came
		want     stepKind
		wantCode idp.RefusalCode
	}{
		{"signed in before", idp.LoginRequest{}, signedIn(-m, after(-m, idp.FactorPassword), after(-m, code)), ada, 0, stepIssue, ""},
		{"without a password", idp.LoginRequest{}, signedIn(-m, after(-m, code)), ada, 0, stepSignIn, ""},
		{"locked", idp.LoginRequest{}, signedIn(-m, after(-m, idp.FactorPassword), after(-m, code)), locked, 0, stepRefuse, idp.RefusedAccountLocked},
		{"locked, and not to be asked", idp.LoginRequest{IsPassive: true}, signedIn(-m, after(-m, idp.FactorPassword), after(-m, code)), locked, 0, stepPassive, ""},

		{"forced: signed in before", idp.LoginRequest{ForceAuthn: true}, signedIn(-s, after(-s, idp.FactorPassword), after(-s, code)), ada, m, stepSignIn, ""},
		{"forced: in the same instant", idp.LoginRequest{ForceAuthn: true}, signedIn(0, after(0, idp.FactorPassword), after(0, code)), ada, m, stepSignIn, ""},
		{"forced: since then", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(0, idp.FactorPassword), after(s, code)), ada, m, stepIssue, ""},
		{"forced: the password before", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(-s, idp.FactorPassword), after(s, code)), ada, m, stepSignIn, ""},
		{"forced: the code before", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(s, idp.FactorPassword), after(-s, code)), ada, m, stepSignIn, ""},
		{"forced: a remembered device", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(s, idp.FactorPassword), after(s, device)), ada, m, stepSignIn, ""},
		{"forced: a second less than five minutes ago", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(s, idp.FactorPassword), after(s, code)), ada, 5 * m, stepIssue, ""},
		{"forced: five minutes ago", idp.LoginRequest{ForceAuthn: true}, signedIn(s, after(s, idp.FactorPassword), after(s, code)), ada, 5*m + s, stepSignIn, ""},
	}
	need, err := assurance.Resolve(assurance.ContextRequest{}, &idp.ServiceProvider{IAL: idp.IALAuthOnly, AAL: idp.AALDefault})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.req.SP, tt.req.ReceivedAt = "https://a.example", came
			got := nextStep(&tt.req, need, tt.session, tt.user, came.Add(tt.ago))
			if got.kind != tt.want {
				t.Fatalf("step %d (%v), want %d", got.kind, got.refusal, tt.want)
			}
			if tt.wantCode != "" && got.refusal.Code != tt.wantCode {
				t.Errorf("refused for %q, want %q", got.refusal.Code, tt.wantCode)
			}
		})
	}
}
