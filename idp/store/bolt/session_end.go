package bolt

import (
	"context"
	"errors"
	"slices"

	"vernal/idp"
)

// EndSession removes a session if it is there.
func (s *Store) EndSession(ctx context.Context, id idp.SessionID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		var sess idp.Session
		err := w.session(id, &sess)
		switch {
		case errors.Is(err, idp.ErrNotFound):
			return nil
		case errors.Is(err, idp.ErrTampered):
			w.delete(inSessions, []byte(id))
			return nil
		case err == nil:
			w.deleteSession(&sess)
		}
		return err
	})
}

// EndUserSessions removes all sessions of a person but keep.
func (s *Store) EndUserSessions(ctx context.Context, user idp.UserID, keep idp.SessionID, event func(*idp.Session) idp.AuditEvent) (n int, err error) {
	j := new(job)
	j.change = func(w *writer) error {
		j.events = nil
		if keep != "" && !w.has(inUserSessions, pair(string(user), string(keep))) {
			return idp.ErrSessionEnded
		}
		ended, err := w.endUserSessions(user, keep)
		if err != nil {
			return err
		}
		n = len(ended)
		if event == nil {
			return nil
		}
		return apart(func() error {
			for _, sess := range ended {
				j.events = append(j.events, event(sess))
			}
			return nil
		})
	}
	if err := s.submit(ctx, j); err != nil {
		return 0, err
	}
	return n, nil
}

// EndSessions removes the sessions that are there.
func (s *Store) EndSessions(ctx context.Context, ids []idp.SessionID, events ...idp.AuditEvent) (n int, err error) {
	err = s.update(ctx, events, func(w *writer) error {
		n = 0
		ended := make(map[idp.SessionID]bool, len(ids)) // a change does not see its own notes
		for _, id := range ids {
			var sess idp.Session
			err := w.session(id, &sess)
			switch {
			case errors.Is(err, idp.ErrNotFound) || ended[id]:
				continue
			case errors.Is(err, idp.ErrTampered):
				w.delete(inSessions, []byte(id))
				continue
			case err != nil:
				return err
			}
			w.deleteSession(&sess)
			ended[id] = true
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// endUserSessions notes the end of a person's sessions but keep.
func (w *writer) endUserSessions(user idp.UserID, keep idp.SessionID) ([]*idp.Session, error) {
	sessions, err := w.userSessions(user)
	if err != nil {
		return nil, err
	}
	sessions = slices.DeleteFunc(sessions, func(s *idp.Session) bool { return s.ID == keep })
	for _, sess := range sessions {
		w.deleteSession(sess)
	}
	return sessions, nil
}
