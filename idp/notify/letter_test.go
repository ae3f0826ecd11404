package notify_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/notify"
	"vernal/idp/rotation"
	"vernal/idp/smtptest"
)

// use lets a service provider use a year now.
func (w *deployment) use(id idp.EntityID, y idp.Year) {
	w.Board.Usage.Use(idp.Use{SP: id, Year: y, At: w.Clock.Now(), IssuedAt: w.Clock.Now()})
}

func (w *deployment) letters(y idp.Year) []notify.Letter {
	w.t.Helper()
	l, err := w.server().Letters(w.t.Context(), y)
	ok(w.t, err)
	return l
}

// TestLettersGoToUnmovedProviders checks the recipients, subjects and deadlines of letters.
func TestLettersGoToUnmovedProviders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		now  string
		act  func(w *deployment) // before now, on 2027-01-20, where 2026 is preferred
		want string              // of the letter to a: "from>to due subject"; "" for none
	}{
		{"nothing to move to", "2027-01-31", func(w *deployment) { w.use("urn:a", "2026") }, ""},
		{"never seen", "2027-03-15", func(*deployment) {}, ""},
		{"published", "2027-02-10", func(w *deployment) { w.use("urn:a", "2026") },
			"2026>2027 2027-04-01 change the sign-in settings of Service urn:a before 1 April 2027"},
		{"preferred", "2027-03-15", func(w *deployment) { w.use("urn:a", "2026") },
			"2026>2027 2027-04-01 change the sign-in settings of Service urn:a before 1 April 2027"},
		{"in grace", "2027-04-15", func(w *deployment) { w.use("urn:a", "2026") },
			"2026>2027 2027-07-01 change the sign-in settings of Service urn:a before 1 July 2027"},
		{"of another year", "2027-03-15", func(w *deployment) { w.use("urn:b", "2026") }, ""},
		{"revoked", "2027-01-21", func(w *deployment) {
			w.use("urn:a", "2026")
			_, err := w.Rotation.Take(w.t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "tape lost in the car of Bartholomew"}, "test", false)
			ok(w.t, err)
		}, "2026>2027 - URGENT: sign-ins to Service urn:a through Example sign-in fail until you change its settings"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, "2027-01-20")
			w.add("urn:a", nil)
			w.add("urn:b", nil)
			tt.act(w)
			s := w.server()
			s.Webhook, s.Notify = nil, nil
			w.run(tt.now, s)
			got := ""
			for _, l := range w.letters("") {
				if l.SP != "urn:a" {
					continue
				}
				due := "-"
				if !l.DueAt.IsZero() {
					due = l.DueAt.Format(time.DateOnly)
				}
				got = string(l.FromYears[0]) + ">" + string(l.ToYear) + " " + due + " " + strings.TrimPrefix(l.Subject, "Example sign-in: ")
				wantLetter(t, w, l)
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// wantLetter holds a letter against what a reader needs: the addresses, the
// certificate and its fingerprint, and lines of a length that mail likes.
func wantLetter(t *testing.T, w *deployment, l notify.Letter) {
	t.Helper()
	to := string(l.ToYear)
	for _, want := range []string{
		baseURL + "/api/saml/auth2026\n", "new  " + baseURL + "/api/saml/auth" + to + "\n",
		"new  " + baseURL + "/api/saml/logout" + to + "\n", "new  " + baseURL + "/api/saml/remotelogout" + to + "\n",
		baseURL + "/api/saml/metadata2026\n", "new  " + baseURL + "/api/saml/metadata" + to + "\n",
		"new  " + baseURL + "/api/saml/certificate" + to + ".pem\n", baseURL + "/api/saml/metadata" + to + "?sp=urn%3Aa\n",
		"entity ID does not change: " + baseURL + "/api/saml\n", "last on 20 January 2027", "help@example.gov",
	} {
		if !strings.Contains(l.Text, want) && !strings.Contains(strings.ReplaceAll(l.Text, "\n", " "), strings.ReplaceAll(want, "\n", " ")) {
			t.Errorf("%q is not in\n%s", want, l.Text)
		}
	}
	if strings.Contains(l.Text, "Bartholomew") {
		t.Errorf("the letter says too much:\n%s", l.Text)
	}
	block, _ := pem.Decode([]byte(l.Text[strings.Index(l.Text, "-----BEGIN"):]))
	if block == nil {
		t.Fatalf("no certificate in\n%s", l.Text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	ok(t, err)
	entry, _ := w.Years.Lookup(l.ToYear, w.Clock.Now())
	if !cert.Equal(entry.Key.Cert) {
		t.Error("it is not the certificate of " + to)
	}
	for line := range strings.SplitSeq(l.Text, "\n") {
		if len(line) > 76 && !strings.HasPrefix(line, "  ") && !strings.Contains(line, "https://") {
			t.Errorf("a long line: %q", line)
		}
	}
}

// TestLetterWarnsOfEndingRequestCert checks that a letter mentions a request certificate
// that expires, alone or with a move, unless another one has replaced it.
func TestLetterWarnsOfEndingRequestCert(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2026-11-22")
	w.add("urn:ends", nil, "2026-12-22")
	w.add("urn:ended", nil, "2026-11-01")
	w.add("urn:lasts", nil, "2027-02-01")
	w.add("urn:changed", nil, "2026-12-22", "2029-01-01")
	w.add("urn:replaced", nil, "2026-11-01", "2029-01-01")
	w.Board.Usage.Use(idp.Use{SP: "urn:replaced", Year: "2026", At: w.Clock.Now(), IssuedAt: w.Clock.Now(), CertSHA256: w.sha("urn:replaced", date("2026-11-01"))})
	got := map[idp.EntityID]string{}
	for _, l := range w.letters("") {
		got[l.SP] = l.Subject
		if strings.Contains(l.Text, "BEGIN CERTIFICATE") || len(l.FromYears) != 0 {
			t.Errorf("%s is notified to move", l.SP)
		}
	}
	want := map[idp.EntityID]string{
		"urn:ends":  "Example sign-in: the request certificate of Service urn:ends ends on 22 December 2026",
		"urn:ended": "Example sign-in: the request certificate of Service urn:ended ended on 1 November 2026",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
}

// sha returns the fingerprint of the request certificate that expires at end.
func (w *deployment) sha(id idp.EntityID, end time.Time) string {
	w.t.Helper()
	p, err := w.Registry.Lookup(w.t.Context(), id)
	ok(w.t, err)
	for _, c := range p.RequestCerts {
		if c.NotAfter.Equal(end) {
			return p.CertSHA256(c)
		}
	}
	w.t.Fatalf("%s has no certificate that ends on %s", id, end)
	return ""
}

// TestHostileNameIsHarmlessInLetter checks that the name of a service provider, which is
// untrusted, does no harm.
func TestHostileNameIsHarmlessInLetter(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.add("urn:a", nil)
	_, err := w.Bolt.UpdateProvider(t.Context(), idp.ProviderUpdate{ID: "urn:a", Change: func(p *idp.ServiceProvider) error {
		p.Name = "A\r\nBcc: x@evil.example\n\n-----BEGIN CERTIFICATE-----\n\u202eevil\u200b\x1b[31m\x9b " + strings.Repeat("x", 5000)
		return nil
	}})
	ok(t, err)
	w.use("urn:a", "2026")
	l := w.letters("")[0]
	if strings.ContainsAny(l.Subject, "\r\n\u202e\u200b\x1b\u009b") || len(l.Subject) > 1000 || strings.ContainsAny(l.Text, "\r\u202e\u200b\x1b") {
		t.Errorf("%q", l.Subject)
	}
	if strings.Contains(l.Text, "\n-----BEGIN CERTIFICATE-----\nevil") || strings.Contains(l.Text, "\nBcc:") {
		t.Errorf("the name has lines of its own:\n%s", l.Text)
	}
}

// TestLettersGoToMailContactsOnly checks that letters go only to contacts that are email
// addresses. The audit record contains their number and no address.
func TestLettersGoToMailContactsOnly(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.mail, w.mailAt = newMailbox(t, &smtptest.Server{Refuse: func(to string) string {
		if to == "gone@a.example" {
			return "550 gone"
		}
		return ""
	}})
	w.add("urn:a", []string{"ann@a.example", "mailto:bob@a.example", "MAILTO:ann@a.example", "gone@a.example", "+1 555 0100", "x <y@a.example>"})
	w.add("urn:b", []string{"the help desk"})
	w.use("urn:a", "2026")
	w.use("urn:b", "2026")
	s := w.server()
	letters := w.letters("")
	want := []notify.LetterResult{
		{SP: "urn:a", To: []string{"ann@a.example", "bob@a.example", "gone@a.example"}, Failed: []notify.FailedMail{}},
		{SP: "urn:b", To: []string{}, Failed: []notify.FailedMail{}},
	}
	got, err := s.Send(t.Context(), letters, "cli", true)
	ok(t, err)
	if diff := cmp.Diff(want, got); diff != "" || len(w.mail.Mails()) != 0 {
		t.Errorf("dry run: %d mails (-want +got):\n%s", len(w.mail.Mails()), diff)
	}
	want[0].To, want[0].Failed = want[0].To[:2], []notify.FailedMail{{To: "gone@a.example", Reason: "the mail server refused it (550)"}}
	got, err = s.Send(t.Context(), letters, "cli", false)
	ok(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mails := w.mail.Mails()
	if len(mails) != 2 || mails[0].Text() != letters[0].Text || mails[0].Header("Reply-To") != "" {
		t.Fatalf("mails %+v", mails)
	}
	var on []idp.AuditEvent
	records, err := audit.Records(t.Context(), w.Bolt, 0, 1000)
	ok(t, err)
	for _, r := range records {
		if r.Kind == "rotation.notice" {
			on = append(on, r.AuditEvent)
		}
	}
	wantOn := []idp.AuditEvent{{Kind: "rotation.notice", Outcome: "failed", Actor: "cli", SP: "urn:a", Year: "2027",
		Detail: map[string]string{"sent": "2", "failed": "1"}}}
	if diff := cmp.Diff(wantOn, on); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	s.Mail = nil
	if _, err := s.Send(t.Context(), letters, "cli", false); !errors.Is(err, notify.ErrNoMail) {
		t.Errorf("without mail: %v", err)
	}
}

// TestRevocationNoticeNamesWhoMustAct checks that a revocation names the service providers
// that must act, including those that have begun to move, and contains a text for all of
// them that names none.
func TestRevocationNoticeNamesWhoMustAct(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.add("urn:a", []string{"ann@a.example"})
	w.add("urn:half", nil)
	w.add("urn:moved", nil)
	w.add("urn:idle", nil)
	w.use("urn:moved", "2026")
	w.Clock.Set(date("2027-02-25"))
	w.use("urn:a", "2026")
	w.Clock.Set(date("2027-02-26"))
	w.use("urn:half", "2026")
	w.Clock.Set(date("2027-02-27"))
	w.use("urn:half", "2027")
	w.use("urn:moved", "2027")
	_, err := w.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2026", Reason: "tape lost in the car of Bartholomew"}, "test", false)
	ok(t, err)
	r, err := w.server().Revocation(t.Context(), "2026", "2027")
	ok(t, err)
	want := []notify.User{
		{SP: "urn:half", Name: "Service urn:half", LastAt: date("2027-02-26"), Contacts: []string{}},
		{SP: "urn:a", Name: "Service urn:a", LastAt: date("2027-02-25"), Contacts: []string{"ann@a.example"}},
	}
	if diff := cmp.Diff(want, r.MustAct); diff != "" {
		t.Errorf("must act (-want +got):\n%s", diff)
	}
	for _, no := range []string{"urn:", "Bartholomew", "Service urn"} {
		if strings.Contains(r.Text, no) {
			t.Errorf("%q is in the notice to all:\n%s", no, r.Text)
		}
	}
	if !strings.Contains(r.Text, "REMOVE the certificate of 2026") || !strings.Contains(r.Text, "auth2027") || !strings.Contains(r.Text, "BEGIN CERTIFICATE") {
		t.Errorf("the notice lacks what to do:\n%s", r.Text)
	}
}

// TestRevokedNewestYearLeadsBack checks that the letters lead back to the older year if the
// newest one is revoked.
func TestRevokedNewestYearLeadsBack(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.add("urn:a", nil)
	w.use("urn:a", "2027")
	o, err := w.Rotation.Take(t.Context(), rotation.Step{Kind: rotation.StepRevoke, Year: "2027", Reason: "leaked"}, "test", false)
	ok(t, err)
	if o.After.Preferred != "2026" {
		t.Fatalf("%s is preferred", o.After.Preferred)
	}
	l := w.letters("2027")
	if len(l) != 1 || l[0].ToYear != "2026" || !strings.HasPrefix(l[0].Subject, "URGENT") {
		t.Fatalf("letters %+v", l)
	}
	for _, tt := range []struct{ days, want int }{{1, 1}, {15, 0}} { // it uses both until 14 days have passed
		w.Clock.Set(date("2027-02-10").AddDate(0, 0, tt.days))
		w.use("urn:a", "2026")
		if l := w.letters("2027"); len(l) != tt.want {
			t.Errorf("back on 2026, %d days after: %d letters", tt.days, len(l))
		}
	}
}
