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
	// Failed are the names of the steps that failed.
	Failed []string `json:"failed"`
}

// BeginRehearsal begins a rehearsal of a year. Call EndRehearsal in every case.
var BeginRehearsal = declare("rotation/rehearse/begin", func(s *Service, ctx context.Context, caller admin.Caller, req RehearsalRequest) (*rehearsal.Terms, error) {
	if s.Address == "" || s.Rehearsal == nil {
		return nil, invalidError("a rehearsal needs a running server: start the server")
	}
	if err := checkYear(req.Year); err != nil {
		return nil, err
	}
	certs, err := partnercert.Read([]byte(req.Cert))
	if err != nil || len(certs) != 1 {
		return nil, invalidError("a rehearsal needs exactly one valid request certificate")
	}
	status, err := s.Rotation.Status(ctx, nil)
	if err != nil {
		return nil, err
	}
	terms, err := s.Rehearsal.Begin(ctx, req.Year, certs[0], caller.Actor())
	var refusedErr *rehearsal.RefusedError
	if errors.As(err, &refusedErr) {
		return nil, &admin.Error{Code: admin.CodeRefused, Message: refusedErr.Text, Suggestions: refusedErr.Suggestions}
	}
	if err != nil {
		return nil, err
	}
	answer := *terms
	answer.ClockTrusted = status.Clock.IsTrusted()
	return &answer, nil
})

// EndRehearsal ends a rehearsal and records its result.
var EndRehearsal = declare("rotation/rehearse/end", func(s *Service, ctx context.Context, caller admin.Caller, req RehearsalEndRequest) (Empty, error) {
	if s.Rehearsal == nil {
		return Empty{}, idp.ErrNotFound
	}
	return Empty{}, s.Rehearsal.End(ctx, req.ID, req.Failed, caller.Actor())
})
