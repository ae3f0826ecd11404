package sso

import (
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// stepKind is the next step that a request needs.
type stepKind int

const (
	stepSignIn  stepKind = iota // the user must sign in
	stepUp                      // the user signed in and must prove one more factor
	stepPassive                 // the user must sign in, but the request forbids asking
	stepRefuse                  // no assertion can be issued about this user
	stepConsent                 // the user must agree to what would be disclosed
	stepIssue                   // all requirements are met
)

type step struct {
	kind     stepKind
	refusal  *idp.Refusal
	obstacle *assurance.Obstacle // reason for the refusal, if it is in the user's record
	question question            // of stepConsent
}

// nextStep decides the step that the request still needs from this browser, except the consent,
// which comes last (addConsent). All decisions of a sign-in are made here, without side effects. A
// nil session means that no user is signed in.
func nextStep(req *idp.LoginRequest, need *assurance.Requirement, s *idp.Session, user *idp.User, now time.Time) step {
	signInStep := step{kind: stepSignIn}
	if req.IsPassive {
		signInStep.kind = stepPassive // saml-core §3.4.1: it must not take control of the user interface
	}
	// The user and the service provider of a rehearsal exist for each other only. Real users
	// cannot sign in to that provider, and its user is disclosed to no other one.
	if isRehearsal := user != nil && user.ID == idp.RehearsalUser; isRehearsal != (req.SP == idp.RehearsalSP) {
		return refuseStep(req, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)))
	}
	switch {
	case s == nil || user == nil:
		return signInStep
	case req.ForceAuthn && !isForcedSignIn(req, s, now):
		return signInStep
	case user.IsLocked():
		return refuseStep(req, idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	missingProof := need.FindMissing(s, now)
	if missingProof == assurance.MissingPassword {
		return signInStep
	}
	// The record is read each time, so an operator's change counts at once and without another
	// sign-in. A user is never asked for a factor that would not help.
	if o := need.FindUserObstacle(s, user, now); o != nil {
		refusedStep := refuseStep(req, o.Refusal())
		refusedStep.obstacle = o
		return refusedStep
	}
	if missingProof != assurance.NoMissingProof {
		if signInStep.kind == stepSignIn {
			signInStep.kind = stepUp // the proven factor still counts
		}
		return signInStep
	}
	return step{kind: stepIssue}
}

// maxForcedAge is how long a sign-in counts for a request with ForceAuthn. A request left in a
// tab is not answered from a sign-in that was made for another request while it waited.
const maxForcedAge = 5 * time.Minute

// isForcedSignIn reports whether the user signed in again after the request came, with every
// factor and within maxForcedAge. A remembered device does not count, because it was used
// before.
func isForcedSignIn(req *idp.LoginRequest, s *idp.Session, now time.Time) bool {
	if !s.AuthnAt.After(req.ReceivedAt) || now.Sub(s.AuthnAt) >= maxForcedAge ||
		s.LastUsedAt(idp.FactorPassword).Before(req.ReceivedAt) {
		return false
	}
	return slices.ContainsFunc(s.Factors, func(u idp.FactorUse) bool {
		return u.Factor != idp.FactorPassword && u.Factor != idp.FactorRememberedDevice && !u.At.Before(req.ReceivedAt)
	})
}

// refuseStep refuses the user, silently if the request forbids showing anything.
func refuseStep(req *idp.LoginRequest, refusal *idp.Refusal) step {
	if req.IsPassive {
		return step{kind: stepPassive}
	}
	return step{kind: stepRefuse, refusal: refusal}
}
