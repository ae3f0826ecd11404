package rotation

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/durable"
	"vernal/idp/notify"
	"vernal/idp/shellquote"
)

func (a *commands) reportCommand() *cobra.Command {
	var req ops.ReportRequest
	var year, dir string
	c := &cobra.Command{
		Use:   "report [--year YEAR] [--sp ENTITY_ID] [--out DIR] [--send] [--dry-run]",
		Short: "Write notices to the service providers that must act",
		Long: `Write the notice for every service provider that must act: it uses an
older year, and there is a newer one to move to, or its own request certificate
ends within 60 days and no later one is registered. The notice says what to
change, from which URL to which, our new certificate and its SHA-256, and by
when. By default the notices are printed. --out writes a file for each. --send
mails them to the contacts of the service providers, and lists those without an
email address. --dry-run lists what each service provider must do, by when, and
to whom its notice goes. Notices are in the first of the configured languages; a
contact that says another one (es:web@agency.example) gets its own.`,
		Example: `    vernal rotation report --year 2026
    To: web@agency.example
    Subject: Agency sign-in: change the sign-in settings of Records before 1 April 2027

    To those who look after Records (https://records.agency.example):
    …

    vernal rotation report --dry-run
    SERVICE PROVIDER               MUST DO            BY          RECIPIENTS          LANGUAGE
    https://records.agency.example move 2026 -> 2027  2027-04-01  web@agency.example  en

    vernal rotation report --send
    SERVICE PROVIDER               SENT TO             NOT SENT
    https://records.agency.example web@agency.example  -
    https://old.agency.example     -                   no contact with an email address`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if year != "" {
				if req.Year, err = parseYearArg(c, year); err != nil {
					return err
				}
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.Report, req, func(report ops.RotationReport) error {
				return a.printReport(report, req, dir)
			})
		},
	}
	c.Flags().StringVar(&year, "year", "", "those that use this `YEAR` alone")
	c.Flags().StringVar((*string)(&req.SP), "sp", "", "the one of this `ENTITY_ID` alone")
	c.Flags().StringVar(&dir, "out", "", "write a file for each into this `DIR`, which is made if it does not exist")
	c.Flags().BoolVar(&req.Send, "send", false, "mail them to the contacts")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "send and write nothing, list to whom and where")
	a.CompleteFlag(c, "year", cli.FindYears)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
	return c
}

// printReport prints or writes the notices, or reports that they were sent.
func (a *commands) printReport(r ops.RotationReport, req ops.ReportRequest, dir string) error {
	if len(r.Notices) == 0 {
		a.Say("no service provider has to act")
	}
	if r.DryRun {
		a.Say("dry run: nothing was sent or written")
	}
	var files []string
	var err error
	if dir != "" {
		if files, err = writeNotices(dir, r); err != nil {
			return err
		}
	}
	switch {
	case a.JSON:
		err = a.PrintJSON(r)
	case req.Send:
		err = a.printSent(r)
	case r.DryRun:
		err = a.printRecipients(r, files)
	case dir != "":
		for _, f := range files {
			fmt.Fprintln(a.Out, f)
		}
	default:
		for i, l := range r.Notices {
			if i > 0 {
				fmt.Fprintf(a.Out, "\n%s\n\n", strings.Repeat("=", 72))
			}
			printLetter(a.Out, l)
		}
	}
	return cmp.Or(err, a.sumUpSent(r))
}

