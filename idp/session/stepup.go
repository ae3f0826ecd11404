package session

import (
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// StepUp replaces the session of a user who has proved one more factor. A change of privilege gets
// a new cookie, so that a cookie planted or stolen earlier gives no access. The new session keeps
// the absolute end and the service providers of the old one, and its time of authentication is now.
// StepUp returns idp.ErrSessionEnded if the old session has ended in the meantime.
func (m *Manager) StepUp(w http.ResponseWriter, r *http.Request, old *idp.Session, factor idp.Factor, events ...idp.AuditEvent) (*idp.Session, error) {
	now := m.Clock.Now()
	s := &idp.Session{
		User:      old.User,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: old.ExpiresAt,
		IdleTimeout: m.IdleTimeout,
		Factors:     append(slices.Clone(old.Factors), idp.FactorUse{Factor: factor, At: now}),
	}
	if err := m.startSession(w, r, "session", idp.SessionStart{Session: s, PreviousID: old.ID}, events...); err != nil {
		return nil, fmt.Errorf("step up: %w", err)
	}
	return s, nil
}
