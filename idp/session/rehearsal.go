package session

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"vernal/idp"
)

// rehearsalCookie is a separate cookie. Its value is a session only in a rehearsal, and no
// other session is one there.
const rehearsalCookie = "rehearsal"

// MintRehearsal creates a session of idp.RehearsalUser without a sign-in, because that user
// cannot sign in, and returns its cookie. No browser holds it, and it ends after lifetime in
// any case.
func (m *Manager) MintRehearsal(ctx context.Context, lifetime time.Duration, events ...idp.AuditEvent) (*http.Cookie, idp.SessionID, error) {
	now := m.Clock.Now()
	token := newToken()
	s := &idp.Session{
		ID: idp.HashSessionToken(token), User: idp.RehearsalUser,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: now.Add(lifetime),
		// The factors of a normal sign-in, so that a request without requirements is
		// answered.
		Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}, {Factor: idp.FactorTOTP, At: now}},
	}
	if err := m.Store.StartSession(ctx, idp.SessionStart{Session: s}, events...); err != nil {
		return nil, "", fmt.Errorf("make the session of a rehearsal: %w", err)
	}
	return &http.Cookie{Name: m.cookieName(rehearsalCookie), Value: token}, s.ID, nil
}

// LookupRehearsal returns the session of a rehearsal, or idp.ErrNotFound.
func (m *Manager) LookupRehearsal(r *http.Request) (*idp.Session, error) {
	return m.loadSession(r, rehearsalCookie, func(s *idp.Session) bool {
		return !s.Pending && s.User == idp.RehearsalUser && m.Clock.Now().Before(s.ExpiresAt)
	})
}
