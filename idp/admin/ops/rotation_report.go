package ops

import (
	"context"
	"errors"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/notify"
	"vernal/idp/rotator"
)

// ReportRequest asks for the notices to service providers that must act.
type ReportRequest struct {
	// Year selects the service providers that use it; "" for all.
	Year idp.Year `json:"year,omitzero"`
	// SP selects one service provider; "" for all.
	SP idp.EntityID `json:"entity_id,omitzero"`
	// Send mails the letters to the contacts. With DryRun it only lists the recipients.
	Send   bool `json:"send,omitzero"`
	DryRun bool `json:"dry_run,omitzero"`
}

// RotationReport is the answer to rotation/report.
type RotationReport struct {
	At      time.Time       `json:"at"`
	DryRun  bool            `json:"dry_run"`
	Notices []notify.Letter `json:"notices"`
	// Sent has an entry for each of Notices, if Send was set.
	Sent []notify.LetterResult `json:"sent,omitempty"`
}

// Report returns the notices to service providers that must act, and sends them if asked.
var Report = declare("rotation/report", func(s *Service, ctx context.Context, caller admin.Caller, req ReportRequest) (RotationReport, error) {
	if err := checkYear(req.Year); req.Year != "" && err != nil {
		return RotationReport{}, err
	}
	if err := s.checkReportRequest(ctx, req); err != nil {
		return RotationReport{}, err
	}
	letters, err := s.Notices.Letters(ctx, req.Year)
	if err != nil {
		return RotationReport{}, err
	}
	if req.SP != "" {
		letters = slices.DeleteFunc(letters, func(l notify.Letter) bool { return l.SP != req.SP })
	}
	report := RotationReport{At: s.Clock.Now(), DryRun: req.DryRun, Notices: letters}
	if !req.Send {
		return report, nil
	}
	if s.MailErr != nil {
		return report, &admin.Error{Code: admin.CodeRefused, Message: "no mail can be sent: " + s.MailErr.Error()}
	}
	report.Sent, err = s.Notices.Send(ctx, letters, caller.Actor(), req.DryRun)
	if errors.Is(err, notify.ErrNoMail) {
		return report, &admin.Error{Code: admin.CodeRefused, Message: "no mail server is configured: set mail.server and mail.from, or print the notices",
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoRotationReport).WithOption(idp.OptionOut, "").WithLabel(idp.LabelWriteNotices)}}
	}
	return report, err
})

// checkReportRequest refuses an unknown year or service provider. An empty report would look as if no
// service provider had to act.
func (s *Service) checkReportRequest(ctx context.Context, req ReportRequest) error {
	if req.SP != "" {
		if _, err := s.Registry.Lookup(ctx, req.SP); errors.Is(err, idp.ErrNotFound) {
			return newNotFoundError("no service provider %q is registered", req.SP)
		}
	}
	if req.Year != "" {
		if _, ok := s.Years.Lookup(req.Year, s.Clock.Now()); !ok {
			return newNotFoundError("the year %s was never created", req.Year)
		}
	}
	return nil
}

// writeRevocation returns the notices to send after, or in a dry run before, a year is revoked.
// It is nil if the year was never published. The year is revoked by then, so an error is
// only logged.
func (s *Service) writeRevocation(ctx context.Context, y idp.Year, outcome *rotator.Outcome) *notify.Revocation {
	if record, _ := outcome.Before.History().Record(y); record.PublishedAt.IsZero() {
		return nil
	}
	r, err := s.Notices.Revocation(ctx, y, outcome.After.History().Target(outcome.After.At))
	if err != nil {
		s.Log.ErrorContext(ctx, "cannot write the notice of a revocation", "year", y, "error", err)
	}
	return r
}
