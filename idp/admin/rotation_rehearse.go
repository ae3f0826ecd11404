package admin

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/partnercert"
	"vernal/idp/rehearsal"
)

// RehearsalRequest begins a rehearsal. The answer is rehearsal.Terms.
type RehearsalRequest struct {
	Year idp.Year `json:"year"`
	// Cert is the request certificate of the rehearsal's service provider as PEM.
	Cert string `json:"certificate"`
}

// RehearsalEnd ends a rehearsal.
type RehearsalEnd struct {
	ID string `json:"id"`
	// Failed are the names of the steps that failed.
	Failed []string `json:"failed"`
}

func (s *Service) beginRehearsal(ctx context.Context, by Caller, req RehearsalRequest) (*rehearsal.Terms, error) {
	if s.Address == "" || s.Rehearsal == nil {
		return nil, &Error{Code: CodeInvalid, Message: "a rehearsal walks through a running server, and none runs"}
	}
	if !req.Year.Valid() {
		return nil, &Error{Code: CodeInvalid, Message: fmt.Sprintf("%q is not a year, such as 2027 or 2027b", req.Year)}
	}
	certs, err := partnercert.Read([]byte(req.Cert))
	if err != nil || len(certs) != 1 {
		return nil, &Error{Code: CodeInvalid, Message: "a rehearsal needs one certificate"}
	}
	st, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return nil, err
	}
	terms, err := s.Rehearsal.Begin(ctx, req.Year, certs[0], by.Actor())
	var refused *rehearsal.RefusedError
	if errors.As(err, &refused) {
		return nil, &Error{Code: CodeRefused, Message: refused.Text, Suggestions: refused.Suggestions}
	}
	if err != nil {
		return nil, err
	}
	answer := *terms
	answer.ClockTrusted = st.Clock.Trusted()
	return &answer, nil
}

func (s *Service) endRehearsal(ctx context.Context, by Caller, req RehearsalEnd) (Empty, error) {
	if s.Rehearsal == nil {
		return Empty{}, idp.ErrNotFound
	}
	return Empty{}, s.Rehearsal.End(ctx, req.ID, req.Failed, by.Actor())
}

// BeginRehearsal begins a rehearsal of a year. End it in any case.
func (c *Client) BeginRehearsal(ctx context.Context, req RehearsalRequest) (*rehearsal.Terms, error) {
	return call[*rehearsal.Terms](ctx, c, "rotation/rehearse/begin", req)
}

// EndRehearsal ends a rehearsal and reports its failed steps.
func (c *Client) EndRehearsal(ctx context.Context, req RehearsalEnd) error {
	_, err := call[Empty](ctx, c, "rotation/rehearse/end", req)
	return err
}

// RotationPreview makes a preview link or, for a dry run, says what it would open.
func (c *Client) RotationPreview(ctx context.Context, req PreviewRequest) (PreviewLink, error) {
	return call[PreviewLink](ctx, c, "rotation/preview", req)
}
