package rotation

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

func (a *commands) statusCommand() *cobra.Command {
	var year string
	var csv bool
	c := &cobra.Command{
		Use:   "status [--year YEAR] [--json|--csv]",
		Short: "Show every year, its next step, and which SPs have moved",
		Long: `Show every year with its state, the end of its certificate, and its next
step. Below, show how many service providers used each live year within 30 days, and
which must still move to the newest published year.

With --year, show the service providers that used that year: each with its last
request to it, the number of requests in 30 days, whether the last one was
signed, and when the certificate that verified it ends. MOVE is the state of its
move to the newest published year or, while a rollback holds, to the preferred
one: moved (it used that year, and no other within 14 days), both (it used
another one too), unmoved (it used others only), or unseen. --csv prints more
columns, for a spreadsheet, and without --year all years. --json prints all data,
with metadata fetches, under "board".

The exit code is 4 if something needs attention, so that a scheduled job can
watch it: a step that is overdue, held or failed, a clock that is not trusted, or
our certificate that has ended, or ends soon while service providers have not
moved.`,
		Example: `    vernal rotation status
    YEAR  STATE      CERTIFICATE ENDS  DAYS LEFT  NEXT
    2026  preferred  2027-04-01        40         2027-03-01 expiring (in 9 days)
    2027  published  2028-04-01        406        2027-03-01 prefer (in 9 days)

    YEAR  SPS  UNMOVED  SERVICE PROVIDERS
    2026  12   2        https://a.example.gov/saml, https://b.example.gov/saml
    2027  10   -        -

    vernal rotation status --year 2026 --csv > 2026.csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			y := idp.Year(year)
			switch {
			case c.Flags().Changed("year") && !y.IsValid():
				return cli.Usage(c, "--year: %q is not a year, such as 2027 or 2027b", year)
			case a.JSON && csv:
				return cli.Usage(c, "give --json or --csv, not both")
			}
			return a.rotationStatus(c.Context(), y, csv)
		},
	}
	c.Flags().StringVar(&year, "year", "", "show the service providers that used that `YEAR`")
	c.Flags().BoolVar(&csv, "csv", false, "print CSV, for a spreadsheet")
	a.CompleteFlag(c, "year", cli.FindYears)
	return c
}

// rotationStatus prints the years or, for one year, the service providers that used it.
func (a *commands) rotationStatus(ctx context.Context, y idp.Year, csv bool) error {
	status, err := cli.Ask(ctx, a.App, ops.ShowStatus, ops.Empty{})
	if err != nil {
		return err
	}
	if y != "" && findYearStatus(status, y).CreatedAt.IsZero() {
		return fmt.Errorf("the year %s was never created: to list the years, run vernal rotation status", y)
	}
	switch {
	case a.JSON:
		err = a.PrintJSON(status)
	case csv:
		err = a.writeBoardCSV(status, y)
	case y != "":
		err = a.printBoard(status, y)
	default:
		err = a.printStatus(status)
	}
	return cmp.Or(err, cli.AttentionDue(len(status.Attention)))
}

// describeDays returns "today", "in 1 day" or "3 days ago".
func describeDays(n int) string {
	switch {
	case n == 0:
		return "today"
	case n < 0:
		return cli.FormatCount(-n, "day") + " ago"
	}
	return "in " + cli.FormatCount(n, "day")
}

func (a *commands) printStatus(status ops.RotationStatus) error {
	header := []string{"YEAR", "STATE", "CERTIFICATE ENDS", "DAYS LEFT", "NEXT"}
	err := cli.WriteTextTable(a.Out, header, status.Years, func(y rotation.YearStatus) []string {
		daysLeft := "-"
		switch {
		case y.CertEndAt.IsZero() || y.State.IsOver():
		case y.CertExpired:
			daysLeft = "ended"
		default:
			daysLeft = fmt.Sprint(idp.CountDaysUntil(status.At, y.CertEndAt))
		}
		return []string{string(y.Year), stateCell(y), cli.FormatDay(y.CertEndAt), daysLeft, nextCell(y)}
	})
	if err != nil {
		return err
	}
	var notes [][2]string
	if hold := status.Hold; hold.IsActive(status.At) {
		notes = append(notes, [2]string{"held", holdText(hold)})
	}
	if clock := status.Clock; !clock.IsTrusted() {
		notes = append(notes, [2]string{"clock", a.clockText(clock)})
	}
	if !status.Automatic {
		notes = append(notes, [2]string{"manual", "the server takes no automatic steps (rotation.automatic is false)"})
	}
	if len(notes) > 0 {
		fmt.Fprintln(a.Out)
		if err := cli.WritePairs(a.Out, notes); err != nil {
			return err
		}
	}
	if err := a.printMoves(status); err != nil {
		return err
	}
	return a.printAttention(status.Attention)
}

// clockText explains why the clock is not trusted, and how to fix it.
func (a *commands) clockText(clock rotation.Clock) string {
	confirm := a.CommandLine(idp.Suggest(idp.DoRotationConfirmClock))
	if clock.HasDrifted() {
		return fmt.Sprintf("until %s it went forward by more than a day while the server did not run, so the server takes no step. If the time is correct, run %s",
			cli.FormatTime(clock.DriftedAt), confirm)
	}
	return fmt.Sprintf("jumped from %s to %s, so no year is retired. If the time is correct, run %s", cli.FormatTime(clock.BeforeJumpAt), cli.FormatTime(clock.AfterJumpAt), confirm)
}

func holdText(hold rotation.Hold) string {
	text := "no newer year is preferred automatically since the rollback of " + cli.FormatDay(hold.BeganAt)
	if hold.Reason != "" {
		text += " (" + hold.Reason + ")"
	}
	if hold.EndAt.IsZero() {
		return text + ", until you run vernal rotation prefer or resume"
	}
	return text + ", until " + cli.FormatTime(hold.EndAt)
}

// nextCell returns the next event of a year.
func nextCell(y rotation.YearStatus) string {
	if y.Next == nil {
		return "-"
	}
	next := y.Next
	event := string(next.Step)
	switch {
	case event == "" && next.FromState == next.ToState:
		event = "certificate ends"
	case event == "":
		event = string(next.ToState)
	}
	if next.Stuck {
		return fmt.Sprintf("%s %s, waits: %s", cli.FormatDay(next.At), event, reasonsText(next.Waits))
	}
	text := fmt.Sprintf("%s %s (%s)", cli.FormatDay(next.At), event, describeDays(next.Days))
	if len(next.Waits) > 0 {
		text += ": " + reasonsText(next.Waits)
	}
	return text
}

func (a *commands) printAttention(list []rotation.Attention) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"ATTENTION", "YEAR", "WHAT"}, list, func(attention rotation.Attention) []string {
		return []string{string(attention.Code), cli.ReplaceEmpty(string(attention.Year)), attention.Text}
	})
}

func (a *commands) printPlan(plan ops.RotationPlan) error {
	header := []string{"DATE", "DAYS", "YEAR", "STEP", "FROM", "TO", "BY", "WHY"}
	err := cli.WriteTextTable(a.Out, header, plan.Steps, func(step rotation.UpcomingStep) []string {
		actor := "server"
		switch {
		case step.Step == "":
			actor = "-"
		case step.ByHand:
			actor = "you"
		}
		reasons := step.Waits
		if !step.Cause.IsZero() {
			reasons = append([]rotation.Reason{step.Cause}, reasons...)
		}
		return []string{cli.FormatDay(step.At), fmt.Sprint(step.Days), string(step.Year), cli.ReplaceEmpty(string(step.Step)), string(step.FromState), string(step.ToState), actor, reasonsText(reasons)}
	})
	if err != nil {
		return err
	}
	return a.printAttention(plan.Attention)
}

func reasonsText(reasons []rotation.Reason) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = r.Text
	}
	return strings.Join(texts, "; ")
}

// stateCell returns the state of a year, and whether it is closed because of its key.
func stateCell(y rotation.YearStatus) string {
	if y.State.IsLive() && y.KeyFault != "" {
		return string(y.State) + ", closed"
	}
	return string(y.State)
}
