package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// checkReplay checks whether an AuthnRequest's ID was used before r.AssumedAt.
func (s *Service) checkReplay(ctx context.Context, r *Report, id string, hash []byte) error {
	if s.History == nil {
		return r.skipID(id)
	}
	record, err := s.History.LoginRequest(ctx, idp.RequestKey{SP: r.SP, MessageID: id})
	if errors.Is(err, idp.ErrNotFound) || err == nil && record.ReceivedAt.After(r.AssumedAt) {
		return r.noteUnusedID(id, err == nil)
	}
	if err != nil {
		return fmt.Errorf("look up message %s: %w", id, err)
	}
	repeat := idp.LoginRequest{SP: r.SP, MessageID: id, MessageHash: hash, ReceivedAt: r.AssumedAt}
	if repeat.IsResubmitted(record) && (!record.IsAnswered() || record.AnsweredAt.After(r.AssumedAt)) {
		r.noteOK("ID", id)
		r.addHint("the same message was received at " + formatTime(record.ReceivedAt) + ". Users double-click, so the server accepts it again from any browser within " +
			idp.ResubmitWindow.String() + ", until one of the two is answered")
		return nil
	}
	err = r.noteRefused("ID", idp.Refuse(idp.RefusedReplay, "ID", id))
	effect := "the browser that sent it can continue the sign-in. Another browser is refused"
	if record.IsAnswered() {
		effect = "the browser that sent it gets a page about the earlier answer. Another browser is refused"
	}
	r.addHint("this ID was used at "+formatTime(record.ReceivedAt)+", "+describeAnswer(record.AnsweredAt), effect)
	return err
}

// lookupEarlier checks the ID of a LogoutRequest, which may be repeated. It returns the record of
// the first message with that ID, or nil.
func (s *Service) lookupEarlier(ctx context.Context, r *Report, id string) (*idp.LogoutRequest, error) {
	if s.History == nil {
		return nil, r.skipID(id)
	}
	record, err := s.History.LogoutRequest(ctx, idp.RequestKey{SP: r.SP, MessageID: id})
	if errors.Is(err, idp.ErrNotFound) || err == nil && record.ReceivedAt.After(r.AssumedAt) {
		return nil, r.noteUnusedID(id, err == nil)
	}
	if err != nil {
		return nil, fmt.Errorf("look up message %s: %w", id, err)
	}
	r.noteOK("ID", id)
	effect := "the logout continues in the browser that sent it last, or on the back channel"
	if record.IsAnswered() {
		effect = "when it is sent again, it ends the remaining sessions that began before " + formatTime(record.ReceivedAt) + ", and no newer session"
	}
	r.addHint("this ID was used at "+formatTime(record.ReceivedAt)+", "+describeAnswer(record.AnsweredAt), effect)
	return record, nil
}

// skipID records that an ID cannot be looked up.
func (r *Report) skipID(id string) error {
	r.noteSkipped("ID", "no store is available to check whether "+id+" was used before")
	return nil
}

// noteUnusedID records that an ID was not used before r.AssumedAt.
func (r *Report) noteUnusedID(id string, isUsedLater bool) error {
	r.noteOK("ID", id)
	if isUsedLater {
		r.addHint("it was used after the time at which the rules are applied")
	}
	return nil
}

func describeAnswer(answeredAt time.Time) string {
	if answeredAt.IsZero() {
		return "and not answered"
	}
	return "and answered at " + formatTime(answeredAt)
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
