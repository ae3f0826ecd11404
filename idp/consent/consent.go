// Package consent decides when a user must agree before data about them is disclosed to a service
// provider.
//
// It uses no store and no clock. Package assurance says what an assertion would disclose, the
// user's record says what the user agreed to, and package sso asks the user.
package consent

import (
	"slices"
	"time"

	"vernal/idp"
)

// Reason is why a user is asked. It is the value of the detail "consent" in the audit record of a
// sign-in.
type Reason string

// The reasons.
const (
	NotNeeded Reason = ""
	First     Reason = "first"     // the user never agreed for this service provider
	Grown     Reason = "grown"     // it gets more than the user agreed to
	Reproofed Reason = "reproofed" // the identity was verified again since then
	Expired   Reason = "expired"   // the user agreed more than Lifetime ago
	Withdrawn Reason = "withdrawn" // the user withdrew the consent
)

// Lifetime is how long a consent counts: a year.
const Lifetime = 365 * 24 * time.Hour

// Policy is whether users are asked at all.
type Policy struct {
	// IsOff is the choice of the installation not to ask.
	IsOff bool
	// Provider is the field of the registration; see idp.ServiceProvider.Consent.
	Provider string
}

// AsksUsers reports whether users are asked: if the installation and the registration want it. An
// unknown value of the registration asks.
func (p Policy) AsksUsers() bool { return !p.IsOff && p.Provider != idp.ConsentNone }

// Disclosure is what an assertion would disclose.
type Disclosure struct {
	// Names are the names of the attributes with data about the user. An email address as the
	// NameID counts as "email".
	Names []string
	// VerifiedAt is when the identity was proofed to which some of them belong; zero if none
	// do, or if it is unknown.
	VerifiedAt time.Time
}

// FindReason returns why the user must be asked before the disclosure, or NotNeeded. service is the
// user's record of the service provider, nil without one.
//
// NameIDs do not count: a user whom the service provider knows from an import has not agreed.
func FindReason(p Policy, service *idp.ConnectedService, d Disclosure, now time.Time) Reason {
	switch {
	case !p.AsksUsers():
		return NotNeeded
	case service != nil && !service.WithdrawnAt.IsZero():
		return Withdrawn
	case service == nil || service.ConsentAt.IsZero():
		return First
	case len(FindNew(service, d.Names)) > 0:
		return Grown
	case d.VerifiedAt.After(service.ConsentAt):
		return Reproofed
	case now.Sub(service.ConsentAt) >= Lifetime:
		return Expired
	}
	return NotNeeded
}

// FindNew returns the names that the user has not agreed to disclose.
func FindNew(service *idp.ConnectedService, names []string) (added []string) {
	for _, name := range names {
		if service == nil || !slices.Contains(service.Attributes, name) {
			added = append(added, name)
		}
	}
	return added
}
