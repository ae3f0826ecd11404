package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"vernal/idp"
)

func logoutMessageKey(r *idp.LogoutRequest) []byte { return pairKey(string(r.SP), r.MessageID) }

// findFirstLogout returns the request that was first received with the message of r. For a new
// message it returns idp.ErrExists if the handle of r belongs to another message, and
// idp.ErrNotFound otherwise.
func (w *writer) findFirstLogout(r *idp.LogoutRequest) (*idp.LogoutRequest, error) {
	h, err := w.get(inLogoutMessages, logoutMessageKey(r))
	if err != nil {
		return nil, err
	}
	if h == nil {
		if w.has(inLogouts, []byte(r.Handle)) {
			return nil, existsError(inLogouts)
		}
		return nil, missingError(inLogoutMessages)
	}
	return decode[idp.LogoutRequest](&w.reader, inLogouts, h)
}

// queueFirstLogout returns a copy of r as it is stored. Existing sessions began before it was
// received, whatever the clock says.
func (w *writer) queueFirstLogout(r *idp.LogoutRequest, sessions []*idp.Session) (*idp.LogoutRequest, error) {
	first, err := copyLogout(r)
	if err != nil {
		return nil, err
	}
	for _, sess := range sessions {
		if began := sess.SignedInAt(); began.After(first.ReceivedAt) {
			first.ReceivedAt = began
		}
	}
	w.put(inLogoutMessages, logoutMessageKey(first), []byte(first.Handle))
	w.put(inExpiry, expiryKey(first.ExpiresAt, logoutKind, []byte(first.Handle)), nil)
	return first, nil
}

// copyLogout returns a copy that shares nothing with r.
func copyLogout(r *idp.LogoutRequest) (*idp.LogoutRequest, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := new(idp.LogoutRequest)
	return out, json.Unmarshal(text, out)
}

// deleteLogout queues the removal of a request. The caller removes its entry in the expiry index.
func (w *writer) deleteLogout(r *idp.LogoutRequest) {
	w.delete(inLogouts, []byte(r.Handle))
	w.delete(inLogoutMessages, logoutMessageKey(r))
}

// ReceiveLogout keeps a request for its browser.
func (s *Store) ReceiveLogout(ctx context.Context, r *idp.LogoutRequest) (*idp.LogoutRequest, error) {
	return changeValue(ctx, s, nil, func(w *writer) (*idp.LogoutRequest, error) {
		first, err := w.findFirstLogout(r)
		if errors.Is(err, idp.ErrNotFound) {
			var sessions []*idp.Session
			if sessions, err = w.listNamedSessions(r); err == nil {
				first, err = w.queueFirstLogout(r, sessions)
			}
		}
		if err != nil {
			return nil, err
		}
		first.SecretHash = slices.Clone(r.SecretHash)
		w.putJSON(inLogouts, []byte(first.Handle), first)
		return first, nil
	})
}

// LogoutRequest looks a request up.
func (s *Store) LogoutRequest(ctx context.Context, k idp.RequestKey) (*idp.LogoutRequest, error) {
	return readValue(ctx, s, func(r *reader) (*idp.LogoutRequest, error) {
		handle := []byte(k.Handle)
		if k.Handle == "" {
			var err error
			if handle, err = r.find(inLogoutMessages, pairKey(string(k.SP), k.MessageID)); err != nil {
				return nil, err
			}
		}
		return decode[idp.LogoutRequest](r, inLogouts, handle)
	})
}

// RecordLogout decides a request in the same transaction that ends its sessions. It does not
// change *l.
func (s *Store) RecordLogout(ctx context.Context, l *idp.Logout) (*idp.LogoutOutcome, error) {
	if l.Request == nil {
		return nil, errors.New("record logout: no request")
	}
	if l.At.IsZero() {
		return nil, errNoTime
	}
	return changeValue(ctx, s, nil, func(w *writer) (*idp.LogoutOutcome, error) { return w.recordLogout(l) })
}

// recordLogout queues the changes of l, with its event if there are any.
func (w *writer) recordLogout(l *idp.Logout) (*idp.LogoutOutcome, error) {
	if err := w.checkAnswer(l.Check, l.Request.SP); err != nil {
		return nil, err
	}
	first, err := w.findFirstLogout(l.Request)
	unseen := errors.Is(err, idp.ErrNotFound)
	if err != nil && !unseen {
		return nil, err
	}
	named := first
	if unseen {
		named = l.Request
	}
	sessions, err := w.listNamedSessions(named)
	if err != nil {
		return nil, err
	}
	if unseen {
		if first, err = w.queueFirstLogout(l.Request, sessions); err != nil {
			return nil, err
		}
	}
	decision, err := askDecision(l, first, sessions)
	if err != nil {
		return nil, err
	}
	out := &idp.LogoutOutcome{Request: first}
	for _, sess := range sessions {
		if slices.Contains(decision.SessionIDs, sess.ID) {
			w.deleteSession(sess)
			out.EndedSessions = append(out.EndedSessions, sess)
		}
	}
	counts := !first.IsAnswered() || len(out.EndedSessions) > 0
	first.Status, first.StatusDetail = decision.Status, decision.StatusDetail
	if !counts {
		return out, nil
	}
	if !first.IsAnswered() {
		first.AnsweredAt = l.At
	}
	w.putJSON(inLogouts, []byte(first.Handle), first)
	w.events = append(w.events, l.Event(first))
	return out, nil
}

// askDecision calls l.Decide with copies, which the caller may change.
func askDecision(l *idp.Logout, first *idp.LogoutRequest, sessions []*idp.Session) (d idp.LogoutDecision, err error) {
	given, err := copyLogout(first)
	if err != nil {
		return d, err
	}
	list := make([]*idp.Session, len(sessions))
	for i, sess := range sessions {
		x := *sess
		list[i] = &x
	}
	return l.Decide(given, list), nil
}

// listNamedSessions returns the sessions of the users that the request names, oldest first.
func (r *reader) listNamedSessions(req *idp.LogoutRequest) (all []*idp.Session, err error) {
	for _, user := range []idp.UserID{req.User, req.IndexUser} {
		if user == "" || len(all) > 0 && all[0].User == user {
			continue
		}
		of, err := r.listUserSessions(user)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}
