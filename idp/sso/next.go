package sso

import (
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// stepKind is what a request needs next.
type stepKind int

const (
	stepSignIn  stepKind = iota // the person must prove who they are
	stepUp                      // they did, and must prove one factor more
	stepPassive                 // they must, but the request forbids to ask
	stepRefuse                  // this person cannot be answered for
	stepIssue                   // all is there
)

type step struct {
	kind     stepKind
	refusal  *idp.Refusal
	obstacle *assurance.Obstacle // that the refusal is about, if the person's record is
}

// nextStep is the one decision of a sign-in: what does the request still need of
// this browser? It is pure. A nil session means that nobody is signed in.
func nextStep(req *idp.LoginRequest, need *assurance.Requirement, s *idp.Session, user *idp.User, now time.Time) step {
	ask := step{kind: stepSignIn}
	if req.IsPassive {
		ask.kind = stepPassive // saml-core §3.4.1: no taking control of the user interface
	}
	// The person and the service provider of a rehearsal are for one another.
	// Nobody signs in to it, and that person is shown to nobody else.
	if rehearsal := user != nil && user.ID == idp.RehearsalUser; rehearsal != (req.SP == idp.RehearsalSP) {
		return refuseStep(req, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)))
	}
	switch {
	case s == nil || user == nil:
		return ask
	case req.ForceAuthn && !isForcedSignIn(req, s, now):
		return ask
	case user.Locked():
		return refuseStep(req, idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	missing := need.Met(s, now)
	if missing == assurance.MissingPassword {
		return ask
	}
	// The record is read each time: what an operator puts on it or takes away
	// counts at once, and nobody has to sign in again for it. Nor is anybody
	// asked for a factor that would not help them.
	if o := need.Obstacle(s, assurance.ProofingOf(user.Proofed), user.Factors(), now); o != nil {
		refused := refuseStep(req, o.Refusal())
		refused.obstacle = o
		return refused
	}
	if missing != assurance.NothingMissing {
		if ask.kind == stepSignIn {
			ask.kind = stepUp // what they have proved stands
		}
		return ask
	}
	return step{kind: stepIssue}
}

// forcedFresh is how long a sign-in counts as made for a request that forces
// one. A request left in a tab is not answered from a sign-in that was made for
// something else while it waited.
const forcedFresh = 5 * time.Minute

// isForcedSignIn reports whether the user signed in again since the request came, with
// every factor, and just now. A remembered device is none: it was used before.
func isForcedSignIn(req *idp.LoginRequest, s *idp.Session, now time.Time) bool {
	if !s.AuthnAt.After(req.ReceivedAt) || now.Sub(s.AuthnAt) >= forcedFresh ||
		s.Used(idp.FactorPassword).Before(req.ReceivedAt) {
		return false
	}
	return slices.ContainsFunc(s.Factors, func(u idp.FactorUse) bool {
		return u.Factor != idp.FactorPassword && u.Factor != idp.FactorRememberedDevice && !u.At.Before(req.ReceivedAt)
	})
}

// refuseStep turns a person down, silently where the request forbids to show
// anything.
func refuseStep(req *idp.LoginRequest, why *idp.Refusal) step {
	if req.IsPassive {
		return step{kind: stepPassive}
	}
	return step{kind: stepRefuse, refusal: why}
}
