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
	ids := m.replacedSession(r, "session")
	if len(ids) == 0 {
		return "", nil
	}
	s, err := m.Store.Session(r.Context(), ids[0])
	switch {
	case errors.Is(err, idp.ErrNotFound), errors.Is(err, idp.ErrTampered):
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
	all, err := m.Store.Sessions(ctx, idp.SessionQuery{User: user})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	all = slices.DeleteFunc(all, func(s *idp.Session) bool { return !m.Live(s) })
	slices.SortStableFunc(all, func(a, b *idp.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return all, nil
}

// EndOwn ends sessions of a person but the one given, from which it is asked
// for: the one named by short, or all with "", sign-ins included that wait for
// their second factor or have it at this moment. It reports how many ended, and
// writes event with a Detail for each. It returns idp.ErrSessionEnded if the one
// given has been ended meanwhile.
func (m *Manager) EndOwn(ctx context.Context, from *idp.Session, short string, event idp.AuditEvent) (int, error) {
	on := func(s *idp.Session) idp.AuditEvent {
		e := event
		e.Detail = map[string]string{"session": s.ID.Short()}
		return e
	}
	end, events := idp.SessionEnd{User: from.User, Keep: from.ID, Event: on}, []idp.AuditEvent(nil)
	if short != "" { // the one that is named, be it past its end
		all, err := m.Store.Sessions(ctx, idp.SessionQuery{User: from.User})
		if err != nil {
			return 0, fmt.Errorf("end sessions: %w", err)
		}
		i := slices.IndexFunc(all, func(s *idp.Session) bool { return s.ID != from.ID && s.ID.Short() == short })
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
