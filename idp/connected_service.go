package idp

import (
	"slices"
	"time"
)

// ConnectedService is a service provider that the user signed in to.
type ConnectedService struct {
	SP      EntityID  `json:"sp"`
	FirstAt time.Time `json:"first_at"`
	// LastAt is the last sign-in, exact to a day.
	LastAt time.Time `json:"last_at"`
	// Attributes are those that the user agreed to disclose, and ConsentAt is when; zero if the
	// user was not asked.
	Attributes []string  `json:"attributes,omitempty"`
	ConsentAt  time.Time `json:"consent_at,omitzero"`
	// WithdrawnAt is when the user withdrew that; zero otherwise.
	WithdrawnAt time.Time `json:"withdrawn_at,omitzero"`
	// Email is the email address that the service gets; "" for the one of the last sign-in.
	Email string `json:"email,omitempty"`
}

// HasConsent reports whether the user agreed to disclose data and did not withdraw that.
func (s *ConnectedService) HasConsent() bool { return !s.ConsentAt.IsZero() && s.WithdrawnAt.IsZero() }

// Service returns the user's record of a service provider, nil without one.
func (u *User) Service(sp EntityID) *ConnectedService {
	for i := range u.Services {
		if u.Services[i].SP == sp {
			return &u.Services[i]
		}
	}
	return nil
}

// visitAccuracy is how exact ConnectedService.LastAt is. A user who signs in often causes no more
// than one write of the record in that time.
const visitAccuracy = 24 * time.Hour

// RecordVisit records a sign-in to a service provider and, unless c is nil, the consent that the
// user gave in it. It reports whether the record changed.
func (u *User) RecordVisit(sp EntityID, at time.Time, c *Consent) bool {
	s := u.Service(sp)
	if s == nil {
		u.Services = append(u.Services, ConnectedService{SP: sp, FirstAt: at})
		s = &u.Services[len(u.Services)-1]
	} else if c == nil && at.Sub(s.LastAt).Abs() < visitAccuracy {
		return false
	}
	s.LastAt = at
	if c == nil {
		return true
	}
	for _, name := range c.Attributes {
		if !slices.Contains(s.Attributes, name) {
			s.Attributes = append(s.Attributes, name)
		}
	}
	s.ConsentAt, s.WithdrawnAt = c.At, time.Time{}
	return true
}
