package notify

import (
	"context"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// maxListed bounds the lines of a list in a text.
const maxListed = 20

// operatorData fills in the texts of a notice to operators.
type operatorData struct {
	Notice
	sender
	Days int // until DueAt
	// Code is the code of the attention, and Why is its reason.
	Code rotation.AttentionCode
	Why  string
	// Hand means that an operator takes the step. Waits are the reasons why it waits.
	Hand  bool
	Waits string
	// Open: the server takes the step on DueAt only if it waits for nothing then.
	Open bool
	// Reason is the reason that the operator gave.
	Reason string
	// Do are the command lines that the texts mention.
	Do commands
	// Newer: users of the year must move to a newer one. Held: they need not, although a newer one
	// is live, because a rollback holds.
	Newer, Held bool
	// Listed are the first of Count service providers. More is the number of the others.
	Listed      []string
	More, Count int
	Certs       []requestCert
	MoreCerts   int
}

// requestCert is the last request certificate of a service provider.
type requestCert struct {
	SP    string
	EndAt time.Time
	Ended bool
	Days  int
}

// notify records the notice with the text of its kind, unless it is recorded already. sps are the
// service providers that it is about.
func (s *Service) notify(ctx context.Context, d operatorData, sps []idp.EntityID) error {
	if posted, err := s.isPosted(ctx, d.ID); posted || err != nil {
		return err
	}
	d.sender, d.Do, d.Days = s.senderIn(s.lang()), s.commands(d.Notice), daysTo(d.DueAt, d.At)
	d.Count = len(sps)
	for _, id := range sps[:min(len(sps), maxListed)] {
		d.Listed = append(d.Listed, cleanText(string(id)))
	}
	d.More = len(sps) - len(d.Listed)
	d.MoreCerts = max(len(d.Certs)-maxListed, 0)
	d.Certs = d.Certs[:len(d.Certs)-d.MoreCerts]
	n := d.Notice
	n.SPs = sps[:min(len(sps), maxSPs)]
	var err error
	if n.Subject, n.Text, err = render(s.lang(), "operator_"+string(n.Kind)+".txt", d); err != nil {
		return err
	}
	return s.post(ctx, n)
}

// daysTo counts the days left, rounded up.
func daysTo(at, now time.Time) int {
	if at.IsZero() || !at.After(now) {
		return 0
	}
	return int((at.Sub(now) + day - 1) / day)
}

// commands are the command lines that the texts mention.
type commands struct {
	Status, Plan, Report, Send string
	// Step takes the step that the notice is about.
	Step string
}

// commands renders the command lines of a notice. They are empty without a CommandLine.
func (s *Service) commands(n Notice) (c commands) {
	if s.CommandLine == nil {
		return c
	}
	report := idp.Suggest(idp.DoRotationReport)
	if n.Kind != StepTaken && n.Kind != RequestCerts {
		report = report.WithOption(idp.OptionYear, string(n.Year))
	}
	return commands{
		Status: s.CommandLine(idp.Suggest(idp.DoRotationStatus)),
		Plan:   s.CommandLine(idp.Suggest(idp.DoRotationPlan)),
		Report: s.CommandLine(report),
		Send:   s.CommandLine(report.WithOption(idp.OptionSend, "")),
		Step:   s.CommandLine(n.Step.Suggest(n.Year)),
	}
}
