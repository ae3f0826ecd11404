package assurance

import (
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
func (m Missing) Factors() []idp.Factor {
	switch m {
	case MissingPassword:
		return []idp.Factor{idp.FactorPassword}
	case MissingSecondFactor:
		return []idp.Factor{idp.FactorTOTP, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode}
	case MissingPhishingResistant:
		return []idp.Factor{idp.FactorPasskey, idp.FactorPIV}
	case MissingPIV:
		return []idp.Factor{idp.FactorPIV}
	}
	return nil
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
	need := MissingSecondFactor
	switch r.AAL {
	case AALPhishingResistant:
		need = MissingPhishingResistant
	case AALHSPD12:
		need = MissingPIV
	}
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

// filledBy is Factors as a question, for the way that every request takes.
func (m Missing) filledBy(f idp.Factor) bool {
	if m == MissingPassword {
		return f == idp.FactorPassword
	}
	switch f {
	case idp.FactorPIV:
		return m != NothingMissing
	case idp.FactorPasskey:
		return m == MissingSecondFactor || m == MissingPhishingResistant
	case idp.FactorTOTP, idp.FactorRecoveryCode:
		return m == MissingSecondFactor
	}
	return false
}
