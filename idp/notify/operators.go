package notify

import (
	"time"

	"vernal/idp"
	"vernal/templates"
)

// maxListed bounds the lines of a list in a text.
const maxListed = 20

// operatorData fills in the texts of a notice to operators.
type operatorData struct {
	Us, BaseURL string
	ID          string
	Year        idp.Year
	Step        string // its name, or a value of stepIs if it needs attention
	At, DueAt   time.Time
	Days        int
	// Hand: an operator takes the step. Waits says what it waits for.
	Hand  bool
	Waits string
	// Open: the server takes the step on DueAt only if it waits for nothing then.
	Open bool
	Do   commands
	// Newer: users of the year must move to a newer one. Held: they have not moved,
	// although a newer one is live, because a rollback holds.
	Newer, Held bool
	// Ended: the notice is about an expired certificate.
	Ended       bool
	Why, Reason string
	SPs         []string
	More        int // service providers not listed
	Count       int // service providers
	Certs       []requestCert
	MoreCerts   int
}

// requestCert is the last request certificate of a service provider.
type requestCert struct {
	SP    idp.EntityID
	EndAt time.Time
	Ended bool
	Days  int
}

// operators fills in the texts and the service providers of a notice.
func (s *Service) operators(n Notice, name string, d operatorData, sps []idp.EntityID) (Notice, error) {
	d.Us, d.BaseURL, d.ID = plain(s.Name), s.IdP.BaseURL, n.ID
	d.Do = s.commands(n, d)
	d.DueAt, d.Days = n.DueAt, daysTo(n.DueAt, n.At)
	d.Count = len(sps)
	for i, id := range sps {
		if i < maxListed {
			d.SPs = append(d.SPs, plain(string(id)))
		}
	}
	d.More = len(sps) - len(d.SPs)
	if len(d.Certs) > maxListed {
		d.Certs, d.MoreCerts = d.Certs[:maxListed], len(d.Certs)-maxListed
	}
	n.SPs = sps[:min(len(sps), maxSPs)]
	var err error
	n.Subject, n.Text, err = render(s.lang(), name, d)
	return n, err
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

// commands renders the command lines of a notice, or empty ones without CommandLine.
func (s *Service) commands(n Notice, d operatorData) (c commands) {
	if s.CommandLine == nil {
		return c
	}
	report := idp.Suggest(idp.DoRotationReport)
	if n.Kind != StepTaken && n.Kind != RequestCerts {
		report = report.With(idp.OptionYear, string(d.Year))
	}
	return commands{
		Status: s.CommandLine(idp.Suggest(idp.DoRotationStatus)),
		Plan:   s.CommandLine(idp.Suggest(idp.DoRotationPlan)),
		Report: s.CommandLine(report),
		Send:   s.CommandLine(report.With(idp.OptionSend, "")),
		Step:   s.CommandLine(n.Step.Suggest(d.Year)),
	}
}

// phrases renders the rotation's codes in the operators' language.
func (s *Service) phrases() *templates.Phrases { return templates.PhrasesIn(s.lang()) }
