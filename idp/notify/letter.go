package notify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/templates"
)

const (
	// endingSoon is how long before the end of its last request certificate a service
	// provider gets a letter.
	endingSoon = 60 * day

	day = 24 * time.Hour
)

// Letter is a notice to one service provider.
type Letter struct {
	SP   idp.EntityID `json:"entity_id"`
	Name string       `json:"name"`
	// From are the years to leave, oldest first, and To is the year to move to. Both are
	// empty if the letter is only about request certificates.
	From []idp.Year `json:"from"`
	To   idp.Year   `json:"to,omitzero"`
	// LastAt is the last use of one of From.
	LastAt time.Time `json:"last_at,omitzero"`
	// DueAt is the deadline, or zero for at once.
	DueAt time.Time `json:"due_at,omitzero"`
	// RequestCerts are its request certificates, sorted by expiry, if the last of them has
	// expired or soon will. Empty otherwise.
	RequestCerts []migration.RequestCert `json:"request_certificates"`
	// Contacts are the email addresses of its contacts.
	Contacts []string `json:"contacts"`
	// Lang is the language of Subject and Text.
	Lang    templates.Lang `json:"lang"`
	Subject string         `json:"subject"`
	Text    string         `json:"text"`
}

// Letters returns the letters to every active service provider that must act, in the order of the
// migration board, one for each language of its contacts. With a year, they go only to its users.
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

// writer writes letters from one state of the migration board.
type writer struct {
	*Service
	at    time.Time
	years map[idp.Year]year
	to    idp.Year
	cert  *x509.Certificate // of to, or nil if it does not exist yet
}

// year has the state of one of our years.
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

// cert returns our certificate of a year, or nil.
func (s *Service) cert(y idp.Year) *x509.Certificate {
	if e, ok := s.Years.Lookup(y, s.Clock.Now()); ok {
		return e.Key.Cert
	}
	return nil
}

// letter returns the facts for one service provider, without texts, or false if it has
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

// dueAt returns the first date on which something fails, or zero if it fails already.
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

type change struct {
	What string // auth, logout, remotelogout, metadata or certificate
	Old  []string
	New  string
}

// changes lists the old and new endpoint URLs.
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

// pemText is for administrators who paste certificates into a form.
func pemText(c *x509.Certificate) string {
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
}

// fingerprint formats the SHA-256 of a certificate as openssl does.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for i := 0; i < len(text); i += 2 {
		pairs = append(pairs, text[i:i+2])
	}
	return strings.Join(pairs, ":")
}
