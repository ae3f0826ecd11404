package bolt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// session reads a session into a zero one; idp.ErrNotFound if it is not there. One
// that its user's index does not name has ended: a writer who took the entry out must not
// get a session that its user cannot end.
func (r *reader) session(id idp.SessionID, into *idp.Session) error {
	if err := readRecord(r, inSessions, []byte(id), into, sessionFields); err != nil {
		return err
	}
	if !r.has(inUserSessions, pair(string(into.User), string(id))) {
		return missing(inUserSessions)
	}
	return nil
}

// isOver reports whether err says that there is no session to go on with: it is not
// there, or what is there is not authentic and cannot be trusted with anything.
func isOver(err error) bool {
	return errors.Is(err, idp.ErrNotFound) || errors.Is(err, idp.ErrTampered)
}

// putSession notes a session; its entries in the indexes are the caller's.
func (w *writer) putSession(sess *idp.Session) {
	w.put(inSessions, []byte(sess.ID), encodeRecord(sess, sessionFields))
}

// deleteSession notes the end of a session with all its entries.
func (w *writer) deleteSession(sess *idp.Session) {
	w.delete(inSessions, []byte(sess.ID))
	w.delete(inUserSessions, pair(string(sess.User), string(sess.ID)))
	w.delete(inExpiry, expiryKey(due(sess), sessionKind, []byte(sess.ID)))
}

// due is when the sweep looks for a session: in steps of Idle from its
// beginning, the first step at which it may have ended. So the entry in the
// index follows from the record, and moves at most once in Idle however often
// the session is used, with a write that is made anyway; the sweep meets only
// sessions that have ended. They wait for it for another Idle at most.
func due(sess *idp.Session) time.Time {
	if sess.Idle <= 0 {
		return sess.ExpiresAt
	}
	steps := max(0, sess.SeenAt.Sub(sess.CreatedAt)+sess.Idle-1) / sess.Idle
	at := sess.CreatedAt.Add((steps + 1) * sess.Idle)
	if at.After(sess.ExpiresAt) {
		return sess.ExpiresAt
	}
	return at
}

// CreateSession adds a session and ends others. It does not change *sess: read
// the session to see what was carried over. A person who was deleted gets no
// session (idp.ErrNotFound), even if the sign-in began before.
func (s *Store) CreateSession(ctx context.Context, sess *idp.Session, replaces []idp.SessionID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error { return w.createSession(sess, replaces) })
}

// CompleteSession adds the session that a pending one becomes.
func (s *Store) CompleteSession(ctx context.Context, pending idp.SessionID, sess *idp.Session, replaces []idp.SessionID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		var begun idp.Session
		err := w.session(pending, &begun)
		switch {
		case isOver(err):
			return idp.ErrSessionEnded
		case err != nil:
			return err
		case !begun.Pending:
			return fmt.Errorf("%w: it is not pending", idp.ErrSessionEnded)
		case begun.User != sess.User:
			return idp.ErrSessionUser
		}
		w.deleteSession(&begun)
		return w.createSession(sess, replaces)
	})
}

// ReplaceSession adds the session that another one becomes.
func (s *Store) ReplaceSession(ctx context.Context, old idp.SessionID, sess *idp.Session, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		var before idp.Session
		err := w.session(old, &before)
		switch {
		case isOver(err):
			return idp.ErrSessionEnded
		case err != nil:
			return err
		case before.Pending:
			return fmt.Errorf("%w: it is pending", idp.ErrSessionEnded)
		case before.User != sess.User:
			return idp.ErrSessionUser
		}
		made := *sess
		if made.BegunAt = before.Began(); made.BegunAt.Equal(made.CreatedAt) {
			made.BegunAt = time.Time{}
		}
		return w.createSession(&made, []idp.SessionID{old})
	})
}

