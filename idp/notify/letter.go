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
	// endingTime is how long before the end of its last request certificate a service
	// provider gets a letter.
	endingTime = 60 * day

	day = 24 * time.Hour
)

// Letter is a notice to one service provider.
type Letter struct {
	SP   idp.EntityID `json:"entity_id"`
	Name string       `json:"name"`
	// FromYears are the years to leave, oldest first, and ToYear is the year to move to. Both are
	// empty if the letter is only about request certificates.
	FromYears []idp.Year `json:"from"`
	ToYear    idp.Year   `json:"to,omitzero"`
	// LastAt is the last use of one of FromYears.
	LastAt time.Time `json:"last_at,omitzero"`
	// DueAt is the deadline, or zero for at once.
	DueAt time.Time `json:"due_at,omitzero"`
	// RequestCerts are its request certificates, sorted by expiry, if the last of them has
	// expired or soon will. Otherwise the list is empty.
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
// target its users.
func (s *Service) Letters(ctx context.Context, y idp.Year) ([]Letter, error) {
	b, err := s.Board.Board(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the migration board: %w", err)
	}
	w := &writer{Service: s, boardAt: b.At, target: b.Target}
	letters := []Letter{}
	for _, line := range b.SPs {
		l, ok := w.newLetter(line, y)
		if !ok {
			continue
		}
		for _, r := range s.groupContacts(line.Contacts) {
			l.Lang, l.Contacts = r.lang, r.emails
			if l.Subject, l.Text, err = w.writeTexts(l); err != nil {
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
	boardAt time.Time
	target  idp.Year
	// revokedYear is a year that counts as revoked already, or "".
	revokedYear idp.Year
}

// findState returns the state of one of our years.
func (w *writer) findState(y idp.Year) rotation.State {
	e, _ := w.Years.Lookup(y, w.boardAt)
	switch {
	case w.revokedYear == "":
	case y == w.revokedYear:
		return rotation.Revoked
	case y == w.target: // perhaps not published yet
		return rotation.Published
	}
	return e.State
}

// findCert returns our certificate of a year, or nil.
func (w *writer) findCert(y idp.Year) *x509.Certificate {
	if e, ok := w.Years.Lookup(y, w.boardAt); ok {
		return e.Key.Cert
	}
	return nil
}

func (w *writer) findCertEnd(y idp.Year) (at time.Time) {
	if c := w.findCert(y); c != nil {
		at = c.NotAfter.UTC()
	}
	return at
}

// newLetter returns the content of the letter to one service provider, without its wording. It
// returns false if the service provider has nothing to do.
func (w *writer) newLetter(line migration.Line, year idp.Year) (Letter, bool) {
	l := Letter{SP: line.SP, Name: line.Name, FromYears: []idp.Year{}, RequestCerts: []migration.RequestCert{}}
	if !line.Active {
		return l, false
	}
	if w.target != "" && len(line.YearsToLeave) > 0 {
		l.FromYears, l.ToYear = line.YearsToLeave, w.target
	}
	for _, use := range line.Years {
		if slices.Contains(l.FromYears, use.Year) && use.LastAt.After(l.LastAt) {
			l.LastAt = use.LastAt
		}
	}
	if endAt := line.RequestCertsEndAt(); !endAt.IsZero() && !endAt.After(w.boardAt.Add(endingTime)) {
		l.RequestCerts = slices.Clone(line.Certs)
	}
	if year != "" && !slices.Contains(l.FromYears, year) || len(l.FromYears) == 0 && len(l.RequestCerts) == 0 {
		return l, false
	}
	l.DueAt = w.findDueDate(l)
	return l, true
}

// findDueDate returns the first date on which sign-ins or requests fail, or zero if they fail already.
func (w *writer) findDueDate(l Letter) (dueAt time.Time) {
	for _, year := range l.FromYears {
		at := w.findCertEnd(year)
		if !at.After(w.boardAt) {
			at = w.Years.Dates(year).RetireAt
		}
		if w.findState(year).IsOver() || !at.After(w.boardAt) {
			return time.Time{}
		}
		if dueAt.IsZero() || at.Before(dueAt) {
			dueAt = at
		}
	}
	if last := len(l.RequestCerts) - 1; len(l.FromYears) == 0 && !l.RequestCerts[last].Ended {
		dueAt = l.RequestCerts[last].EndAt
	}
	return dueAt
}

// letterData is the data of the letter's template.
type letterData struct {
	Letter
	Sender
	ID       string // of the service provider
	EntityID string
	// IsClosed and IsGrace report that the oldest of FromYears is closed, or its certificate ended.
	IsClosed, IsGrace   bool
	CertEndAt, RetireAt time.Time
	Changes             []change
	HintedURL           string // the metadata URL with the SP's hint
	PEM, SHA256         string
	NewCertEndAt        time.Time
	LastCert            migration.RequestCert // the certificate that ends last
}

// change is one line of the list of changes.
type change struct {
	Kind string // auth, logout, remotelogout, metadata or certificate
	Old  []string
	New  string
}

// writeTexts returns a letter's subject and text.
func (w *writer) writeTexts(l Letter) (subject, text string, err error) {
	data := letterData{Letter: l, Sender: w.newSender(l.Lang), ID: cleanText(string(l.SP)), EntityID: string(w.IdP.EntityID())}
	data.Name = cmp.Or(cleanText(l.Name), data.ID)
	data.RequestCerts = slices.Clone(l.RequestCerts)
	for i, c := range data.RequestCerts {
		data.RequestCerts[i].SHA256 = formatFingerprint(c.SHA256)
		data.LastCert = data.RequestCerts[i]
	}
	if len(l.FromYears) == 0 {
		return render(l.Lang, "requestcert.txt", data)
	}
	first := l.FromYears[0]
	data.CertEndAt, data.RetireAt = w.findCertEnd(first), w.Years.Dates(first).RetireAt
	data.IsClosed, data.IsGrace = w.findState(first).IsOver(), !data.CertEndAt.After(w.boardAt)
	if l.ToYear != "" {
		data.Changes = w.listChanges(l.FromYears, l.ToYear)
		data.HintedURL = w.IdP.MetadataURL(l.ToYear) + "?sp=" + url.QueryEscape(string(l.SP))
	}
	if c := w.findCert(w.target); c != nil {
		data.PEM, data.SHA256, data.NewCertEndAt = strings.TrimSpace(certs.EncodePEM(c)), formatFingerprint(certs.CertSHA256(c)), c.NotAfter.UTC()
	}
	if slices.ContainsFunc(l.FromYears, func(y idp.Year) bool { return w.findState(y) == rotation.Revoked }) {
		return render(l.Lang, "revoked.txt", data)
	}
	return render(l.Lang, "move.txt", data)
}

// listChanges returns the changes of URLs from some years to another.
func (w *writer) listChanges(oldYears []idp.Year, target idp.Year) (changes []change) {
	for _, k := range []struct {
		kind string
		url  func(idp.Year) string
	}{
		{"auth", w.IdP.AuthnURL}, {"logout", w.IdP.LogoutURL}, {"remotelogout", w.IdP.RemoteLogoutURL},
		{"metadata", w.IdP.MetadataURL}, {"certificate", w.IdP.CertificateURL},
	} {
		c := change{Kind: k.kind, New: k.url(target)}
		for _, y := range oldYears {
			c.Old = append(c.Old, k.url(y))
		}
		changes = append(changes, c)
	}
	return changes
}
