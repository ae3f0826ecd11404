package notice

import (
	"sync"
	"time"

	"vernal/idp"
	"vernal/templates"
)

// maxListed is how many lines a list in a text has.
const maxListed = 20

// operatorData is what a notice to operators says.
type operatorData struct {
	Us, BaseURL string
	ID          string
	Year        idp.Year
	Step        string // its name or, if it needs attention, failed, held or overdue
	At, DueAt   time.Time
	Days        int
	// Hand: a person takes the step. Waits is what it waits for.
	Hand  bool
	Waits string
	// Newer: users of the year have to move to a newer one. Held: they have not,
	// although one is live, because a rollback holds.
	Newer, Held bool
	// Ended: it is about a certificate that ended.
	Ended       bool
	Why, Reason string
	SPs         []string
	More        int // service providers that are not listed
	Count       int // service providers
	Certs       []requestCert
	MoreCerts   int
}

type requestCert struct {
	SP     idp.EntityID
	SHA256 string
	EndAt  time.Time
	Ended  bool
	Days   int
}

// operators fills in the texts of a notice, and whom it is about.
func (s *Service) operators(n Notice, name string, d operatorData, sps []idp.EntityID) (Notice, error) {
	d.Us, d.BaseURL, d.ID = plain(s.Name), s.IdP.BaseURL, n.ID
	d.Why, d.Waits = s.reason(d.Why), s.reason(d.Waits)
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

// daysTo is how many days are left, a part counted as one.
func daysTo(at, now time.Time) int {
	if at.IsZero() || !at.After(now) {
		return 0
	}
	return int((at.Sub(now) + day - 1) / day)
}

// reasons says in other languages why a step is taken or waits; read-only.
var reasons = sync.OnceValue(func() *templates.Reasons {
	r, err := templates.NewReasons()
	if err != nil {
		panic(err) // the pages do not start either
	}
	return r
})

// reason is a sentence of the rotation in the operators' language, as far as it
// can be said in it.
func (s *Service) reason(sentence string) string {
	if s.lang() == fallback || sentence == "" {
		return sentence
	}
	said, _ := reasons().In(s.lang(), sentence)
	return said
}
