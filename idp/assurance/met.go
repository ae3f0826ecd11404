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

// RememberedDeviceLifetime is how long a remembered device replaces a second factor. The time of
// its FactorUse is the last use of a real second factor on the device.
const RememberedDeviceLifetime = 30 * 24 * time.Hour

// Factors returns the factors of which one is sufficient. A user who has none of them
// cannot be signed in at this level. The caller must check that (idp.RefusedNoFactor).
func (m MissingProof) Factors() []idp.Factor { return slices.Clone(sufficientFactors[m]) }

var sufficientFactors = map[MissingProof][]idp.Factor{
	MissingPassword:          {idp.FactorPassword},
	MissingSecondFactor:      {idp.FactorTOTP, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode},
	MissingPhishingResistant: {idp.FactorPasskey, idp.FactorPIV},
	MissingPIV:               {idp.FactorPIV},
}

// FindMissing returns the first proof that the session lacks at now, or NoMissingProof. The session
// may be nil.
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
// A remembered device does not count, because the user proves no factor with it now.
func (r *Requirement) AuthnInstant(s *idp.Session, now time.Time) time.Time {
	authnAt := s.LastUsedAt(idp.FactorPassword)
	need := r.findSecondFactor()
	var secondUsedAt time.Time
	for _, u := range s.Factors {
		if need.isProvedBy(u.Factor) && u.At.After(secondUsedAt) {
			secondUsedAt = u.At
		}
	}
	if !secondUsedAt.IsZero() && secondUsedAt.Before(authnAt) {
		authnAt = secondUsedAt
	}
	if authnAt.IsZero() || authnAt.After(now) {
		return now // because SPs refuse a future time, which a changed clock can cause
	}
	return authnAt
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

// isProvedBy reports whether f is one of Factors. It makes no copy, because every request calls it.
func (m MissingProof) isProvedBy(f idp.Factor) bool { return slices.Contains(sufficientFactors[m], f) }