// printRecipients lists for each service provider its duties, their deadline, and the recipients
// of its notice. files are those of the notices, empty if none would be written.
func (a *commands) printRecipients(r ops.RotationReport, files []string) error {
	head := []string{"SERVICE PROVIDER", "MUST DO", "BY", "RECIPIENTS", "LANGUAGE"}
	if len(files) > 0 {
		head = append(head, "FILE")
	}
	var rows [][]string
	for i, l := range r.Notices {
		to := cli.ReplaceEmpty(strings.Join(l.Contacts, ", "))
		// The notices of a service provider in several languages follow one another.
		if last := len(rows) - 1; last >= 0 && r.Notices[i-1].SP == l.SP {
			rows[last][3] += ", " + to
			rows[last][4] += ", " + string(l.Lang)
			if len(files) > 0 {
				rows[last][5] += ", " + files[i]
			}
			continue
		}
		row := []string{string(l.SP), listDuties(l), dueText(l), to, string(l.Lang)}
		if len(files) > 0 {
			row = append(row, files[i])
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	return cli.WriteTable(a.Out, head, rows)
}

// listDuties describes the duties of a service provider in a few words.
func listDuties(l notify.Letter) string {
	var all []string
	if len(l.FromYears) > 0 {
		all = append(all, fmt.Sprintf("move %s -> %s", cli.JoinNames(l.FromYears, ", "), l.ToYear))
	}
	if n := len(l.RequestCerts); n > 0 {
		sha := l.RequestCerts[n-1].SHA256
		all = append(all, "replace request certificate "+sha[:min(16, len(sha))])
	}
	return strings.Join(all, "; ")
}

// dueText returns the deadline of a service provider.
func dueText(l notify.Letter) string {
	if l.DueAt.IsZero() {
		return "now"
	}
	return cli.FormatDay(l.DueAt)
}

// printLetter writes a notice with its head.
func printLetter(w io.Writer, l notify.Letter) {
	to := cmp.Or(strings.Join(l.Contacts, ", "), "(no contact)")
	fmt.Fprintf(w, "To: %s\nSubject: %s\n\n%s", to, l.Subject, l.Text)
}

// printSent lists the recipients of the notices.
func (a *commands) printSent(r ops.RotationReport) error {
	if len(r.Sent) == 0 {
		return nil
	}
	return cli.WriteTextTable(a.Out, []string{"SERVICE PROVIDER", "SENT TO", "NOT SENT"}, r.Sent, func(s notify.LetterResult) []string {
		not := "-"
		var failed []string
		for _, f := range s.Failed {
			failed = append(failed, f.To+": "+f.Reason)
		}
		switch {
		case len(failed) > 0:
			not = strings.Join(failed, "; ")
		case len(s.To) == 0:
			not = "no contact with an email address"
		}
		return []string{string(s.SP), cli.ReplaceEmpty(strings.Join(s.To, ", ")), not}
	})
}

// sumUpSent sums up the notices sent, and returns an error if one was not.
func (a *commands) sumUpSent(r ops.RotationReport) error {
	sent, failed := 0, 0
	for _, s := range r.Sent {
		switch {
		case len(s.Failed) > 0:
			failed++
		case len(s.To) > 0:
			sent++
		default:
			a.Say("no contact: print it with vernal rotation report --sp %s", shellquote.Quote(string(s.SP)))
		}
	}
	if len(r.Sent) > 0 && !r.DryRun {
		a.Say("%s of %d sent", cli.FormatCount(sent, "notice"), len(r.Sent))
	}
	if failed > 0 {
		return fmt.Errorf("%s not sent to every recipient", cli.FormatCount(failed, "notice"))
	}
	return nil
}

// writeNotices writes a file for each notice and returns the file names, which contain the
// language if a service provider gets several. The files contain email addresses, so only
// the owner can read them. A second report on the same day replaces the files of the first.
func writeNotices(dir string, r ops.RotationReport) ([]string, error) {
	if !r.DryRun {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder: %w", err)
		}
	}
	var files []string
	several := map[idp.EntityID]int{}
	for _, l := range r.Notices {
		several[l.SP]++
	}
	for _, l := range r.Notices {
		name := noticeFile(l.SP, r.At)
		if several[l.SP] > 1 {
			name += "-" + string(l.Lang)
		}
		file := filepath.Join(dir, name+".txt")
		files = append(files, file)
		if r.DryRun {
			continue
		}
		var text bytes.Buffer
		printLetter(&text, l)
		if err := durable.Replace(file, text.Bytes()); err != nil {
			return files, fmt.Errorf("write the notice for %s: %w", l.SP, err)
		}
	}
	return files, nil
}

// noticeFile returns a readable and unique file name for a service provider, without extension.
func noticeFile(id idp.EntityID, at time.Time) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.TrimPrefix(strings.TrimPrefix(string(id), "https://"), "http://")), "-.")
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s-%s-%s", at.UTC().Format(time.DateOnly), name[:min(len(name), 80)], hex.EncodeToString(sum[:4]))
}

// printRevocation prints which service providers must act after a year is revoked, and the
// notice for them.
func (a *commands) printRevocation(r *notify.Revocation) error {
	if r == nil {
		return nil
	}
	if len(r.MustAct) == 0 {
		a.Say("no recorded use of it: send the notice to service providers that are not on the migration board too")
	} else {
		err := cli.WriteList(a.Out, []string{"MUST ACT", "NAME", "LAST USE", "CONTACTS"}, r.MustAct, func(u notify.User) []string {
			return []string{string(u.SP), u.Name, cli.FormatTime(u.LastAt), cli.ReplaceEmpty(strings.Join(u.Contacts, ", "))}
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(a.Out)
	}
	fmt.Fprintf(a.Out, "Subject: %s\n\n%s", r.Subject, r.Text)
	return nil
}
