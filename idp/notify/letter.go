package notify

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"vernal/certs"
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

// Letters returns the letters to every active service provider that must act, in the order
// of the migration board, one for each language of its contacts. With a year, they go only
// to its users.
func (s *Service) Letters(ctx context.Context, y idp.Year) ([]Letter, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the board: %w", err)
	}
	w := &writer{Service: s, at: b.At, to: b.Target}
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
	at time.Time
	to idp.Year
	// revoked is a year that counts as revoked already, or "".
	revoked idp.Year
}

// state returns the state of one of our years.
func (w *writer) state(y idp.Year) rotation.State {
	e, _ := w.Years.Lookup(y, w.at)
	switch {
	case w.revoked == "":
	case y == w.revoked:
		return rotation.Revoked
	case y == w.to: // perhaps not published yet
		return rotation.Published
	}
	return e.State
}

// cert returns our certificate of a year, or nil.
func (w *writer) cert(y idp.Year) *x509.Certificate {
	if e, ok := w.Years.Lookup(y, w.at); ok {
		return e.Key.Cert
	}
	return nil
}

func (w *writer) certEndAt(y idp.Year) (at time.Time) {
	if c := w.cert(y); c != nil {
		at = c.NotAfter.UTC()
	}
	return at
}

// letter returns the content of the letter to one service provider, without its wording. It
// returns false if the service provider has nothing to do.
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

// dueAt returns the first date on which sign-ins or requests fail, or zero if they fail already.
func (w *writer) dueAt(l Letter) (due time.Time) {
	for _, from := range l.From {
		at := w.certEndAt(from)
		if !at.After(w.at) {
			at = w.Years.Dates(from).RetireAt
		}
		if w.state(from).IsOver() || !at.After(w.at) {
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

// letterData is the data of the letter's template.
type letterData struct {
	Letter
	sender
	ID       string // of the service provider; Name is "" in a letter to all service providers
	EntityID string
	// Closed and Grace say that the oldest of From is closed, or its certificate ended.
	Closed, Grace       bool
	CertEndAt, RetireAt time.Time
	Changes             []change
	Hinted              string // the metadata URL with the SP's hint
	PEM, SHA256         string
	CertUntil           time.Time
	LastCert            migration.RequestCert // the one that ends last
}

// change is one line of the list of changes.
type change struct {
	What string // auth, logout, remotelogout, metadata or certificate
	Old  []string
	New  string
}

// words returns a letter's subject and text.
func (w *writer) words(l Letter) (subject, text string, err error) {
	d := letterData{Letter: l, sender: w.senderIn(l.Lang), ID: cleanText(string(l.SP)), EntityID: string(w.IdP.EntityID())}
	d.Name = cmp.Or(cleanText(l.Name), d.ID)
	d.RequestCerts = slices.Clone(l.RequestCerts)
	for i, c := range d.RequestCerts {
		d.RequestCerts[i].SHA256 = colons(c.SHA256)
		d.LastCert = d.RequestCerts[i]
	}
	if len(l.From) == 0 {
		return render(l.Lang, "requestcert.txt", d)
	}
	first := l.From[0]
	d.CertEndAt, d.RetireAt = w.certEndAt(first), w.Years.Dates(first).RetireAt
	d.Closed, d.Grace = w.state(first).IsOver(), !d.CertEndAt.After(w.at)
	if l.To != "" {
		d.Changes = w.changes(l.From, l.To)
		d.Hinted = w.IdP.MetadataURL(l.To) + "?sp=" + url.QueryEscape(string(l.SP))
	}
	if c := w.cert(w.to); c != nil {
		d.PEM, d.SHA256, d.CertUntil = strings.TrimSpace(certs.EncodePEM(c)), colons(certs.CertSHA256(c)), c.NotAfter.UTC()
	}
	if slices.ContainsFunc(l.From, func(y idp.Year) bool { return w.state(y) == rotation.Revoked }) {
		return render(l.Lang, "revoked.txt", d)
	}
	return render(l.Lang, "move.txt", d)
}

// changes returns the changes of URLs from some years to another.
func (w *writer) changes(from []idp.Year, to idp.Year) (all []change) {
	for _, k := range []struct {
		what string
		url  func(idp.Year) string
	}{
		{"auth", w.IdP.AuthnURL}, {"logout", w.IdP.LogoutURL}, {"remotelogout", w.IdP.RemoteLogoutURL},
		{"metadata", w.IdP.MetadataURL}, {"certificate", w.IdP.CertificateURL},
	} {
		c := change{What: k.what, New: k.url(to)}
		for _, y := range from {
			c.Old = append(c.Old, k.url(y))
		}
		all = append(all, c)
	}
	return all
}
