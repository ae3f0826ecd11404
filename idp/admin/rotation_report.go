package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vernal/idp"
	"vernal/idp/notice"
	"vernal/idp/rotator"
)

// rotationReport writes the notices to service providers that must act, and sends them if asked.
func (s *Service) rotationReport(ctx context.Context, by Caller, req ReportRequest) (RotationReport, error) {
	if req.Year != "" && !req.Year.Valid() {
		return RotationReport{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("%q is not a year, such as 2027 or 2027b", req.Year)}
	}
	if err := s.knowsReport(ctx, req); err != nil {
		return RotationReport{}, err
	}
	letters, err := s.Notices.Letters(ctx, req.Year)
	if err != nil {
		return RotationReport{}, err
	}
	if req.SP != "" {
		letters = slices.DeleteFunc(letters, func(l notice.Letter) bool { return l.SP != req.SP })
	}
	r := RotationReport{At: s.Clock.Now(), DryRun: req.DryRun, Notices: letters}
	if !req.Send {
		return r, nil
	}
	if s.Silent != nil {
		return r, &Error{Code: CodeRefused, Message: "no mail can be sent: " + s.Silent.Error()}
	}
	r.Sent, err = s.Notices.Send(ctx, letters, by.Actor(), req.DryRun)
	if errors.Is(err, notice.ErrNoMail) {
		return r, &Error{Code: CodeRefused, Message: "no mail server is configured: set mail.server and mail.from, or print the notices",
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationReport).With(idp.OptionOut, "").Labeled(idp.LabelWriteNotices)}}
	}
	return r, err
}

// knowsReport refuses an unknown year or service provider, because an empty report would
// look like nothing to do.
func (s *Service) knowsReport(ctx context.Context, req ReportRequest) error {
	if req.SP != "" {
		if _, err := s.Registry.Lookup(ctx, req.SP); errors.Is(err, idp.ErrNotFound) {
			return &Error{Code: CodeNotFound, Message: fmt.Sprintf("no service provider %q is registered", req.SP)}
		}
	}
	if req.Year != "" {
		if _, ok := s.Ring.Lookup(req.Year, s.Clock.Now()); !ok {
			return &Error{Code: CodeNotFound, Message: fmt.Sprintf("the year %s was never made", req.Year)}
		}
	}
	return nil
}

// revocation returns the notice of a revocation, after it or, in a dry run, before it. It
// returns nil if the year was never published.
func (s *Service) revocation(ctx context.Context, y idp.Year, o *rotator.Outcome) (*notice.Revocation, error) {
	record, _ := o.Before.History().Record(y)
	if record.PublishedAt.IsZero() {
		return nil, nil
	}
	return s.Notices.Revocation(ctx, y, o.After.History().Target(o.After.At))
}

// tellRevocation adds the notice of a revocation. The year is revoked by then, so a failure
// to write the notice must not fail the command.
func (s *Service) tellRevocation(ctx context.Context, c *RotationChange, req StepRequest, o *rotator.Outcome) {
	if !req.isRevocation() {
		return
	}
	var err error
	if c.Revocation, err = s.revocation(ctx, req.Year, o); err != nil {
		s.Log.ErrorContext(ctx, "write the notice of a revocation", "year", req.Year, "error", err)
	}
}
