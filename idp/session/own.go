package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"vernal/idp"
)

// Lapse says why a browser that holds a session's cookie has no session.
type Lapse string

// Why a session is over.
const (
	LapseIdle     Lapse = "idle"     // it was not used
	LapseAbsolute Lapse = "absolute" // it reached its end, in use or not
	LapseEnded    Lapse = "ended"    // somebody ended it, or it is long over
)

// Lapsed tells what became of the session whose cookie the browser holds; ""
// if it holds none, or if the session is live.
func (m *Manager) Lapsed(r *http.Request) (Lapse, error) {
	ids := m.replaced(r, "session")
	if len(ids) == 0 {
		return "", nil
	}
	s, err := m.Store.Session(r.Context(), ids[0])
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return LapseEnded, nil
	case err != nil:
		return "", fmt.Errorf("load session: %w", err)
	case m.Live(s):
		return "", nil
	case m.Clock.Now().Before(s.ExpiresAt):
		return LapseIdle, nil
	}
	return LapseAbsolute, nil
}

// Own lists the sessions of a person that have not ended, those that wait for a
// second factor included, the one used last first.
func (m *Manager) Own(ctx context.Context, user idp.UserID) ([]*idp.Session, error) {
	all, err := m.Store.UserSessions(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	all = slices.DeleteFunc(all, func(s *idp.Session) bool { return !m.Live(s) })
	slices.SortStableFunc(all, func(a, b *idp.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return all, nil
}

// EndOwn ends sessions of a person but the one given, from which it is asked
// for: the one named by short, or all with "". It reports how many ended, and
// writes event with a Detail for each.
func (m *Manager) EndOwn(ctx context.Context, from *idp.Session, short string, event idp.AuditEvent) (int, error) {
	all, err := m.Store.UserSessions(ctx, from.User) // those past their end too
	if err != nil {
		return 0, fmt.Errorf("list sessions: %w", err)
	}
	var ids []idp.SessionID
	var events []idp.AuditEvent
	for _, s := range all {
		if s.ID == from.ID || short != "" && s.ID.Short() != short {
			continue
		}
		ids = append(ids, s.ID)
		event.Detail = map[string]string{"session": s.ID.Short()}
		events = append(events, event)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	n, err := m.Store.EndSessions(ctx, ids, events...)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}
