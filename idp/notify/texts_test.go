package notify

import (
	"os"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
	"vernal/templates"
)

// TestEveryTextIsTranslated writes each text in each language with all its values and
// with nothing, and looks for what was forgotten.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC)
	english := []string{" the ", " and ", " of ", " is ", "August", "days", "Sign-in", "Metadata\n", "service provider"}
	ended, ends := migration.RequestCert{SHA256: "AA", EndAt: at, Ended: true}, migration.RequestCert{SHA256: "BB", EndAt: at}
	letters := []letterData{
		{Letter: Letter{Name: "Record", FromYears: []idp.Year{"2025", "2026"}, ToYear: "2027", LastAt: at, DueAt: at, RequestCerts: []migration.RequestCert{ended, ends}},
			ID: "urn:a", CertEndAt: at, RetireAt: at.AddDate(0, 3, 0), Sender: Sender{Support: "help@example.gov", Organization: "Agency"}, LastCert: ends,
			PEM: "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----", HintedURL: "https://x",
			Changes: []change{{"auth", []string{"a"}, "b"}, {"logout", nil, "b"}, {"remotelogout", nil, "b"}, {"metadata", nil, "b"}, {"certificate", nil, "b"}}},
		{Letter: Letter{FromYears: []idp.Year{"2026"}, DueAt: at, RequestCerts: []migration.RequestCert{ends}}, IsGrace: true, CertEndAt: at, RetireAt: at},
		{Letter: Letter{FromYears: []idp.Year{"2026"}, RequestCerts: []migration.RequestCert{ended}}, IsClosed: true, LastCert: ended},
		{Letter: Letter{Name: "Record", FromYears: []idp.Year{"2026"}, RequestCerts: []migration.RequestCert{ended}}, CertEndAt: at},
	}
	operators := []operatorData{
		{Notice: Notice{Year: "2026", DueAt: at}, Days: 1, IsByHand: true, MustLeave: true, Names: []string{"urn:a"}, Count: 1, MoreCount: 2,
			Certs: []requestCert{{SP: "urn:a", EndAt: at, Ended: true}, {SP: "urn:b", EndAt: at, Days: 7}}, MoreCertCount: 3},
		{Notice: Notice{Year: "2026", DueAt: at}, Days: 30, Names: []string{"urn:a"}, Count: 2},
		{},
	}
	for _, step := range []rotation.StepKind{"create", "publish", "prefer", "retire", "destroy"} {
		n := Notice{Year: "2026", Step: step, DueAt: at}
		operators = append(operators, operatorData{Notice: n}, operatorData{Notice: n, Days: 14, IsConditional: true, Names: []string{"urn:a"}, Count: 1})
	}
	for _, code := range []rotation.AttentionCode{rotation.StepFailed, rotation.StepHeld, rotation.StepOverdue, rotation.KeyUnusable, rotation.ClockUntrusted, rotation.RestoreHeld,
		rotation.BackupFailed, rotation.BackupOld} {
		operators = append(operators, operatorData{Notice: Notice{Year: "2026"}, Code: code})
	}
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("../../templates/mails/en")
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range set.Langs() {
		for _, file := range files {
			name := file.Name()
			if strings.HasPrefix(name, "user_") {
				continue // tested in package usermail
			}
			var all []any
			for _, d := range letters {
				d.Us, d.BaseURL, d.ID, d.LastAt = "Example", "https://x", "urn:a", at
				all = append(all, d)
			}
			if strings.HasPrefix(name, "operator_") {
				all = nil
				for _, d := range operators {
					d.Us, d.BaseURL, d.ID, d.Cause, d.Waits, d.Reason = "Example", "https://x", "x/1", "wieso", "worauf", "warum"
					all = append(all, d)
				}
			}
			for _, d := range all {
				subject, text, err := render(lang, name, d)
				if err != nil {
					t.Errorf("%s: %v", lang, err)
					continue
				}
				for _, bad := range english {
					if body := " " + subject + "\n" + text; lang != "en" && strings.Contains(body, bad) {
						t.Errorf("%s/%s has %q:\n%s", lang, name, bad, body)
					}
				}
				for _, bad := range []string{"<no value>", "%!", "  \n", " .", " ,", "::", ".."} {
					if strings.Contains(subject+"\n"+text, bad) {
						t.Errorf("%s/%s has %q:\n%s\n%s", lang, name, bad, subject, text)
					}
				}
			}
		}
	}
}