func (w *writer) createSession(sess *idp.Session, replaces []idp.SessionID) error {
	if w.has(inSessions, []byte(sess.ID)) {
		return exists(inSessions)
	}
	if w.has(inUserTombstones, []byte(sess.User)) {
		return missing(inUsers)
	}
	made := *sess
	made.Participants = nil
	for _, id := range replaces {
		var old idp.Session
		err := w.session(id, &old)
		if errors.Is(err, idp.ErrTampered) {
			w.delete(inSessions, []byte(id))
		}
		if isOver(err) {
			continue
		}
		if err != nil {
			return err
		}
		if old.User == made.User {
			made.Participants = merged(made.Participants, old.Participants)
		}
		w.deleteSession(&old)
	}
	made.Participants = merged(made.Participants, sess.Participants)
	w.putSession(&made)
	w.put(inUserSessions, pair(string(made.User), string(made.ID)), nil)
	w.put(inExpiry, expiryKey(due(&made), sessionKind, []byte(made.ID)), nil)
	return nil
}

// Session looks a session up.
func (s *Store) Session(ctx context.Context, id idp.SessionID) (*idp.Session, error) {
	sess := new(idp.Session)
	err := s.view(ctx, func(r *reader) error { return r.session(id, sess) })
	if err != nil {
		return nil, err
	}
	return sess, nil
}

// UpdateSession changes a session.
func (s *Store) UpdateSession(ctx context.Context, id idp.SessionID, change func(*idp.Session) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		var sess idp.Session
		if err := w.session(id, &sess); err != nil {
			return err
		}
		user, before := sess.User, due(&sess)
		if err := apart(func() error { return change(&sess) }); err != nil {
			return err
		}
		if sess.ID != id || sess.User != user {
			return errors.New("change of a session: ID and User must stay")
		}
		w.putSession(&sess)
		w.moveExpiry(sessionKind, []byte(id), before, due(&sess))
		return nil
	})
}

// Sessions lists sessions by ID.
func (s *Store) Sessions(ctx context.Context, after idp.SessionID, limit int) (out []*idp.Session, err error) {
	err = s.view(ctx, func(r *reader) error {
		c := r.bucket(inSessions).Cursor()
		for k, v := c.Seek([]byte(after)); k != nil && len(out) < limit; k, v = c.Next() {
			if string(k) == string(after) {
				continue
			}
			record, err := r.verified(inSessions, k, v)
			if errors.Is(err, idp.ErrTampered) {
				continue // it opens nothing
			}
			sess := new(idp.Session)
			if err := decodeRecord(record, sess, sessionFields); err != nil {
				return corrupt(inSessions, k, err)
			}
			out = append(out, sess)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UserSessions lists a person's sessions, oldest first.
func (s *Store) UserSessions(ctx context.Context, user idp.UserID) (out []*idp.Session, err error) {
	err = s.view(ctx, func(r *reader) error {
		out, err = r.userSessions(user)
		return err
	})
	return out, err
}

// userSessions leaves out what the index names and no authentic session of the user
// confirms: a writer of the file can end sessions, and no more.
func (r *reader) userSessions(user idp.UserID) ([]*idp.Session, error) {
	var out []*idp.Session
	prefix := pair(string(user), "")
	for key := range r.scan(inUserSessions, prefix) {
		sess := new(idp.Session)
		err := r.session(idp.SessionID(key[len(prefix):]), sess)
		switch {
		case isOver(err):
			continue
		case err != nil:
			return nil, err
		case sess.User != user:
			_ = r.store.tampered(inUserSessions, key)
			continue
		}
		out = append(out, sess)
	}
	slices.SortFunc(out, func(a, b *idp.Session) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return out, nil
}

// merged adds participants to those of an older session.
func merged(into, from []idp.Participant) []idp.Participant {
	for _, p := range from {
		into = joined(into, p.SP, p.NameID, p.Year, p.At, p.SessionIndexes...)
	}
	return into
}

// joined adds what a provider was told to the participants. A provider has one
// entry for each NameID that it was given: usually one, two if its scope
// changed during the session, so that a logout with the older one is still
// understood. The latest index given is the last one of its entry.
func joined(into []idp.Participant, sp idp.EntityID, name idp.NameID, year idp.Year, at time.Time, indexes ...string) []idp.Participant {
	i := slices.IndexFunc(into, func(p idp.Participant) bool { return p.SP == sp && p.NameID == name })
	if i < 0 {
		i = len(into)
		into = append(into, idp.Participant{SP: sp, NameID: name})
	}
	p := &into[i]
	for _, index := range indexes {
		if !slices.Contains(p.SessionIndexes, index) {
			p.SessionIndexes = append(p.SessionIndexes, index)
		}
	}
	p.Year, p.At = year, at
	return into
}
