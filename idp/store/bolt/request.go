package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// createRequest notes a request that was not seen before.
func (w *writer) createRequest(r *idp.LoginRequest) error {
	of := hashMessage(r.SP, r.MessageID)
	if w.hasMessage(of) {
		return idp.ErrReplayed
	}
	key := []byte(r.Handle)
	if w.has(inRequests, key) {
		return existsError(inRequests)
	}
	w.put(inRequests, key, encodeRecord(r))
	w.ops[len(w.ops)-1].message = &of
	w.put(inExpiry, expiryKey(r.ExpiresAt, requestKind, key), nil)
	return nil
}

// deleteRequest queues the removal of a request. The caller removes its entry in the expiry
// index.
func (w *writer) deleteRequest(r *idp.LoginRequest) {
	of := hashMessage(r.SP, r.MessageID)
	w.delete(inRequests, []byte(r.Handle))
	w.ops[len(w.ops)-1].message = &of
}

// CreateLoginRequest adds a request. It returns idp.ErrExists if the handle is taken.
func (s *Store) CreateLoginRequest(ctx context.Context, r *idp.LoginRequest, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error { return w.createRequest(r) })
}

// LoginRequest looks a request up.
func (s *Store) LoginRequest(ctx context.Context, k idp.RequestKey) (*idp.LoginRequest, error) {
	if k.Handle == "" {
		k.Handle, _ = s.messages.findHandle(hashMessage(k.SP, k.MessageID)) // "" finds nothing
	}
	return readValue(ctx, s, func(r *reader) (*idp.LoginRequest, error) {
		return decode[idp.LoginRequest](r, inRequests, []byte(k.Handle))
	})
}

// AnswerLoginRequest marks a request as answered, without an assertion.
func (s *Store) AnswerLoginRequest(ctx context.Context, r *idp.LoginRequest, at time.Time, check idp.Check, events ...idp.AuditEvent) error {
	if at.IsZero() {
		return errNoTime
	}
	return s.update(ctx, events, func(w *writer) error {
		if err := w.checkAnswer(check, r.SP); err != nil {
			return err
		}
		return w.answerRequest(r, at, "")
	})
}

// answerRequest queues the answer of a request. A stored request changes in nothing else. A
// request that is not stored is stored as given.
func (w *writer) answerRequest(r *idp.LoginRequest, at time.Time, in idp.SessionID) error {
	if !w.has(inRequests, []byte(r.Handle)) {
		answered := *r
		answered.AnsweredAt, answered.AnsweringSession = at, in
		return w.createRequest(&answered)
	}
	stored, err := decode[idp.LoginRequest](&w.reader, inRequests, []byte(r.Handle))
	switch {
	case err != nil:
		return err
	case stored.SP != r.SP || stored.MessageID != r.MessageID:
		return fmt.Errorf("handle of another message: %w", existsError(inRequests))
	case stored.IsAnswered():
		return idp.ErrAnswered
	}
	stored.AnsweredAt, stored.AnsweringSession = at, in
	w.put(inRequests, []byte(stored.Handle), encodeRecord(stored))
	return nil
}

// errNoTime refuses an answer at the zero time: the request would count as
// unanswered and could be answered again.
var errNoTime = errors.New("a request cannot be answered at the zero time")
