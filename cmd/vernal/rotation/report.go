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
email address. --dry-run lists the duties of each service provider, their deadline,
and the recipients of its notice. Notices are in the first of the configured
languages. A contact that names another one (es:web@agency.example) gets that one.`,
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
	c.Flags().StringVar(&year, "year", "", "only notices to service providers that use this `YEAR`")
	c.Flags().StringVar((*string)(&req.SP), "sp", "", "only the notice to the service provider `ENTITY_ID`")
	c.Flags().StringVar(&dir, "out", "", "write a file for each notice into this `DIR`, made if it does not exist")
	c.Flags().BoolVar(&req.Send, "send", false, "mail the notices to the contacts")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "send and write nothing, and list the recipients and files")
	a.CompleteFlag(c, "year", cli.FindYears)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
	return c
}

// printReport prints or writes the notices, or reports that they were sent.
func (a *commands) printReport(report ops.RotationReport, req ops.ReportRequest, dir string) error {
	if len(report.Notices) == 0 {
		a.Say("no service provider has to act")
	}
	if report.DryRun {
		a.Say("dry run: nothing was sent or written")
	}
	var files []string
	var err error
	if dir != "" {
		if files, err = writeNotices(dir, report); err != nil {
			return err
		}
	}
	switch {
	case a.JSON:
		err = a.PrintJSON(report)
	case req.Send:
		err = a.printSent(report)
	case report.DryRun:
		err = a.printRecipients(report, files)
	case dir != "":
		for _, f := range files {
			fmt.Fprintln(a.Out, f)
		}
	default:
		for i, l := range report.Notices {
			if i > 0 {
				fmt.Fprintf(a.Out, "\n%s\n\n", strings.Repeat("=", 72))
			}
			printLetter(a.Out, l)
		}
	}
	return cmp.Or(err, a.sumUpSent(report))
}

// printRecipients lists for each service provider its duties, their deadline, and the recipients
// of its notice. files are those of the notices, empty if none would be written.
func (a *commands) printRecipients(report ops.RotationReport, files []string) error {
	header := []string{"SERVICE PROVIDER", "MUST DO", "BY", "RECIPIENTS", "LANGUAGE"}
	if len(files) > 0 {
		header = append(header, "FILE")
	}
	var rows [][]string
	for i, letter := range report.Notices {
		recipients := cli.ReplaceEmpty(strings.Join(letter.Contacts, ", "))
		// The notices of a service provider in several languages follow one another.
		if last := len(rows) - 1; last >= 0 && report.Notices[i-1].SP == letter.SP {
			rows[last][3] += ", " + recipients
			rows[last][4] += ", " + string(letter.Lang)
			if len(files) > 0 {
				rows[last][5] += ", " + files[i]
			}
			continue
		}
		row := []string{string(letter.SP), listDuties(letter), dueText(letter), recipients, string(letter.Lang)}
		if len(files) > 0 {
			row = append(row, files[i])
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	return cli.WriteTable(a.Out, header, rows)
}

// listDuties describes the duties of a service provider in a few words.
func listDuties(l notify.Letter) string {
	var duties []string
	if len(l.FromYears) > 0 {
		duties = append(duties, fmt.Sprintf("move %s -> %s", cli.JoinNames(l.FromYears, ", "), l.ToYear))
	}
	if n := len(l.RequestCerts); n > 0 {
		sha := l.RequestCerts[n-1].SHA256
		duties = append(duties, "replace request certificate "+sha[:min(16, len(sha))])
	}
	return strings.Join(duties, "; ")
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
	recipients := cmp.Or(strings.Join(l.Contacts, ", "), "(no contact)")
	fmt.Fprintf(w, "To: %s\nSubject: %s\n\n%s", recipients, l.Subject, l.Text)
}

// printSent lists the recipients of the notices.
func (a *commands) printSent(report ops.RotationReport) error {
	if len(report.Sent) == 0 {
		return nil
	}
	return cli.WriteTextTable(a.Out, []string{"SERVICE PROVIDER", "SENT TO", "NOT SENT"}, report.Sent, func(s notify.LetterResult) []string {
		notSent := "-"
		var failures []string
		for _, f := range s.Failed {
			failures = append(failures, f.To+": "+f.Reason)
		}
		switch {
		case len(failures) > 0:
			notSent = strings.Join(failures, "; ")
		case len(s.To) == 0:
			notSent = "no contact with an email address"
		}
		return []string{string(s.SP), cli.ReplaceEmpty(strings.Join(s.To, ", ")), notSent}
	})
}

// sumUpSent sums up the sent notices. It returns an error if one failed.
func (a *commands) sumUpSent(report ops.RotationReport) error {
	sentCount, failedCount := 0, 0
	for _, s := range report.Sent {
		switch {
		case len(s.Failed) > 0:
			failedCount++
		case len(s.To) > 0:
			sentCount++
		default:
			a.Say("no contact with an email address: print the notice with vernal rotation report --sp %s", shellquote.Quote(string(s.SP)))
		}
	}
	if len(report.Sent) > 0 && !report.DryRun {
		a.Say("%s of %d sent", cli.FormatCount(sentCount, "notice"), len(report.Sent))
	}
	if failedCount > 0 {
		return fmt.Errorf("%s not sent to every recipient", cli.FormatCount(failedCount, "notice"))
	}
	return nil
}

// writeNotices writes a file for each notice and returns the file names, which contain the
// language if a service provider gets several. The files contain email addresses, so only
// the owner can read them. A second report on the same day replaces the files of the first.
func writeNotices(dir string, report ops.RotationReport) ([]string, error) {
	if !report.DryRun {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder: %w", err)
		}
	}
	var files []string
	noticeCounts := map[idp.EntityID]int{}
	for _, l := range report.Notices {
		noticeCounts[l.SP]++
	}
	for _, letter := range report.Notices {
		name := noticeFile(letter.SP, report.At)
		if noticeCounts[letter.SP] > 1 {
			name += "-" + string(letter.Lang)
		}
		file := filepath.Join(dir, name+".txt")
		files = append(files, file)
		if report.DryRun {
			continue
		}
		var text bytes.Buffer
		printLetter(&text, letter)
		if err := durable.Replace(file, text.Bytes()); err != nil {
			return files, fmt.Errorf("write the notice for %s: %w", letter.SP, err)
		}
	}
	return files, nil
}

// noticeFile returns a readable and unique file name for a service provider, without extension.
func noticeFile(id idp.EntityID, reportedAt time.Time) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.TrimPrefix(strings.TrimPrefix(string(id), "https://"), "http://")), "-.")
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%s-%s-%s", reportedAt.UTC().Format(time.DateOnly), name[:min(len(name), 80)], hex.EncodeToString(sum[:4]))
}

// printRevocation prints which service providers must act after a year is revoked, and the
// notice for them.
func (a *commands) printRevocation(revocation *notify.Revocation) error {
	if revocation == nil {
		return nil
	}
	if len(revocation.MustAct) == 0 {
		a.Say("no use of the year is recorded: also send the notice to service providers that are not on the migration board")
	} else {
		err := cli.WriteList(a.Out, []string{"MUST ACT", "NAME", "LAST USE", "CONTACTS"}, revocation.MustAct, func(u notify.User) []string {
			return []string{string(u.SP), u.Name, cli.FormatTime(u.LastAt), cli.ReplaceEmpty(strings.Join(u.Contacts, ", "))}
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(a.Out)
	}
	fmt.Fprintf(a.Out, "Subject: %s\n\n%s", revocation.Subject, revocation.Text)
	return nil
}
