package assurance

import (
	"slices"
	"time"

	"vernal/idp"
)

// Obstacle is a missing part of a user's record that prevents a sign-in for a requirement. The user
// cannot add it on our pages, except LackActiveProofing by a recovery code.
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

// Parts of a record that can be missing.
const (
	LackProofing          Lack = "proofing"           // a proofed identity
	LackFacialMatch       Lack = "facial-match"       // an identity proofed by facial match
	LackActiveProofing    Lack = "active-proofing"    // a proofed identity that is not paused
	LackPassword          Lack = "password"           // the first factor
	LackSecondFactor      Lack = "second-factor"      // any second factor
	LackPhishingResistant Lack = "phishing-resistant" // a passkey or a PIV/CAC card
	LackPIV               Lack = "piv"                // a PIV/CAC card
)

// Refusal returns the obstacle as a refusal for an integrator.
func (o *Obstacle) Refusal() *idp.Refusal {
	return idp.Refuse(o.Code, fieldClassRef, o.ClassRef, o.ClassRef)
}

// FindUserObstacle returns what FindObstacle finds for a user. A proofed identity that is paused is
// missing, and a recovery code ends the pause.
func (r *Requirement) FindUserObstacle(s *idp.Session, u *idp.User, now time.Time) *Obstacle {
	o := r.FindObstacle(s, ReadProofing(u.ActiveProofing()), u.Factors(), now)
	if o != nil && o.Code == idp.RefusedNoProofing && r.IsSatisfiedBy(ReadProofing(u.Proofing)) {
		o.Lack = LackActiveProofing
	}
	return o
}

// FindObstacle returns the missing part of the record, or nil. The user can prove the factors, and
// has proved those of the session. Call it only after the password was proved, because the answer
// discloses a part of the record. Call it before asking for another factor, so that no user is
// asked for a code that cannot help.
func (r *Requirement) FindObstacle(s *idp.Session, p Proofing, factors []idp.Factor, now time.Time) *Obstacle {
	o := &Obstacle{ClassRef: r.requestedRef, Factors: factors}
	if !r.IsSatisfiedBy(p) {
		o.Code, o.Lack = idp.RefusedNoProofing, LackProofing
		if r.IAL == IALFacialRequired {
			o.Lack = LackFacialMatch
		}
		return o
	}
	missingProof := r.FindMissing(s, now)
	if missingProof == NoMissingProof || slices.ContainsFunc(factors, missingProof.isProvedBy) {
		return nil
	}
	o.Code, o.Lack = idp.RefusedNoFactor, Lack(missingProof)
	return o
}
