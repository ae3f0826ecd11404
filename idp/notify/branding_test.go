package notify_test

import (
	"strings"
	"testing"

	"vernal/templates"
)

// TestMailsNameOrganizationAndSupport checks that every mail ends with the organization and
// its support, in the language of the mail.
func TestMailsNameOrganizationAndSupport(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, "2027-02-10")
	w.add("urn:a", []string{"en:ann@a.example", "es:cy@a.example", "fr:dee@a.example"})
	w.use("urn:a", "2026")
	s := w.server()
	s.Langs = []templates.Lang{"fr", "en", "es"}
	s.Branding = &templates.Brand{Langs: map[templates.Lang]templates.Branding{}}
	for _, lang := range s.Langs {
		s.Branding.Langs[lang] = templates.Branding{
			Name: "Service " + string(lang), Organization: "Agency " + string(lang), SupportURL: "https://example.gov/" + string(lang), SupportEmail: "support@example.gov",
		}
	}
	letters, err := s.Letters(t.Context(), "")
	ok(t, err)
	if len(letters) != 3 {
		t.Fatalf("%d letters", len(letters))
	}
	for _, l := range letters {
		checkSender(t, string(l.Lang), l.Subject+"\n"+l.Text)
	}
	w.run("2027-02-11", s)
	mails := w.mail.Mails()
	if len(mails) == 0 {
		t.Fatal("no notice to the operators")
	}
	for _, m := range mails {
		checkSender(t, "fr", m.Text())
	}
}

func checkSender(t *testing.T, lang, text string) {
	t.Helper()
	for _, want := range []string{"Service " + lang, "Agency " + lang, "https://example.gov/" + lang, "support@example.gov"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in\n%s", lang, want, text)
		}
	}
}
