package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// Lapse is the reason why a browser with a session cookie has no session.
type Lapse string

// Reasons why a session is over.
const (
	LapseIdle     Lapse = "idle"     // it was not used
	LapseAbsolute Lapse = "absolute" // it reached its absolute timeout
	LapseEnded    Lapse = "ended"    // it was ended, or expired long ago
)

// LookupLapse returns why the session of the browser's cookie is over, or "" if the browser holds
// no cookie or the session is live.
func (m *Manager) LookupLapse(r *http.Request) (Lapse, error) {
	ids := m.findCookieSession(r, "session")
	if len(ids) == 0 {
		return "", nil
	}
	s, err := m.Store.Session(r.Context(), ids[0])
	switch {
	case errors.Is(err, idp.ErrNotFound), errors.Is(err, idp.ErrTampered):
		return LapseEnded, nil
	case err != nil:
		return "", fmt.Errorf("load session: %w", err)
	case m.IsLive(s):
		return "", nil
	case m.Clock.Now().Before(s.ExpiresAt):
		return LapseIdle, nil
	}
	return LapseAbsolute, nil
}

// ListOwnSessions lists the live sessions of a user, including those that wait for a second factor, the
// most recently used first.
func (m *Manager) ListOwnSessions(ctx context.Context, user idp.UserID) ([]*idp.Session, error) {
	sessions, err := m.Store.Sessions(ctx, idp.SessionQuery{User: user})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	sessions = slices.DeleteFunc(sessions, func(s *idp.Session) bool { return !m.IsLive(s) })
	slices.SortStableFunc(sessions, func(a, b *idp.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return sessions, nil
}

// EndOwnSessions ends other sessions of the user of current, which makes the request: the one with
// a short ID, or all if it is "". That includes sign-ins that wait for their second factor, even if
// they complete at this moment. It returns how many ended, and writes event with a Detail for each.
// It returns idp.ErrSessionEnded if current has ended in the meantime.
func (m *Manager) EndOwnSessions(ctx context.Context, current *idp.Session, shortID string, event idp.AuditEvent) (int, error) {
	newEvent := func(s *idp.Session) idp.AuditEvent {
		e := event
		e.Detail = map[string]string{"session": s.ID.ShortID()}
		return e
	}
	sessionEnd, events := idp.SessionEnd{User: current.User, KeptID: current.ID, Event: newEvent}, []idp.AuditEvent(nil)
	if shortID != "" { // ended sessions too
		sessions, err := m.Store.Sessions(ctx, idp.SessionQuery{User: current.User})
		if err != nil {
			return 0, fmt.Errorf("end sessions: %w", err)
		}
		i := slices.IndexFunc(sessions, func(s *idp.Session) bool { return s.ID != current.ID && s.ID.ShortID() == shortID })
		if i < 0 {
			return 0, nil
		}
		sessionEnd, events = idp.SessionEnd{IDs: []idp.SessionID{sessions[i].ID}}, []idp.AuditEvent{newEvent(sessions[i])}
	}
	n, err := m.Store.EndSessions(ctx, sessionEnd, events...)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}
