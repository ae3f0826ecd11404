package assurance

import (
	"slices"
	"time"

	"vernal/idp"
)

// Missing is what a session still lacks for a request.
type Missing string

// What a session can lack, in the order in which it is asked for.
const (
	NothingMissing           Missing = ""
	MissingPassword          Missing = "password"
	MissingSecondFactor      Missing = "second-factor"
	MissingPhishingResistant Missing = "phishing-resistant"
	MissingPIV               Missing = "piv"
)

// RememberedFor is how long a remembered device stands for a second factor. The
// time of its FactorUse is when the device was remembered, that is when a real
// second factor was used on it.
const RememberedFor = 30 * 24 * time.Hour

// Factors are those of which any one would fill the gap. A person who has none
// of them cannot be signed in at this level; whether that is so is the caller's
// to find out (idp.RefusedNoFactor).
func (m Missing) Factors() []idp.Factor { return slices.Clone(fillers[m]) }

var fillers = map[Missing][]idp.Factor{
	MissingPassword:          {idp.FactorPassword},
	MissingSecondFactor:      {idp.FactorTOTP, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode},
	MissingPhishingResistant: {idp.FactorPasskey, idp.FactorPIV},
	MissingPIV:               {idp.FactorPIV},
}

// Met says what the session still lacks at now, one thing at a time; nil stands
// for no session. A session that meets the requirement gives NothingMissing.
//
// It does not look at ForceAuthn, at the session's lifetime or at the person's
// proofing (SatisfiedBy). A FactorUse in the future counts: clocks are set.
func (r *Requirement) Met(s *idp.Session, now time.Time) Missing {
	if s == nil || s.Used(idp.FactorPassword).IsZero() {
		return MissingPassword
	}
	need := r.secondFactor()
	for _, u := range s.Factors {
		if need.filledBy(u.Factor) {
			return NothingMissing
		}
		if u.Factor == idp.FactorRememberedDevice && r.RememberedDevice && now.Sub(u.At) < RememberedFor {
			return NothingMissing
		}
	}
	return need
}

// AuthnInstant is when the user proved who they are for the requirement: of the
// factors that it needs, the time of the one proved longest ago, each as it was
// last used. A step-up does not make an older password newer, nor does a factor
// that the level does not need make anything older.
//
// A remembered device proves nothing now, so it never counts. Where it stands
// for the second factor, the password alone was proved.
func (r *Requirement) AuthnInstant(s *idp.Session, now time.Time) time.Time {
	at := s.Used(idp.FactorPassword)
	need := r.secondFactor()
	var second time.Time
	for _, u := range s.Factors {
		if need.filledBy(u.Factor) && u.At.After(second) {
			second = u.At
		}
	}
	if !second.IsZero() && second.Before(at) {
		at = second
	}
	if at.IsZero() || at.After(now) {
		return now // a clock was set back: no SP takes a time to come
	}
	return at
}

// secondFactor is what the level wants beside the password.
func (r *Requirement) secondFactor() Missing {
	switch r.AAL {
	case AALPhishingResistant:
		return MissingPhishingResistant
	case AALHSPD12:
		return MissingPIV
	}
	return MissingSecondFactor
}

// filledBy is Factors as a question, for the way that every request takes.
func (m Missing) filledBy(f idp.Factor) bool { return slices.Contains(fillers[m], f) }
