package bolt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vernal/idp"
)

func logoutMessage(r *idp.LogoutRequest) []byte { return pair(string(r.SP), r.MessageID) }

// createLogout notes a request that was not seen before.
func (w *writer) createLogout(r *idp.LogoutRequest) error {
	key := []byte(r.Handle)
	switch {
	case w.has(inLogoutMessages, logoutMessage(r)):
		return idp.ErrReplayed
	case w.has(inLogouts, key):
		return exists(inLogouts)
	}
	w.putJSON(inLogouts, key, r)
	w.put(inLogoutMessages, logoutMessage(r), key)
	w.put(inExpiry, expiryKey(r.ExpiresAt, logoutKind, key), nil)
	return nil
}

// deleteLogout notes the removal of a request; its entry in the expiry index is
// the caller's.
func (w *writer) deleteLogout(r *idp.LogoutRequest) {
	w.delete(inLogouts, []byte(r.Handle))
	w.delete(inLogoutMessages, logoutMessage(r))
}

// CreateLogoutRequest adds a request.
func (s *Store) CreateLogoutRequest(ctx context.Context, r *idp.LogoutRequest, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error { return w.createLogout(r) })
}

// LogoutRequest looks a request up.
func (s *Store) LogoutRequest(ctx context.Context, h idp.RequestHandle) (*idp.LogoutRequest, error) {
	req := new(idp.LogoutRequest)
	err := s.view(ctx, func(r *reader) error { return r.decode(inLogouts, []byte(h), req) })
	if err != nil {
		return nil, err
	}
	return req, nil
}

// LogoutRequestByMessage finds a request by its sender and ID.
func (s *Store) LogoutRequestByMessage(ctx context.Context, sp idp.EntityID, messageID string) (*idp.LogoutRequest, error) {
	req := new(idp.LogoutRequest)
	err := s.view(ctx, func(r *reader) error {
		h := r.get(inLogoutMessages, pair(string(sp), messageID))
		if h == nil {
			return missing(inLogoutMessages)
		}
		return r.decode(inLogouts, h, req)
	})
	if err != nil {
		return nil, err
	}
	return req, nil
}

// RecordLogout answers a request and ends what it ends. It does not change *l.
func (s *Store) RecordLogout(ctx context.Context, l *idp.Logout, events ...idp.AuditEvent) (ended int, err error) {
	if l.Request == nil {
		return 0, errors.New("record logout: no request")
	}
	if !l.Request.Answered() {
		return 0, errNoTime
	}
	err = s.update(ctx, events, func(w *writer) (err error) {
		if err := w.answerLogout(l.Request); err != nil {
			return err
		}
		ended, err = w.endFor(l)
		return err
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

// answerLogout notes the answer: of a request that is stored only that, one
// that is not is stored as it is given.
func (w *writer) answerLogout(r *idp.LogoutRequest) error {
	var stored idp.LogoutRequest
	err := w.decode(inLogouts, []byte(r.Handle), &stored)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return w.createLogout(r)
	case err != nil:
		return err
	case stored.SP != r.SP || stored.MessageID != r.MessageID:
		return fmt.Errorf("handle of another message: %w", exists(inLogouts))
	case stored.Answered():
		return idp.ErrAnswered
	}
	stored.AnsweredAt, stored.Status, stored.StatusDetail = r.AnsweredAt, r.Status, r.StatusDetail
	w.putJSON(inLogouts, []byte(stored.Handle), &stored)
	return nil
}

// endFor notes the end of the sessions that l ends, each once.
func (w *writer) endFor(l *idp.Logout) (int, error) {
	var end []*idp.Session
	if l.EndAllOf != "" {
		all, err := w.userSessions(l.EndAllOf)
		if err != nil {
			return 0, err
		}
		for _, sess := range all {
			if sess.Told(l.Request.SP, l.SessionIndexes) {
				end = append(end, sess)
			}
		}
	}
	if l.Session != "" && !slices.ContainsFunc(end, func(s *idp.Session) bool { return s.ID == l.Session }) {
		sess := new(idp.Session)
		err := w.session(l.Session, sess)
		if err == nil {
			end = append(end, sess)
		} else if !errors.Is(err, idp.ErrNotFound) {
			return 0, err
		}
	}
	for _, sess := range end {
		w.deleteSession(sess)
	}
	return len(end), nil
}
