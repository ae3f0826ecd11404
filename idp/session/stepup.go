package session

import (
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// StepUp makes the session of a person who has proved one factor more within
// the one they have, which ends with it: a change of privilege has a new
// cookie, so that one that was planted or stolen before gains nothing. The
// session ends when it would have ended; the time of authentication is now.
// Service providers in it are carried over. It returns idp.ErrSessionEnded if
// the session was ended meanwhile.
func (m *Manager) StepUp(w http.ResponseWriter, r *http.Request, old *idp.Session, factor idp.Factor, events ...idp.AuditEvent) (*idp.Session, error) {
	now := m.Clock.Now()
	s := &idp.Session{
		User:      old.User,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: old.ExpiresAt,
		Idle:    m.Idle,
		Factors: append(slices.Clone(old.Factors), idp.FactorUse{Factor: factor, At: now}),
	}
	if err := m.startSession(w, r, "session", idp.SessionStart{Session: s, Continues: old.ID}, events...); err != nil {
		return nil, fmt.Errorf("step up: %w", err)
	}
	return s, nil
}
