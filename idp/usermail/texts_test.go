package usermail_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/usermail"
	"vernal/templates"
)

// kinds are all kinds of mail.
var kinds = []usermail.Kind{
	usermail.SignUp, usermail.SignUpKnown, usermail.Invitation, usermail.ResetPassword, usermail.ResetUnknown,
	usermail.AddEmail, usermail.AddEmailTaken, usermail.PrimaryChanged, usermail.Changed, usermail.NewDevice,
	usermail.Connected, usermail.InactiveSoon, usermail.DeletionPlanned, usermail.Deleted, usermail.ResetPlanned,
}

func TestEachKindHasText(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../../templates/mails/en/user_*.txt")
	ok(t, err)
	if len(names) != len(kinds)+1 { // with the foot
		t.Errorf("%d texts of %d kinds", len(names), len(kinds))
	}
}

// holes are the traces of a missing value in a line.
var holes = regexp.MustCompile(`\S {2}|\{\{|\}\}|<no value>|<nil>|: *[.,]|\s[.,)]|[,;]\.|\( *\)|0001|%!`)

// Every mail has a subject and no hole, with and without the facts that may be missing. It contains
// no email address but that of its recipient and of support.
func TestMailsHaveNoHoles(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	bare := newWriter("en")
	bare.IdP.Contact = ""
	at := time.Date(2031, 5, 1, 1, 5, 0, 0, time.UTC)
	full := usermail.Args{
		URL: "https://login.example.gov/link?token=x", Minutes: 30, Hours: 24, Days: 7, SP: "Tax portal",
		At: at, DueAt: at.AddDate(0, 0, 7), Browser: "Firefox", System: "Windows",
	}
	least := usermail.Args{Minutes: 1, Hours: 1, Days: 1, At: at, DueAt: at}
	changes := append([]idp.AuditKind{"", "user.of_a_newer_release", "user.remove_totp", "user.recovery_codes",
		"user.use_recovery_code", "user.add_email", "user.remove_email"}, usermail.ChangeKinds()...)
	for _, lang := range []templates.Lang{"en", "es", "fr"} {
		for _, kind := range kinds {
			for _, by := range []string{"user", "staff", "server"} {
				for _, change := range changes {
					if kind != usermail.Changed && change != "" {
						continue
					}
					for i, args := range []usermail.Args{full, least} {
						name := fmt.Sprintf("%s/%s/%s/%s/%d", lang, kind, by, change, i)
						args.By, args.Change, args.Email = by, change, "mallory@example.net"
						if kind == usermail.AddEmail {
							args.Email = "ada@example.gov"
						}
						if kind == usermail.Connected { // is always about a service
							args.SP = full.SP
						}
						if kind != usermail.DeletionPlanned { // is the only one whose link is optional
							args.URL = full.URL
						}
						m := usermail.Mail{Kind: kind, To: "ada@example.gov", Lang: lang, Args: args}
						w := d.writer
						if i == 1 {
							w = bare
						}
						subject, text, err := w.WriteMail(lang, "user_"+string(kind)+".txt", dataOf(m))
						if err != nil {
							t.Errorf("%s: %v", name, err)
							continue
						}
						if rest, ok := strings.CutPrefix(subject, "Example sign-in"); !ok || strings.Trim(rest, " \u00a0:") == "" {
							t.Errorf("%s: subject %q", name, subject)
						}
						for line := range strings.SplitSeq(subject+"\n"+text, "\n") {
							if hole := holes.FindString(strings.TrimLeft(line, " ")); hole != "" {
								t.Errorf("%s: %q in %q", name, hole, line)
							}
						}
						if strings.Contains(text, "mallory") || i == 1 && kind != usermail.AddEmail && strings.Contains(text, "@") {
							t.Errorf("%s: an email address of someone else in\n%s", name, text)
						}
					}
				}
			}
		}
	}
}

// A link is in each mail that is issued with one, on a line of its own.
func TestLinkIsOnLineOfItsOwn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const url = "https://login.example.gov/link?token=abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmn"
	for _, kind := range []usermail.Kind{usermail.SignUp, usermail.Invitation, usermail.ResetPassword, usermail.AddEmail, usermail.PrimaryChanged, usermail.DeletionPlanned} {
		for _, lang := range []templates.Lang{"en", "es", "fr"} {
			m := d.render(usermail.Mail{Kind: kind, To: "ada@example.gov", Lang: lang, Args: usermail.Args{URL: url}})
			if !strings.Contains(m.Text, "\n\n  "+url+"\n\n") {
				t.Errorf("%s/%s:\n%s", lang, kind, m.Text)
			}
		}
	}
}

// A mail in no language, or one that is not known, is in the first language of the installation.
func TestUnknownLanguageFallsBack(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.writer = newWriter("fr", "en")
	want := d.render(usermail.Mail{Kind: usermail.Deleted, To: "ada@example.gov", Lang: "fr"})
	english := d.render(usermail.Mail{Kind: usermail.Deleted, To: "ada@example.gov", Lang: "en"})
	if want.Subject == english.Subject || want.Text == english.Text {
		t.Fatal("the languages do not differ")
	}
	for _, lang := range []templates.Lang{"", "de", "../en"} {
		if got := d.render(usermail.Mail{Kind: usermail.Deleted, To: "ada@example.gov", Lang: lang}); got != want {
			t.Errorf("%q: %+v", lang, got)
		}
	}
}
