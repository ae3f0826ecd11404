package notify

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/templates"
)

const (
	// endingSoon is how long before the end of its last request certificate a service
	// provider is written to.
	endingSoon = 60 * day

	day = 24 * time.Hour
)

// Letter is what a service provider is told.
type Letter struct {
	SP   idp.EntityID `json:"entity_id"`
	Name string       `json:"name"`
	// From are the years that it must leave, oldest first, and To the one to
	// move to; empty if it is about request certificates alone.
	From []idp.Year `json:"from"`
	To   idp.Year   `json:"to,omitzero"`
	// LastAt is its last use of one of From.
	LastAt time.Time `json:"last_at,omitzero"`
	// DueAt is by when; zero: at once.
	DueAt time.Time `json:"due_at,omitzero"`
	// RequestCerts are its request certificates, the first to end first, if the last of
	// them has ended or ends soon; empty otherwise.
	RequestCerts []migration.RequestCert `json:"request_certificates"`
	// Contacts are the mail addresses of those who look after it.
	Contacts []string `json:"contacts"`
	// Lang is the language of Subject and Text.
	Lang    templates.Lang `json:"lang"`
	Subject string         `json:"subject"`
	Text    string         `json:"text"`
}

// Letters are the letters to every active service provider that has to act, in
// the order of the board, one for each language of its contacts. With a year they
// are those to its users alone.
func (s *Service) Letters(ctx context.Context, y idp.Year) ([]Letter, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the board: %w", err)
	}
	w := s.writer(b)
	letters := []Letter{}
	for _, line := range b.SPs {
		l, ok := w.letter(line, y)
		if !ok {
			continue
		}
		for _, r := range s.readers(line.Contacts) {
			l.Lang, l.Contacts = r.lang, r.addresses
			if l.Subject, l.Text, err = w.words(l); err != nil {
				return nil, err
			}
			letters = append(letters, l)
		}
	}
	return letters, nil
}

// writer writes letters about one board.
type writer struct {
	*Service
	at    time.Time
	years map[idp.Year]year
	to    idp.Year
	cert  *x509.Certificate // of to; nil if it is not there yet
}

// year is how one of ours stands.
type year struct {
	state               rotation.State
	certEndAt, retireAt time.Time
}

func (s *Service) writer(b *migration.Board) *writer {
	w := &writer{Service: s, at: b.At, years: map[idp.Year]year{}, to: b.Target, cert: s.cert(b.Target)}
	for _, e := range s.Years.All(b.At) {
		y := year{state: e.State, retireAt: s.Years.Dates(e.Year()).RetireAt}
		if e.Key.Cert != nil {
			y.certEndAt = e.Key.Cert.NotAfter.UTC()
		}
		w.years[e.Year()] = y
	}
	return w
}

// cert is our certificate of a year; nil if there is none.
func (s *Service) cert(y idp.Year) *x509.Certificate {
	if e, ok := s.Years.Lookup(y, s.Clock.Now()); ok {
		return e.Key.Cert
	}
	return nil
}

// letter is what to tell one service provider, without words; false if it has
// nothing to do.
func (w *writer) letter(line migration.Line, only idp.Year) (Letter, bool) {
	l := Letter{SP: line.SP, Name: line.Name, From: []idp.Year{}, RequestCerts: []migration.RequestCert{}}
	if !line.Active {
		return l, false
	}
	if w.to != "" && len(line.UnmovedFrom) > 0 {
		l.From, l.To = line.UnmovedFrom, w.to
	}
	for _, seen := range line.Years {
		if slices.Contains(l.From, seen.Year) && seen.LastAt.After(l.LastAt) {
			l.LastAt = seen.LastAt
		}
	}
	if ends := line.RequestCertsEndAt(); !ends.IsZero() && !ends.After(w.at.Add(endingSoon)) {
		l.RequestCerts = slices.Clone(line.Certs)
	}
	if only != "" && !slices.Contains(l.From, only) || len(l.From) == 0 && len(l.RequestCerts) == 0 {
		return l, false
	}
	l.DueAt = w.dueAt(l)
	return l, true
}

// dueAt is the first date on which something fails; zero: it fails already.
func (w *writer) dueAt(l Letter) (due time.Time) {
	for _, from := range l.From {
		at := w.years[from].certEndAt
		if !at.After(w.at) {
			at = w.years[from].retireAt
		}
		if w.years[from].state.Over() || !at.After(w.at) {
			return time.Time{}
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if last := len(l.RequestCerts) - 1; len(l.From) == 0 && !l.RequestCerts[last].Ended {
		due = l.RequestCerts[last].EndAt
	}
	return due
}

// change is a line of what to change.
type change struct {
	What string // auth, logout, remotelogout, metadata or certificate
	Old  []string
	New  string
}

// changes are the addresses of the years.
func (w *writer) changes(from []idp.Year, to idp.Year) []change {
	kinds := []struct {
		what string
		at   func(idp.Year) string
	}{
		{"auth", w.IdP.AuthnURL},
		{"logout", w.IdP.LogoutURL},
		{"remotelogout", w.IdP.RemoteLogoutURL},
		{"metadata", func(y idp.Year) string { return w.IdP.BaseURL + "/api/saml/metadata" + string(y) }},
		{"certificate", func(y idp.Year) string { return w.IdP.BaseURL + "/api/saml/certificate" + string(y) + ".pem" }},
	}
	var all []change
	for _, k := range kinds {
		c := change{What: k.what, New: k.at(to)}
		for _, y := range from {
			c.Old = append(c.Old, k.at(y))
		}
		all = append(all, c)
	}
	return all
}
