package assurance

import (
	"slices"
	"time"

	"vernal/idp"
)

// Obstacle is what keeps a person from being signed in for a requirement
// whatever they do at our pages: something that is not on their record.
type Obstacle struct {
	// Code is idp.RefusedNoProofing or idp.RefusedNoFactor.
	Code idp.RefusalCode
	// Lacks says what was asked for and is not there.
	Lacks Lack
	// ClassRef is the AuthnContextClassRef that was asked for, or the default.
	ClassRef string
	// Have are the factors that the person can prove.
	Have []idp.Factor
}

// Lack names what a person's record lacks. Catalogues use it.
type Lack string

// What can be lacking.
const (
	LackProofing          Lack = "proofing"           // a proofed identity
	LackFacialMatch       Lack = "facial-match"       // one proofed by facial match
	LackPassword          Lack = "password"           // the first factor
	LackSecondFactor      Lack = "second-factor"      // any second factor
	LackPhishingResistant Lack = "phishing-resistant" // a passkey or a PIV/CAC card
	LackPIV               Lack = "piv"                // a PIV/CAC card
)

// Refusal is the obstacle in the terms of an integrator.
func (o *Obstacle) Refusal() *idp.Refusal {
	return idp.Refuse(o.Code, fieldClassRef, o.ClassRef, o.ClassRef)
}

// Obstacle finds what a person lacks who can prove the factors in have and has
// proved those of the session; nil if nothing does. It is to be asked once the
// password was proved, and not before: the answer says something of the record.
// It is worth asking before anything else is: nobody should look for their
// telephone to be told that it does not help.
func (r *Requirement) Obstacle(s *idp.Session, p Proofing, have []idp.Factor, now time.Time) *Obstacle {
	o := &Obstacle{ClassRef: r.asked, Have: have}
	if !r.SatisfiedBy(p) {
		o.Code, o.Lacks = idp.RefusedNoProofing, LackProofing
		if r.IAL == FacialRequired {
			o.Lacks = LackFacialMatch
		}
		return o
	}
	missing := r.Met(s, now)
	if missing == NothingMissing || slices.ContainsFunc(have, missing.filledBy) {
		return nil
	}
	o.Code, o.Lacks = idp.RefusedNoFactor, Lack(missing)
	return o
}
