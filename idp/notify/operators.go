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
	Cause  string
	// IsByHand means that an operator takes the step. Waits are the reasons why it waits.
	IsByHand  bool
	Waits string
	// IsConditional: the server takes the step on DueAt only if it waits for nothing then.
	IsConditional bool
	// Reason is the reason that the operator gave.
	Reason string
	// Commands are the command lines that the texts mention.
	Commands commands
	// MustLeave: users of the year must move to a newer one. Held: they need not, although a newer one
	// is live, because a rollback holds.
	MustLeave, IsHeld bool
	// Names are the first of Count service providers. More is the number of the others.
	Names      []string
	MoreCount, Count int
	Certs       []requestCert
	MoreCertCount   int
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
	if posted, err := s.isRecorded(ctx, d.ID); posted || err != nil {
		return err
	}
	d.sender, d.Commands, d.Days = s.newSender(s.defaultLang()), s.renderCommands(d.Notice), countDaysTo(d.DueAt, d.At)
	d.Count = len(sps)
	for _, id := range sps[:min(len(sps), maxListed)] {
		d.Names = append(d.Names, cleanText(string(id)))
	}
	d.MoreCount = len(sps) - len(d.Names)
	d.MoreCertCount = max(len(d.Certs)-maxListed, 0)
	d.Certs = d.Certs[:len(d.Certs)-d.MoreCertCount]
	n := d.Notice
	n.SPs = sps[:min(len(sps), maxSPs)]
	var err error
	if n.Subject, n.Text, err = render(s.defaultLang(), "operator_"+string(n.Kind)+".txt", d); err != nil {
		return err
	}
	return s.post(ctx, n)
}

// countDaysTo counts the days left, rounded up.
func countDaysTo(at, now time.Time) int {
	if at.IsZero() || !at.After(now) {
		return 0
	}
	return int((at.Sub(now) + day - 1) / day)
}

// renderCommands are the command lines that the texts mention.
type commands struct {
	Status, Plan, Report, Send string
	// Step takes the step that the notice is about.
	Step string
}

// renderCommands renders the command lines of a notice. They are empty without a CommandLine.
func (s *Service) renderCommands(n Notice) (c commands) {
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
