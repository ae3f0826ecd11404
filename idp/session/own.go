package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// Lapse says why a browser with a session cookie has no session.
type Lapse string

// Reasons why a session is over.
const (
	LapseIdle     Lapse = "idle"     // it was not used
	LapseAbsolute Lapse = "absolute" // it reached its end, in use or not
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
	all, err := m.Store.Sessions(ctx, idp.SessionQuery{User: user})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	all = slices.DeleteFunc(all, func(s *idp.Session) bool { return !m.IsLive(s) })
	slices.SortStableFunc(all, func(a, b *idp.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return all, nil
}

// EndOwnSessions ends sessions of a user except from, which makes the request: the one identified by
// short, or all with "". That includes sign-ins that wait for their second factor or get it at
// this moment. It returns how many ended, and writes event with a Detail for each. It returns
// idp.ErrSessionEnded if from has ended in the meantime.
func (m *Manager) EndOwnSessions(ctx context.Context, from *idp.Session, short string, event idp.AuditEvent) (int, error) {
	on := func(s *idp.Session) idp.AuditEvent {
		e := event
		e.Detail = map[string]string{"session": s.ID.ShortID()}
		return e
	}
	end, events := idp.SessionEnd{User: from.User, KeptID: from.ID, Event: on}, []idp.AuditEvent(nil)
	if short != "" { // the named session, even past its end
		all, err := m.Store.Sessions(ctx, idp.SessionQuery{User: from.User})
		if err != nil {
			return 0, fmt.Errorf("end sessions: %w", err)
		}
		i := slices.IndexFunc(all, func(s *idp.Session) bool { return s.ID != from.ID && s.ID.ShortID() == short })
		if i < 0 {
			return 0, nil
		}
		end, events = idp.SessionEnd{IDs: []idp.SessionID{all[i].ID}}, []idp.AuditEvent{on(all[i])}
	}
	n, err := m.Store.EndSessions(ctx, end, events...)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}
