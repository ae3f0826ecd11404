package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"vernal/idp"
)

// ErrNoMail is returned by Send if no mail server is configured.
var ErrNoMail = errors.New("no mail server is configured")

// LetterResult is the result of a letter.
type LetterResult struct {
	SP idp.EntityID `json:"entity_id"`
	// To are the email addresses for which the server accepted it. If To and Failed are
	// empty, the service provider has no contact with an email address.
	To []string `json:"to"`
	// Failed are the email addresses for which it was not accepted.
	Failed []FailedMail `json:"failed"`
}

// FailedMail is a mail that the server did not accept.
type FailedMail struct {
	To  string `json:"to"`
	Reason string `json:"why"`
}

// Send mails the letters to the contacts of their service providers, and records for each
// how many were sent. It returns ErrNoMail, or an error if that could not be recorded.
// Letters that were not accepted are in the answer. With dryRun it only returns the
// recipients.
func (s *Service) Send(ctx context.Context, letters []Letter, actor string, dryRun bool) ([]LetterResult, error) {
	if s.Mail == nil {
		return nil, ErrNoMail
	}
	all := make([]LetterResult, len(letters))
	var mails []Mail
	var sent []*LetterResult // of each mail
	for i, l := range letters {
		all[i] = LetterResult{SP: l.SP, To: []string{}, Failed: []FailedMail{}}
		// A letter that is sent twice by two commands is two mails.
		id := fmt.Sprintf("letter/%s/%s/%d", s.IdP.BaseURL, l.SP, s.Clock.Now().Unix())
		for _, to := range l.Contacts {
			mails, sent = append(mails, Mail{ID: id, To: to, Subject: l.Subject, Text: l.Text}), append(sent, &all[i])
		}
	}
	errs := make([]error, len(mails))
	if !dryRun {
		errs = s.Mail.Send(ctx, mails)
	}
	for i, err := range errs {
		if err != nil {
			sent[i].Failed = append(sent[i].Failed, FailedMail{mails[i].To, err.Error()})
		} else {
			sent[i].To = append(sent[i].To, mails[i].To)
		}
	}
	if dryRun {
		return all, nil
	}
	return all, s.recordResults(ctx, letters, all, actor)
}

// recordResults writes the audit records: each service provider and the number of recipients,
// never their email addresses.
func (s *Service) recordResults(ctx context.Context, letters []Letter, all []LetterResult, actor string) error {
	var events []idp.AuditEvent
	for i, sent := range all {
		if len(sent.To)+len(sent.Failed) == 0 {
			continue
		}
		e := idp.AuditEvent{Kind: idp.AuditRotationNotice, Outcome: "ok", Actor: actor, SP: sent.SP, Year: letters[i].ToYear,
			Detail: map[string]string{"sent": strconv.Itoa(len(sent.To))}}
		if len(sent.Failed) > 0 {
			e.Outcome, e.Detail["failed"] = "failed", strconv.Itoa(len(sent.Failed))
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	// The mail is sent, so record it even if the caller is gone.
	if err := s.Store.AppendAudit(context.WithoutCancel(ctx), events...); err != nil {
		return fmt.Errorf("the letters are sent, but this is not recorded: %w", err)
	}
	return nil
}
