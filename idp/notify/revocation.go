package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
)

// User is a service provider that used a year.
type User struct {
	SP       idp.EntityID `json:"entity_id"`
	Name     string       `json:"name"`
	LastAt   time.Time    `json:"last_at"`
	Contacts []string     `json:"contacts"`
}

// Revocation has the service providers to notify after a year is revoked, and the text.
type Revocation struct {
	// MustAct are the active service providers that must move from the year, latest use first.
	MustAct []User `json:"must_act"`
	// Subject and Text are for all of them, in the installation's language. Letters has the
	// individual letters in the recipients' languages.
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Revocation writes the notice of a revocation, after it or, for a dry run, before it. to is the
// year that service providers should then move to, or "". The operator's reason is internal and
// left out.
func (s *Service) Revocation(ctx context.Context, y, to idp.Year) (*Revocation, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the board: %w", err)
	}
	w := &writer{Service: s, boardAt: b.At, target: to, revokedYear: y} // in a dry run it is not revoked yet
	r := &Revocation{MustAct: []User{}}
	for _, line := range b.SPs {
		_, from := migration.Judge(line.Years, w.findState, to, b.At)
		for _, seen := range line.Years {
			if line.Active && seen.Year == y && slices.Contains(from, y) {
				r.MustAct = append(r.MustAct, User{SP: line.SP, Name: line.Name, LastAt: seen.LastAt, Contacts: s.listEmails(line.Contacts)})
			}
		}
	}
	slices.SortStableFunc(r.MustAct, func(a, b User) int { return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(a.SP, b.SP)) })
	r.Subject, r.Text, err = w.writeTexts(Letter{Lang: s.defaultLang(), FromYears: []idp.Year{y}, ToYear: to})
	return r, err
}
