package session

import (
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// StepUp starts the session of a user who has proved one more factor within the current one, which
// ends with it. A change of privilege gets a new cookie, so that a cookie planted or stolen earlier
// gives no access. The session keeps its absolute end, and its time of authentication is now. Its
// service providers are carried over. It returns idp.ErrSessionEnded if the session has ended in
// the meantime.
func (m *Manager) StepUp(w http.ResponseWriter, r *http.Request, old *idp.Session, factor idp.Factor, events ...idp.AuditEvent) (*idp.Session, error) {
	now := m.Clock.Now()
	s := &idp.Session{
		User:      old.User,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: old.ExpiresAt,
		IdleTimeout:    m.IdleTimeout,
		Factors: append(slices.Clone(old.Factors), idp.FactorUse{Factor: factor, At: now}),
	}
	if err := m.startSession(w, r, "session", idp.SessionStart{Session: s, PreviousID: old.ID}, events...); err != nil {
		return nil, fmt.Errorf("step up: %w", err)
	}
	return s, nil
}
