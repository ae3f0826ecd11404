package notify

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/templates"
)

// width is where lines are broken.
const width = 72

// render fills in a text and lays it out: its first line is the subject.
func render(lang templates.Lang, name string, data any) (subject, text string, err error) {
	var out bytes.Buffer
	if err := texts[lang].ExecuteTemplate(&out, name, data); err != nil {
		return "", "", fmt.Errorf("write %s in %q: %w", name, lang, err)
	}
	subject, text, _ = strings.Cut(strings.TrimSpace(out.String()), "\n")
	return plain(subject), layOut(text), nil
}

// letterData is what a letter says.
type letterData struct {
	Name, ID          string // of the service provider; "" for a letter to all
	Us, BaseURL       string
	EntityID, Contact string
	From              []idp.Year
	To                idp.Year
	LastAt, DueAt     time.Time
	// Revoked, Closed and Grace say how the oldest of From stands: not to be
	// trusted, closed, or with an ended certificate.
	Revoked, Closed, Grace bool
	CertEndAt, RetireAt    time.Time
	Changes                []change
	Hinted                 string // the metadata address with the SP's hint
	PEM, SHA256            string
	CertUntil              time.Time
	// RequestCerts are those of the service provider, LastCert the one that ends last.
	RequestCerts []endingCert
	LastCert     endingCert
}

type endingCert struct {
	SHA256 string
	EndAt  time.Time
	Ended  bool
}

// words are a letter's subject and text.
func (w *writer) words(l Letter) (subject, text string, err error) {
	d := letterData{
		Name: plain(l.Name), ID: plain(string(l.SP)), Us: plain(w.Name), BaseURL: w.IdP.BaseURL, EntityID: string(w.IdP.EntityID()),
		From: l.From, To: l.To, LastAt: l.LastAt, DueAt: l.DueAt,
	}
	if d.Name == "" {
		d.Name = d.ID
	}
	d.Contact = w.IdP.Contact
	for _, c := range l.RequestCerts {
		d.LastCert = endingCert{colons(c.SHA256), c.EndAt, c.Ended}
		d.RequestCerts = append(d.RequestCerts, d.LastCert)
	}
	if len(l.From) == 0 {
		return render(l.Lang, "requestcert.txt", d)
	}
	for _, from := range l.From {
		d.Revoked = d.Revoked || w.years[from].state == rotation.Revoked
	}
	first := w.years[l.From[0]]
	d.Closed, d.Grace = first.state.Over(), !first.certEndAt.After(w.at)
	d.CertEndAt, d.RetireAt = first.certEndAt, first.retireAt
	if l.To != "" {
		d.Changes = w.changes(l.From, l.To)
		d.Hinted = w.IdP.BaseURL + "/api/saml/metadata" + string(l.To) + "?sp=" + url.QueryEscape(string(l.SP))
	}
	if w.cert != nil {
		d.PEM, d.SHA256, d.CertUntil = strings.TrimSpace(certs.EncodePEM(w.cert)), colons(certs.CertSHA256(w.cert)), w.cert.NotAfter.UTC()
	}
	if d.Revoked {
		return render(l.Lang, "revoked.txt", d)
	}
	return render(l.Lang, "move.txt", d)
}

// layOut breaks the lines of paragraphs, leaves those that are indented or in
// a certificate as they are, and drops doubled empty lines.
func layOut(text string) string {
	var out []string
	var words []string
	flush := func() {
		line := ""
		for _, word := range words {
			switch {
			case line == "":
				line = word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				out = append(out, line)
				line = word
			default:
				line += " " + word
			}
		}
		if line != "" {
			out = append(out, line)
		}
		words = nil
	}
	inPEM := false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " ")
		pem := strings.HasPrefix(line, "-----")
		switch {
		case inPEM, pem, strings.HasPrefix(line, " "):
			flush()
			out = append(out, line)
			inPEM = inPEM != pem
		case line == "":
			flush()
			if len(out) > 0 && out[len(out)-1] != "" {
				out = append(out, "")
			}
		default:
			// Only at spaces: French has some that are not to be broken at.
			words = append(words, strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })...)
		}
	}
	flush()
	return strings.TrimSpace(strings.Join(out, "\n")) + "\n"
}

// plain makes a foreign text harmless in a line of ours: one line, nothing
// invisible, nothing that turns the direction, not too long.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// colons writes a fingerprint in hex as openssl does.
func colons(hex string) string {
	hex = strings.ToUpper(plain(hex))
	if len(hex) != 64 {
		return hex
	}
	var pairs []string
	for i := 0; i < len(hex); i += 2 {
		pairs = append(pairs, hex[i:i+2])
	}
	return strings.Join(pairs, ":")
}
