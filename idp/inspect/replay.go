package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
)

// checkReplay checks whether an AuthnRequest's ID was used before r.At.
func (s *Service) checkReplay(ctx context.Context, r *Report, id string, hash []byte) error {
	if s.History == nil {
		return r.skipID(id)
	}
	before, err := s.History.LoginRequest(ctx, idp.RequestKey{SP: r.SP, MessageID: id})
	if errors.Is(err, idp.ErrNotFound) || err == nil && before.ReceivedAt.After(r.AssumedAt) {
		return r.noteUnusedID(id, err == nil)
	}
	if err != nil {
		return fmt.Errorf("look up message: %w", err)
	}
	again := idp.LoginRequest{SP: r.SP, MessageID: id, MessageHash: hash, ReceivedAt: r.AssumedAt}
	if again.IsResubmitted(before) && (!before.IsAnswered() || before.AnsweredAt.After(r.AssumedAt)) {
		r.noteOK("ID", id)
		r.addHint("the same message was delivered at " + formatTime(before.ReceivedAt) + "; within " + idp.ResubmitWindow.String() +
			", until one of the two is answered, it is taken from any browser, as after a double click")
		return nil
	}
	err = r.noteRefused("ID", idp.Refuse(idp.RefusedReplay, "ID", id))
	next := "the browser that sent it can continue the sign-in. Another browser is refused"
	if before.IsAnswered() {
		next = "the browser that sent it gets a page that says so. Another browser is refused"
	}
	r.addHint("this ID was used at "+formatTime(before.ReceivedAt)+", "+describeAnswer(before.AnsweredAt), next)
	return err
}

// lookupEarlier checks the ID of a LogoutRequest, which is not refused when it is repeated. It
// returns the message as it came first, or nil.
func (s *Service) lookupEarlier(ctx context.Context, r *Report, id string) (*idp.LogoutRequest, error) {
	if s.History == nil {
		return nil, r.skipID(id)
	}
	before, err := s.History.LogoutRequest(ctx, idp.RequestKey{SP: r.SP, MessageID: id})
	if errors.Is(err, idp.ErrNotFound) || err == nil && before.ReceivedAt.After(r.AssumedAt) {
		return nil, r.noteUnusedID(id, err == nil)
	}
	if err != nil {
		return nil, fmt.Errorf("look up message: %w", err)
	}
	r.noteOK("ID", id)
	next := "it continues in the browser that sent it last, or by the back channel"
	if before.IsAnswered() {
		next = "when it is sent again, it ends the remaining sessions that began before " + formatTime(before.ReceivedAt) + ", and nothing newer"
	}
	r.addHint("this ID was used at "+formatTime(before.ReceivedAt)+", "+describeAnswer(before.AnsweredAt), next)
	return before, nil
}

// skipID records that an ID cannot be looked up.
func (r *Report) skipID(id string) error {
	r.noteSkipped("ID", "no store available to check whether "+id+" was used before")
	return nil
}

// noteUnusedID records that an ID had not been used by then.
func (r *Report) noteUnusedID(id string, later bool) error {
	r.noteOK("ID", id)
	if later {
		r.addHint("it was used, but later than the time that the rules are applied at")
	}
	return nil
}

func describeAnswer(at time.Time) string {
	if at.IsZero() {
		return "and not answered"
	}
	return "and answered at " + formatTime(at)
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
