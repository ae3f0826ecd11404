package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"vernal/idp"
)

// ErrNoMail is returned by Send if no mail server is configured.
var ErrNoMail = errors.New("no mail server is configured: set mail.server")

// LetterResult is the result of sending a letter.
type LetterResult struct {
	SP idp.EntityID `json:"entity_id"`
	// To are the email addresses for which the server accepted the letter. If To and Failed are
	// empty, the service provider has no contact with an email address.
	To []string `json:"to"`
	// Failed are the mails that the server did not accept.
	Failed []FailedMail `json:"failed"`
}

// FailedMail is a mail that the server did not accept.
type FailedMail struct {
	To     string `json:"to"`
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
	results := make([]LetterResult, len(letters))
	var mails []Mail
	var mailResults []*LetterResult // of each mail
	for i, l := range letters {
		results[i] = LetterResult{SP: l.SP, To: []string{}, Failed: []FailedMail{}}
		// A letter that is sent twice by two commands is two mails.
		id := fmt.Sprintf("letter/%s/%s/%d", s.IdP.BaseURL, l.SP, s.Clock.Now().Unix())
		for _, email := range l.Contacts {
			mails, mailResults = append(mails, Mail{ID: id, To: email, Subject: l.Subject, Text: l.Text}), append(mailResults, &results[i])
		}
	}
	errs := make([]error, len(mails))
	if !dryRun {
		errs = s.Mail.Send(ctx, mails)
	}
	for i, err := range errs {
		if err != nil {
			mailResults[i].Failed = append(mailResults[i].Failed, FailedMail{mails[i].To, err.Error()})
		} else {
			mailResults[i].To = append(mailResults[i].To, mails[i].To)
		}
	}
	if dryRun {
		return results, nil
	}
	return results, s.recordResults(ctx, letters, results, actor)
}

// recordResults writes the audit records: each service provider and the number of recipients,
// never their email addresses.
func (s *Service) recordResults(ctx context.Context, letters []Letter, results []LetterResult, actor string) error {
	var events []idp.AuditEvent
	for i, result := range results {
		if len(result.To)+len(result.Failed) == 0 {
			continue
		}
		e := idp.AuditEvent{Kind: idp.AuditRotationNotice, Outcome: "ok", Actor: actor, SP: result.SP, Year: letters[i].ToYear,
			Detail: map[string]string{"sent": strconv.Itoa(len(result.To))}}
		if len(result.Failed) > 0 {
			e.Outcome, e.Detail["failed"] = "failed", strconv.Itoa(len(result.Failed))
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	// The mail is sent, so record it even if the caller cancels.
	if err := s.Store.AppendAudit(context.WithoutCancel(ctx), events...); err != nil {
		return fmt.Errorf("the letters were sent, but could not be recorded: %w", err)
	}
	return nil
}
