package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
)

// readSession reads a session, and returns idp.ErrNotFound if it is missing. A session that is
// missing in the index of its user has ended, because an attacker who removed the entry must not
// get a session that its user cannot end.
func (r *reader) readSession(id idp.SessionID) (*idp.Session, error) {
	sess, err := decode[idp.Session](r, inSessions, []byte(id))
	if err == nil && !r.has(inUserSessions, pairKey(string(sess.User), string(id))) {
		return nil, missingError(inUserSessions)
	}
	return sess, err
}

// hasEnded reports whether err means that the session cannot continue: it is missing, or it is
// not authentic.
func hasEnded(err error) bool {
	return errors.Is(err, idp.ErrNotFound) || errors.Is(err, idp.ErrTampered)
}

// putSession queues a session. The caller updates the indexes.
func (w *writer) putSession(sess *idp.Session) {
	w.put(inSessions, []byte(sess.ID), encodeRecord(sess))
}

// deleteSession queues the removal of a session and its index entries.
func (w *writer) deleteSession(sess *idp.Session) {
	w.delete(inSessions, []byte(sess.ID))
	w.delete(inUserSessions, pairKey(string(sess.User), string(sess.ID)))
	w.delete(inExpiry, expiryKey(computeSweepTime(sess), sessionKind, []byte(sess.ID)))
}

// computeSweepTime returns the time at which Sweep removes a session: the first multiple of
// IdleTimeout after CreatedAt at which the session may have ended. The index entry can be computed
// from the record, and moves at most once within IdleTimeout however often the session is used. An
// ended session stays in the store for at most another IdleTimeout.
func computeSweepTime(sess *idp.Session) time.Time {
	if sess.IdleTimeout <= 0 {
		return sess.ExpiresAt
	}
	steps := max(0, sess.SeenAt.Sub(sess.CreatedAt)+sess.IdleTimeout-1) / sess.IdleTimeout
	at := sess.CreatedAt.Add((steps + 1) * sess.IdleTimeout)
	if at.After(sess.ExpiresAt) {
		return sess.ExpiresAt
	}
	return at
}

// StartSession implements idp.Store.
func (s *Store) StartSession(ctx context.Context, b idp.SessionStart, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		created, replacedIDs := *b.Session, slices.Clone(b.ReplacedIDs)
		if b.PendingID != "" {
			if _, err := w.readLiveSession(b.PendingID, true, created.User); err != nil {
				return err
			}
			replacedIDs = append(replacedIDs, b.PendingID)
		}
		if b.PreviousID != "" {
			before, err := w.readLiveSession(b.PreviousID, false, created.User)
			if err != nil {
				return err
			}
			if created.BegunAt = before.SignedInAt(); created.BegunAt.Equal(created.CreatedAt) {
				created.BegunAt = time.Time{}
			}
			replacedIDs = append(replacedIDs, b.PreviousID)
		}
		return w.createSession(&created, replacedIDs)
	})
}

// readLiveSession reads the session of the user from which another session or an assertion is made.
func (w *writer) readLiveSession(id idp.SessionID, isPending bool, user idp.UserID) (*idp.Session, error) {
	sess, err := w.readSession(id)
	switch {
	case hasEnded(err):
		return nil, idp.ErrSessionEnded
	case err != nil:
		return nil, err
	case sess.Pending != isPending:
		return nil, fmt.Errorf("%w: pending is %v", idp.ErrSessionEnded, sess.Pending)
	case sess.User != user:
		return nil, idp.ErrSessionUser
	}
	return sess, nil
}

// endSession queues the end of a session and returns it, or nil if it has ended already.
func (w *writer) endSession(id idp.SessionID) (*idp.Session, error) {
	sess, err := w.readSession(id)
	switch {
	case errors.Is(err, idp.ErrTampered):
		w.delete(inSessions, []byte(id))
		return nil, nil
	case errors.Is(err, idp.ErrNotFound):
		return nil, nil
	case err == nil:
		w.deleteSession(sess)
	}
	return sess, err
}

func (w *writer) createSession(sess *idp.Session, replacedIDs []idp.SessionID) error {
	if w.has(inSessions, []byte(sess.ID)) {
		return existsError(inSessions)
	}
	if w.has(inUserTombstones, []byte(sess.User)) {
		return missingError(inUsers)
	}
	created := *sess
	created.Participants = nil
	for _, id := range replacedIDs {
		old, err := w.endSession(id)
		if err != nil {
			return err
		}
		if old != nil && old.User == created.User {
			created.Participants = mergeParticipants(created.Participants, old.Participants)
		}
	}
	created.Participants = mergeParticipants(created.Participants, sess.Participants)
	w.putSession(&created)
	w.put(inUserSessions, pairKey(string(created.User), string(created.ID)), nil)
	w.put(inExpiry, expiryKey(computeSweepTime(&created), sessionKind, []byte(created.ID)), nil)
	return nil
}

