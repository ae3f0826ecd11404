// Package session keeps browser sessions and ties requests to browsers: stored requests, and
// requests that a browser holds (see HoldRequest).
//
// A session's cookie holds 256 random bits. The store holds only their hash, so that a copy of
// the store gives access to no session. Every change of privilege creates a new session with a
// new cookie: the password a pending one, the second factor the real one.
//
// The package decides lifetimes and cookies. Package sso decides whether a session satisfies a
// request.
package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"vernal/idp"
)

// touchEvery is the accuracy of SeenAt: use writes a session at most this often. A session
// that soon ends without use is written more often.
const touchEvery = time.Minute

// Store is the part of the store that a Manager needs.
type Store interface {
	idp.SessionStore
	RestoredAt() time.Time
}

// Manager starts, finds and ends sessions.
type Manager struct {
	Store Store
	Clock idp.Clock
	// Sealer seals the requests that browsers hold. It may be nil if they hold none.
	Sealer idp.Sealer
	// IdleTimeout and AbsoluteTimeout are the lifetimes of a session: since its last use, and
	// since the user signed in.
	IdleTimeout, AbsoluteTimeout time.Duration
	// Secure is true if base_url is https. Cookies are then Secure and have the __Host- prefix
	// (RFC 6265bis §4.1.3.2).
	Secure bool
	// CodeTime is how long a user has for the second factor, unless they ask for more time.
	// Zero means PendingLifetime.
	CodeTime time.Duration
	// Device describes a browser. It is nil if devices are not recorded.
	Device func(*http.Request) idp.Device
}

// LookupCurrent returns the browser's session, or idp.ErrNotFound if it has none or the session has
// ended.
func (m *Manager) LookupCurrent(r *http.Request) (*idp.Session, error) {
	return m.loadSession(r, "session", func(s *idp.Session) bool { return !s.Pending && s.User != idp.RehearsalUser })
}

// LookupPending returns the browser's sign-in that waits for its second factor, or idp.ErrNotFound.
func (m *Manager) LookupPending(r *http.Request) (*idp.Session, error) {
	return m.loadSession(r, "signin", func(s *idp.Session) bool { return s.Pending })
}

// loadSession loads the live session of a cookie if it is allowed there. A session under the
// wrong cookie gives no access.
func (m *Manager) loadSession(r *http.Request, cookie string, isAllowed func(*idp.Session) bool) (*idp.Session, error) {
	ids := m.findCookieSession(r, cookie)
	if len(ids) == 0 {
		return nil, idp.ErrNotFound
	}
	s, err := m.Store.Session(r.Context(), ids[0])
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, idp.ErrNotFound
	case errors.Is(err, idp.ErrTampered):
		// This installation did not write it. The original session is over.
		if _, err := m.Store.EndSessions(r.Context(), idp.SessionEnd{IDs: ids}); err != nil {
			return nil, fmt.Errorf("end session: %w", err)
		}
		return nil, idp.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("load session: %w", err)
	}
	if !m.IsLive(s) || !isAllowed(s) {
		return nil, idp.ErrNotFound
	}
	return s, nil
}

// IsLive reports whether the session has reached neither of its timeouts.
func (m *Manager) IsLive(s *idp.Session) bool {
	return m.Clock.Now().Before(m.EndsAt(s))
}

// EndsAt returns when the session ends if it is not used again. A shortened lifetime also
// applies to sessions that began before.
func (m *Manager) EndsAt(s *idp.Session) time.Time {
	endsAt := s.EndsAt()
	if idle := s.SeenAt.Add(m.IdleTimeout); !s.Pending && idle.Before(endsAt) {
		return idle
	}
	return endsAt
}

// Touch records that the session is in use, also in s; see touchEvery.
func (m *Manager) Touch(ctx context.Context, s *idp.Session) error {
	now := m.Clock.Now()
	if now.Sub(s.SeenAt) < min(touchEvery, m.IdleTimeout/4) {
		return nil
	}
	err := m.Store.UpdateSession(ctx, s.ID, func(s *idp.Session) error {
		if now.After(s.SeenAt) {
			s.SeenAt = now
		}
		return nil
	})
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return fmt.Errorf("touch session: %w", err)
	}
	s.SeenAt = now
	return nil
}

