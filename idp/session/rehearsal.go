package session

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"vernal/idp"
)

// rehearsalCookie is a cookie of its own: what it holds is no session anywhere
// but in a rehearsal, and no other session is one in there.
const rehearsalCookie = "rehearsal"

// MintRehearsal makes a session of idp.RehearsalUser without a sign-in, which
// that person has no means for, and gives its cookie. It is not in anybody's
// browser, and ends after lifetime whatever happens.
func (m *Manager) MintRehearsal(ctx context.Context, lifetime time.Duration, events ...idp.AuditEvent) (*http.Cookie, idp.SessionID, error) {
	now := m.Clock.Now()
	token := newToken()
	s := &idp.Session{
		ID: idp.HashSessionToken(token), User: idp.RehearsalUser,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: now.Add(lifetime),
		// As if signed in, so that a request without wishes is answered.
		Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}},
	}
	if err := m.Store.StartSession(ctx, idp.SessionStart{Session: s}, events...); err != nil {
		return nil, "", fmt.Errorf("make the session of a rehearsal: %w", err)
	}
	return &http.Cookie{Name: m.cookieName(rehearsalCookie), Value: token}, s.ID, nil
}

// Rehearsal is the session of a rehearsal; idp.ErrNotFound without one.
func (m *Manager) Rehearsal(r *http.Request) (*idp.Session, error) {
	return m.loadSession(r, rehearsalCookie, func(s *idp.Session) bool {
		return !s.Pending && s.User == idp.RehearsalUser && m.Clock.Now().Before(s.ExpiresAt)
	})
}