// Session implements idp.Store.
func (s *Store) Session(ctx context.Context, id idp.SessionID) (*idp.Session, error) {
	return readValue(ctx, s, func(r *reader) (*idp.Session, error) { return r.readSession(id) })
}

// UpdateSession implements idp.Store.
func (s *Store) UpdateSession(ctx context.Context, id idp.SessionID, change func(*idp.Session) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		sess, err := w.readSession(id)
		if err != nil {
			return err
		}
		user, before := sess.User, computeSweepTime(sess)
		if err := change(sess); err != nil {
			return err
		}
		if sess.ID != id || sess.User != user {
			return errors.New("a change of a session must not change its ID or User")
		}
		w.putSession(sess)
		w.moveExpiry(sessionKind, []byte(id), before, computeSweepTime(sess))
		return nil
	})
}

// EndSessions implements idp.Store.
func (s *Store) EndSessions(ctx context.Context, e idp.SessionEnd, events ...idp.AuditEvent) (int, error) {
	return changeValue(ctx, s, events, func(w *writer) (int, error) {
		if e.KeptID != "" && !w.has(inUserSessions, pairKey(string(e.User), string(e.KeptID))) {
			return 0, idp.ErrSessionEnded
		}
		if e.Change != nil {
			if err := w.changeUser(e.User, e.Change); err != nil {
				return 0, err
			}
		}
		var endedSessions []*idp.Session
		if e.User != "" {
			var err error
			if endedSessions, err = w.endUserSessions(e.User, e.KeptID); err != nil {
				return 0, err
			}
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(e.IDs))) {
			sess, err := w.endSession(id)
			if err != nil {
				return 0, err
			}
			if sess != nil {
				endedSessions = append(endedSessions, sess)
			}
		}
		for _, sess := range endedSessions {
			if e.Event != nil {
				w.events = append(w.events, e.Event(sess))
			}
		}
		return len(endedSessions), nil
	})
}

// endUserSessions queues the end of all sessions of a user except keptID.
func (w *writer) endUserSessions(user idp.UserID, keptID idp.SessionID) ([]*idp.Session, error) {
	sessions, err := w.listUserSessions(user)
	if err != nil {
		return nil, err
	}
	sessions = slices.DeleteFunc(sessions, func(s *idp.Session) bool { return s.ID == keptID })
	for _, sess := range sessions {
		w.deleteSession(sess)
	}
	return sessions, nil
}

// Sessions implements idp.Store.
func (s *Store) Sessions(ctx context.Context, q idp.SessionQuery) ([]*idp.Session, error) {
	return readValue(ctx, s, func(r *reader) (out []*idp.Session, err error) {
		if q.User != "" {
			return r.listUserSessions(q.User)
		}
		for k, v := range r.scanAfter(inSessions, []byte(q.After)) {
			if len(out) >= q.Limit {
				break
			}
			record, err := r.verifyValue(inSessions, k, v)
			if errors.Is(err, idp.ErrTampered) {
				continue // a session that is not authentic has ended
			}
			sess, err := decodeValue[idp.Session](inSessions, k, record)
			if err != nil {
				return nil, err
			}
			out = append(out, sess)
		}
		return out, nil
	})
}

// listUserSessions leaves out index entries that no authentic session of the user confirms, so
// that an attacker who can write to the file can only end sessions.
func (r *reader) listUserSessions(user idp.UserID) ([]*idp.Session, error) {
	var out []*idp.Session
	prefix := pairKey(string(user), "")
	for key := range r.scan(inUserSessions, prefix) {
		sess, err := r.readSession(idp.SessionID(key[len(prefix):]))
		switch {
		case hasEnded(err):
			continue
		case err != nil:
			return nil, err
		case sess.User != user:
			_ = r.store.tamperedError(inUserSessions, key)
			continue
		}
		out = append(out, sess)
	}
	slices.SortFunc(out, func(a, b *idp.Session) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// mergeParticipants adds participants to those of an older session.
func mergeParticipants(participants, added []idp.Participant) []idp.Participant {
	for _, p := range added {
		participants = addParticipant(participants, p.SP, p.NameID, p.Year, p.At, p.SessionIndexes...)
	}
	return participants
}

// addParticipant adds the identifiers disclosed to a service provider to the participants. A
// service provider has one entry for each NameID that it received: usually one, but two if its
// scope changed during the session, so that a logout with the older NameID still works. The last
// SessionIndex of an entry is the newest.
func addParticipant(participants []idp.Participant, sp idp.EntityID, name idp.NameID, year idp.Year, at time.Time, indexes ...string) []idp.Participant {
	i := slices.IndexFunc(participants, func(p idp.Participant) bool { return p.SP == sp && p.NameID == name })
	if i < 0 {
		i = len(participants)
		participants = append(participants, idp.Participant{SP: sp, NameID: name})
	}
	p := &participants[i]
	for _, index := range indexes {
		if !slices.Contains(p.SessionIndexes, index) {
			p.SessionIndexes = append(p.SessionIndexes, index)
		}
	}
	p.Year, p.At = year, at
	return participants
}
