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
	Sender
	Days int // until DueAt
	// Code is the code of the attention, and Cause is its reason.
	Code  rotation.AttentionCode
	Cause string
	// IsByHand means that an operator takes the step. Waits are the reasons why it waits.
	IsByHand bool
	Waits    string
	// IsConditional means that the server takes the step on DueAt only if it no longer waits then.
	IsConditional bool
	// Reason is the reason that the operator gave.
	Reason string
	// Commands are the command lines that the texts mention.
	Commands commands
	// MustLeave: users of the year must move to a newer one. Held: they need not, although a newer one
	// is live, because a rollback holds.
	MustLeave, IsHeld bool
	// Names are the first of Count service providers, and MoreCount is the number not named.
	Names            []string
	MoreCount, Count int
	Certs            []requestCert
	MoreCertCount    int
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
func (s *Service) notify(ctx context.Context, data operatorData, sps []idp.EntityID) error {
	if isRecorded, err := s.isRecorded(ctx, data.ID); isRecorded || err != nil {
		return err
	}
	data.Sender, data.Commands, data.Days = s.newSender(s.defaultLang()), s.renderCommands(data.Notice), countDaysTo(data.DueAt, data.At)
	data.Count = len(sps)
	for _, id := range sps[:min(len(sps), maxListed)] {
		data.Names = append(data.Names, cleanText(string(id)))
	}
	data.MoreCount = len(sps) - len(data.Names)
	data.MoreCertCount = max(len(data.Certs)-maxListed, 0)
	data.Certs = data.Certs[:len(data.Certs)-data.MoreCertCount]
	n := data.Notice
	n.SPs = sps[:min(len(sps), maxSPs)]
	var err error
	if n.Subject, n.Text, err = render(s.defaultLang(), "operator_"+string(n.Kind)+".txt", data); err != nil {
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
func (s *Service) renderCommands(n Notice) (lines commands) {
	if s.CommandLine == nil {
		return lines
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
