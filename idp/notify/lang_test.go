package notify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp/notify"
	"vernal/templates"
)

// TestLetterUsesContactsLanguage checks that a contact can begin with its language, that
// others get the installation's language, and that each language is a letter of its own.
func TestLetterUsesContactsLanguage(t *testing.T) {
	t.Parallel()
	const english, spanish, french = "change the sign-in settings", "cambie la configuración", "modifiez la configuration"
	tests := []struct {
		name     string
		langs    []templates.Lang
		contacts []string
		want     []string // of each letter: language, contacts, a part of its subject
	}{
		{"nothing said", nil, []string{"ann@a.example"}, []string{"en ann@a.example " + english}},
		{"the installation's", []templates.Lang{"fr", "en"}, []string{"ann@a.example"}, []string{"fr ann@a.example " + french}},
		{"no email address", []templates.Lang{"es"}, []string{"+1 555 0100"}, []string{"es  " + spanish}},
		{"one other", nil, []string{"es:ann@a.example"}, []string{"es ann@a.example " + spanish}},
		{"several", []templates.Lang{"en", "es", "fr"},
			[]string{"FR:mailto:ann@a.example", "bob@a.example", "es: cy@a.example", "fr:dee@a.example"},
			[]string{"en bob@a.example " + english, "fr ann@a.example,dee@a.example " + french, "es cy@a.example " + spanish}},
		{"twice", nil, []string{"es:ann@a.example", "ann@a.example"}, []string{"es ann@a.example " + spanish}},
		{"no language of ours", nil, []string{"de:ann@a.example"}, []string{"en  " + english}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, "2027-02-10")
			w.add("urn:a", tt.contacts)
			w.use("urn:a", "2026")
			s := w.server()
			s.Langs = tt.langs
			letters, err := s.Letters(t.Context(), "")
			ok(t, err)
			var got []string
			for i, l := range letters {
				line := string(l.Lang) + " " + strings.Join(l.Contacts, ",") + " "
				if i < len(tt.want) {
					_, subject, _ := strings.Cut(tt.want[i], line)
					if strings.Contains(l.Subject, subject) {
						line += subject
					}
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("letters (-want +got):\n%s", diff)
			}
			_, err = s.Send(t.Context(), letters, "cli", false)
			ok(t, err)
			mails := map[string]string{}
			for _, m := range w.mail.Mails() {
				mails[m.To[0]] = m.Header("Subject") + "\n" + m.Text()
			}
			want := map[string]string{}
			for _, l := range letters {
				for _, c := range l.Contacts {
					want[c] = l.Subject + "\n" + l.Text
				}
			}
			if diff := cmp.Diff(want, mails); diff != "" {
				t.Errorf("mails (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOperatorsGetDefaultLanguage checks that mails and webhook texts for operators are in
// the installation's first language. The machine-readable fields of the webhook are the same
// in each.
func TestOperatorsGetDefaultLanguage(t *testing.T) {
	t.Parallel()
	for lang, want := range map[templates.Lang]string{
		"en": "our signing certificate (2026) ends in 7 days, 1 service provider not moved",
		"es": "nuestro certificado de firma (2026) vence en 7 días, sin migrar: 1 proveedor de servicios",
		"fr": "notre certificat de signature (2026) expire dans 7 jours, sans migration : 1 fournisseur de services",
	} {
		t.Run(string(lang), func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t, "2027-02-28")
			w.add("urn:a", nil)
			w.use("urn:a", "2026")
			s := w.server()
			s.Langs = []templates.Lang{lang, "en"}
			log := strings.Join(w.run("2027-03-26", s), "\n")
			if !strings.Contains(log, want) {
				t.Errorf("no %q in\n%s", want, log)
			}
			var kinds []notify.Kind
			for _, n := range w.hook.notices() {
				if strings.Contains(n.Subject, want) {
					kinds = append(kinds, n.Kind)
				}
			}
			if diff := cmp.Diff([]notify.Kind{notify.CertEnds}, kinds); diff != "" {
				t.Errorf("webhook (-want +got):\n%s", diff)
			}
		})
	}
}
