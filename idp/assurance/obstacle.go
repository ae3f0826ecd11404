package assurance

import (
	"slices"
	"time"

	"vernal/idp"
)

// FindObstacle is a missing part of a user's record that prevents a sign-in for a requirement,
// whatever the user does on our pages.
type Obstacle struct {
	// Code is idp.RefusedNoProofing or idp.RefusedNoFactor.
	Code idp.RefusalCode
	// Lack names the requested part of the record that is missing.
	Lack Lack
	// ClassRef is the requested AuthnContextClassRef, or the default.
	ClassRef string
	// Factors are the factors that the user can prove.
	Factors []idp.Factor
}

// Lack names a missing part of a user's record. Catalogues use it.
type Lack string

// Missing parts of a record.
const (
	LackProofing          Lack = "proofing"           // a proofed identity
	LackFacialMatch       Lack = "facial-match"       // an identity proofed by facial match
	LackPassword          Lack = "password"           // the first factor
	LackSecondFactor      Lack = "second-factor"      // any second factor
	LackPhishingResistant Lack = "phishing-resistant" // a passkey or a PIV/CAC card
	LackPIV               Lack = "piv"                // a PIV/CAC card
)

// Refusal returns the obstacle as a refusal for an integrator.
func (o *Obstacle) Refusal() *idp.Refusal {
	return idp.Refuse(o.Code, fieldClassRef, o.ClassRef, o.ClassRef)
}

// FindObstacle returns the missing part of the record for a user who can prove the factors in have and
// has proved those of the session; nil if no part is missing. Call it only after the password was
// proved, because the answer discloses a part of the record. Call it before asking for another
// factor, so that no user is asked for a code that cannot help.
func (r *Requirement) FindObstacle(s *idp.Session, p Proofing, have []idp.Factor, now time.Time) *Obstacle {
	o := &Obstacle{ClassRef: r.requestedRef, Factors: have}
	if !r.IsSatisfiedBy(p) {
		o.Code, o.Lack = idp.RefusedNoProofing, LackProofing
		if r.IAL == IALFacialRequired {
			o.Lack = LackFacialMatch
		}
		return o
	}
	missing := r.FindMissing(s, now)
	if missing == NoMissingProof || slices.ContainsFunc(have, missing.isProvedBy) {
		return nil
	}
	o.Code, o.Lack = idp.RefusedNoFactor, Lack(missing)
	return o
}
