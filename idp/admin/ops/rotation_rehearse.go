package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/partnercert"
	"vernal/idp/rehearsal"
)

// RehearsalRequest begins a rehearsal. The answer is rehearsal.Terms.
type RehearsalRequest struct {
	Year idp.Year `json:"year"`
	// Cert is the request certificate of the rehearsal's service provider, PEM.
	Cert string `json:"certificate"`
}

// RehearsalEndRequest ends a rehearsal.
type RehearsalEndRequest struct {
	ID string `json:"id"`
	// Failed are the names of the steps that were tried and failed.
	Failed []string `json:"failed"`
}

// BeginRehearsal begins a rehearsal of a year. Call EndRehearsal in every case.
var BeginRehearsal = declare("rotation/rehearse/begin", func(s *Service, ctx context.Context, by admin.Caller, req RehearsalRequest) (*rehearsal.Terms, error) {
	if s.Address == "" || s.Rehearsal == nil {
		return nil, invalidError("a rehearsal walks through a running server, and none runs")
	}
	if err := checkYear(req.Year); err != nil {
		return nil, err
	}
	certs, err := partnercert.Read([]byte(req.Cert))
	if err != nil || len(certs) != 1 {
		return nil, invalidError("a rehearsal needs one certificate")
	}
	st, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return nil, err
	}
	terms, err := s.Rehearsal.Begin(ctx, req.Year, certs[0], by.Actor())
	var refused *rehearsal.RefusedError
	if errors.As(err, &refused) {
		return nil, &admin.Error{Code: admin.CodeRefused, Message: refused.Text, Suggestions: refused.Suggestions}
	}
	if err != nil {
		return nil, err
	}
	answer := *terms
	answer.ClockTrusted = st.Clock.IsTrusted()
	return &answer, nil
})

// EndRehearsal ends a rehearsal and records its result.
var EndRehearsal = declare("rotation/rehearse/end", func(s *Service, ctx context.Context, by admin.Caller, req RehearsalEndRequest) (Empty, error) {
	if s.Rehearsal == nil {
		return Empty{}, idp.ErrNotFound
	}
	return Empty{}, s.Rehearsal.End(ctx, req.ID, req.Failed, by.Actor())
})
