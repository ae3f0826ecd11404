package assurance

import (
	"slices"
	"time"

	"vernal/idp"
)

// MissingProof names the proof that a session lacks for a request.
type MissingProof string

// The proofs that a session can lack, in the order in which users are asked for them.
const (
	NoMissingProof           MissingProof = ""
	MissingPassword          MissingProof = "password"
	MissingSecondFactor      MissingProof = "second-factor"
	MissingPhishingResistant MissingProof = "phishing-resistant"
	MissingPIV               MissingProof = "piv"
)

// RememberedDeviceLifetime is how long a remembered device replaces a second factor. The time of its
// FactorUse is when the device was remembered, that is, when a real second factor was used on
// it.
const RememberedDeviceLifetime = 30 * 24 * time.Hour

// Factors returns the factors of which any one would fill the gap. A user who has none of them
// cannot be signed in at this level. The caller must check that (idp.RefusedNoFactor).
func (m MissingProof) Factors() []idp.Factor { return slices.Clone(sufficientFactors[m]) }

var sufficientFactors = map[MissingProof][]idp.Factor{
	MissingPassword:          {idp.FactorPassword},
	MissingSecondFactor:      {idp.FactorTOTP, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode},
	MissingPhishingResistant: {idp.FactorPasskey, idp.FactorPIV},
	MissingPIV:               {idp.FactorPIV},
}

// FindMissing returns the first proof that the session lacks at now, or NothingMissing. nil means
// no session.
//
// It does not consider ForceAuthn, the session's lifetime or the user's proofing
// (IsSatisfiedBy). A FactorUse in the future counts, because clocks are adjusted.
func (r *Requirement) FindMissing(s *idp.Session, now time.Time) MissingProof {
	if s == nil || s.LastUsedAt(idp.FactorPassword).IsZero() {
		return MissingPassword
	}
	need := r.findSecondFactor()
	for _, u := range s.Factors {
		if need.isProvedBy(u.Factor) {
			return NoMissingProof
		}
		if u.Factor == idp.FactorRememberedDevice && r.AllowsRememberedDevice && now.Sub(u.At) < RememberedDeviceLifetime {
			return NoMissingProof
		}
	}
	return need
}

// AuthnInstant returns when the user authenticated for the requirement: the earliest of the
// latest uses of the factors that it needs. A step-up does not make an older password newer,
// and a factor that the level does not need does not make the result older.
//
// A remembered device proves nothing now, so it never counts. Where it replaces the second
// factor, only the password was proved.
func (r *Requirement) AuthnInstant(s *idp.Session, now time.Time) time.Time {
	at := s.LastUsedAt(idp.FactorPassword)
	need := r.findSecondFactor()
	var second time.Time
	for _, u := range s.Factors {
		if need.isProvedBy(u.Factor) && u.At.After(second) {
			second = u.At
		}
	}
	if !second.IsZero() && second.Before(at) {
		at = second
	}
	if at.IsZero() || at.After(now) {
		return now // a clock was set back, and SPs refuse a future time
	}
	return at
}

// findSecondFactor returns the proof that the level requires in addition to the password.
func (r *Requirement) findSecondFactor() MissingProof {
	switch r.AAL {
	case AALPhishingResistant:
		return MissingPhishingResistant
	case AALHSPD12:
		return MissingPIV
	}
	return MissingSecondFactor
}

// isProvedBy reports whether f is one of Factors. It avoids the copy, because every request
// calls it.
func (m MissingProof) isProvedBy(f idp.Factor) bool { return slices.Contains(sufficientFactors[m], f) }