// StartPending begins the sign-in of a user whose password was right. emailMark is stored for the
// second factor; see idp.Session.SignInEmailMark. The events are written in the same step.
func (m *Manager) StartPending(w http.ResponseWriter, r *http.Request, user idp.UserID, emailMark string, events ...idp.AuditEvent) (*idp.Session, error) {
	now := m.Clock.Now()
	s := &idp.Session{
		User: user, Pending: true, SignInEmailMark: emailMark,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(m.TimeForCode()),
		Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}},
	}
	if err := m.startSession(w, r, "signin", idp.SessionStart{Session: s, ReplacedIDs: m.findCookieSession(r, "signin")}, events...); err != nil {
		return nil, fmt.Errorf("begin sign-in: %w", err)
	}
	return s, nil
}

// startSession stores a session that begins in this browser, with a new token in the cookie.
func (m *Manager) startSession(w http.ResponseWriter, r *http.Request, cookie string, start idp.SessionStart, events ...idp.AuditEvent) error {
	token := newToken()
	start.Session.ID, start.Session.Device = idp.HashSessionToken(token), m.DescribeDevice(r)
	if err := m.Store.StartSession(r.Context(), start, events...); err != nil {
		return err
	}
	http.SetCookie(w, m.newCookie(m.cookieName(cookie), token, 0))
	return nil
}

// CompleteSignIn starts the session of a user who has proved a second factor, now or, for a
// remembered device, earlier. The pending sign-in and any other session of the browser end
// with it. If that session belonged to the same user, its service providers are carried over.
// It returns idp.ErrSessionEnded if the pending sign-in has ended in the meantime.
func (m *Manager) CompleteSignIn(w http.ResponseWriter, r *http.Request, pending *idp.Session, secondFactor idp.FactorUse, events ...idp.AuditEvent) (*idp.Session, error) {
	now := m.Clock.Now()
	s := &idp.Session{
		User:      pending.User,
		CreatedAt: now, SeenAt: now, AuthnAt: now, ExpiresAt: now.Add(m.AbsoluteTimeout),
		IdleTimeout: m.IdleTimeout,
		Factors:     append(pending.Factors, secondFactor),
	}
	if err := m.startSession(w, r, "session", idp.SessionStart{Session: s, PendingID: pending.ID, ReplacedIDs: m.findCookieSession(r, "session")}, events...); err != nil {
		return nil, fmt.Errorf("complete sign-in: %w", err)
	}
	m.dropCookie(w, m.cookieName("signin"))
	return s, nil
}

// End ends the browser's session and any sign-in that it has begun. The events are written in
// the same step.
func (m *Manager) End(w http.ResponseWriter, r *http.Request, events ...idp.AuditEvent) error {
	for _, cookie := range []string{"session", "signin"} {
		if ids := m.findCookieSession(r, cookie); len(ids) > 0 {
			if _, err := m.Store.EndSessions(r.Context(), idp.SessionEnd{IDs: ids}, events...); err != nil {
				return fmt.Errorf("end session: %w", err)
			}
		}
		m.dropCookie(w, m.cookieName(cookie))
		events = nil
	}
	return nil
}

// DropCookies removes the cookies of a session that was ended in the store.
func (m *Manager) DropCookies(w http.ResponseWriter) {
	m.dropCookie(w, m.cookieName("session"))
	m.dropCookie(w, m.cookieName("signin"))
}

// AbandonSignIn ends a sign-in that was begun in this request.
func (m *Manager) AbandonSignIn(w http.ResponseWriter, r *http.Request, pending *idp.Session) error {
	m.dropCookie(w, m.cookieName("signin"))
	if _, err := m.Store.EndSessions(r.Context(), idp.SessionEnd{IDs: []idp.SessionID{pending.ID}}); err != nil {
		return fmt.Errorf("end sign-in: %w", err)
	}
	return nil
}

// DropSessionCookie removes the cookie of a session that is over. A pending sign-in stays.
func (m *Manager) DropSessionCookie(w http.ResponseWriter) { m.dropCookie(w, m.cookieName("session")) }

// DescribeDevice returns the browser, its system and its network, as far as they are known.
func (m *Manager) DescribeDevice(r *http.Request) idp.Device {
	if m.Device == nil {
		return idp.Device{}
	}
	return m.Device(r)
}

// findCookieSession returns the ID of the session in the named cookie. The session need not be
// live.
func (m *Manager) findCookieSession(r *http.Request, cookie string) []idp.SessionID {
	c, err := r.Cookie(m.cookieName(cookie))
	if err != nil || c.Value == "" {
		return nil
	}
	return []idp.SessionID{idp.HashSessionToken(c.Value)}
}

// newToken returns a cookie's value: 256 random bits.
func newToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
