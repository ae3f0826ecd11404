// Package doctor is the command "vernal doctor", which checks the installation.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/doctor"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	var sendTest bool
	c := &cobra.Command{
		Use:   "doctor [--json] [--send-test]",
		Short: "Check the installation and explain how to fix each problem",
		Long: `Check the installation: clock, base_url as seen from outside, TLS certificates,
proxy, cookies, store, signing keys, disk space, modes and owners of files, master
key, backups, mail, webhook, the next steps of the rotation, and certificates of
service providers. Nothing is changed, and nothing is sent without --send-test.

Each finding has a code, what was seen, why it matters and how to fix it. The
exit code is 4 if there is a problem, or if a check could not be completed.
Information alone exits 0. While no server runs, the checks that need one are
left out.

With --send-test, send a test mail to the operators in rotation.notify and a signed
test call to the webhook, at most once a minute.`,
		Example: `    vernal doctor
    problem  base_url_unreachable
      This machine cannot fetch https://login.example.gov/api/saml/metadata2027: …
      Why: If users and service providers cannot fetch it either, no one can sign in.
      Fix: Check the DNS entry, the firewall and the proxy. …

    vernal doctor --json
    vernal doctor --send-test`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.examine(c.Context(), ops.ExamineRequest{SendTest: sendTest})
		},
	}
	c.Flags().BoolVar(&sendTest, "send-test", false, "send a test mail to the operators and a test call to the webhook")
	return c
}

func (a *commands) examine(ctx context.Context, req ops.ExamineRequest) error {
	report, err := cli.Ask(ctx, a.App, ops.Examine, req)
	if err != nil {
		return err
	}
	if a.JSON {
		err = a.PrintJSON(a.addCommands(report))
	} else {
		err = a.printReport(report)
	}
	return cmp.Or(err, cli.AttentionDue(report.Attention()))
}

// jsonFinding is a finding with the command lines of its suggestions.
type jsonFinding struct {
	doctor.Finding
	Suggestions []cli.ReportedAdvice `json:"suggestions,omitempty"`
}

// jsonReport is the report as --json prints it.
type jsonReport struct {
	*doctor.Report
	Findings []jsonFinding `json:"findings"`
}

// addCommands adds the command lines of suggestions to a report.
func (a *commands) addCommands(report *doctor.Report) jsonReport {
	out := jsonReport{Report: report, Findings: []jsonFinding{}}
	for _, f := range report.Findings {
		r := jsonFinding{Finding: f}
		for _, s := range f.Suggestions {
			r.Suggestions = append(r.Suggestions, cli.ReportedAdvice{Suggestion: s, Command: a.CommandLine(s)})
		}
		out.Findings = append(out.Findings, r)
	}
	return out
}

// printReport prints the findings, problems first.
func (a *commands) printReport(report *doctor.Report) error {
	for _, level := range []doctor.Level{doctor.Problem, doctor.Information} {
		for _, f := range report.Findings {
			if f.Level == level {
				a.printFinding(f)
			}
		}
	}
	if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Level == doctor.Problem }) {
		fmt.Fprintln(a.Out, "no problem found")
	}
	if n := report.Next; n != nil {
		fmt.Fprintf(a.Out, "next step of the rotation: %s %s on %s, by the %s\n", n.Step, n.Year, cli.FormatDay(n.At), n.Actor)
	}
	a.reportUnchecked(report)
	return nil
}

func (a *commands) printFinding(f doctor.Finding) {
	fmt.Fprintf(a.Out, "%s  %s\n", f.Level, f.Code)
	fmt.Fprintf(a.Out, "  %s\n  Why: %s\n  Fix: %s\n", idp.ReplaceControls(f.Seen), idp.ReplaceControls(f.Why), idp.ReplaceControls(f.Fix))
	for _, s := range f.Suggestions {
		fmt.Fprintf(a.Out, "    %s\n", idp.ReplaceControls(a.SuggestionLine(s)))
	}
	fmt.Fprintln(a.Out)
}

// reportUnchecked names the checks that did not run.
func (a *commands) reportUnchecked(report *doctor.Report) {
	for _, c := range report.Checks {
		switch c.Cause {
		case doctor.CauseNeedsServer:
			a.Say("not checked: %s needs a running server", c.Check)
		case doctor.CauseTimedOut:
			a.Say("not checked: %s did not end in time", c.Check)
		case doctor.CauseStillRunning:
			a.Say("not checked: %s still runs since an earlier call: look for a disk or token that hangs", c.Check)
		case doctor.CauseError:
			a.Say("not checked: %s: %s", c.Check, idp.ReplaceControls(c.Error))
		}
	}
}
