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
		Long: `Show every year with its state, the end of its certificate, and what
happens to it next; below it, how many service providers used each live year
within 30 days, and which must still move to the newest published one.

With --year, show the service providers that used that year: each with its last
request to it, the number of requests in 30 days, whether the last one was
signed, and when the certificate that verified it ends. MOVE says how far it has
moved to the newest published year or, while a rollback holds, to the preferred
one: moved (it used that year, and no other within 14 days), both (it used
another one too), unmoved (it used others only), or unseen. --csv has more
columns, for a spreadsheet, of all years without --year; --json has everything,
with metadata fetches, under "board".

The exit code is 4 if something needs attention, so that a scheduled job can
watch it: a step that is overdue, held or failed, a clock that is not trusted, or
our certificate that has ended, or ends soon while service providers have not
moved.`,
		Example: `    vernal rotation status
    YEAR  STATE      CERTIFICATE ENDS  DAYS LEFT  NEXT
    2026  preferred  2027-04-01        40         2027-03-01 expiring (in 9 days)
    2027  published  2028-04-01        406        2027-03-01 prefer (in 9 days)

    YEAR  SPS  UNMOVED  WHO
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
				return cli.Usage(c, "--json and --csv exclude each other")
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
	st, err := cli.Ask(ctx, a.App, ops.ShowStatus, ops.Empty{})
	if err != nil {
		return err
	}
	if y != "" && findYearStatus(st, y).CreatedAt.IsZero() {
		return fmt.Errorf("the year %s was never made; those that were: vernal rotation status", y)
	}
	switch {
	case a.JSON:
		err = a.PrintJSON(st)
	case csv:
		err = a.writeBoardCSV(st, y)
	case y != "":
		err = a.printBoard(st, y)
	default:
		err = a.printStatus(st)
	}
	return cmp.Or(err, cli.AttentionDue(len(st.Attention)))
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

func (a *commands) printStatus(st ops.RotationStatus) error {
	header := []string{"YEAR", "STATE", "CERTIFICATE ENDS", "DAYS LEFT", "NEXT"}
	err := cli.WriteTextTable(a.Out, header, st.Years, func(y rotation.YearStatus) []string {
		left := "-"
		switch {
		case y.CertEndAt.IsZero() || y.State.IsOver():
		case y.CertExpired:
			left = "ended"
		default:
			left = fmt.Sprint(idp.CountDaysUntil(st.At, y.CertEndAt))
		}
		return []string{string(y.Year), stateCell(y), cli.FormatDay(y.CertEndAt), left, nextCell(y)}
	})
	if err != nil {
		return err
	}
	var notes [][2]string
	if h := st.Hold; h.IsActive(st.At) {
		notes = append(notes, [2]string{"held", holdText(h)})
	}
	if k := st.Clock; !k.IsTrusted() {
		notes = append(notes, [2]string{"clock", a.clockText(k)})
	}
	if !st.Automatic {
		notes = append(notes, [2]string{"manual", "the server takes no automatic steps (rotation.automatic is false)"})
	}
	if len(notes) > 0 {
		fmt.Fprintln(a.Out)
		if err := cli.WritePairs(a.Out, notes); err != nil {
			return err
		}
	}
	if err := a.printMoves(st); err != nil {
		return err
	}
	return a.printAttention(st.Attention)
}

// clockText explains why the clock is not trusted, and how to fix it.
func (a *commands) clockText(k rotation.Clock) string {
	confirm := a.CommandLine(idp.Suggest(idp.DoRotationConfirmClock))
	if k.HasDrifted() {
		return fmt.Sprintf("until %s it went forward by more than a day that the server did not run: the server takes no step; if the time is correct, run %s",
			cli.FormatTime(k.DriftedAt), confirm)
	}
	return fmt.Sprintf("jumped from %s to %s: no year is retired; if the time is correct, run %s", cli.FormatTime(k.BeforeJumpAt), cli.FormatTime(k.AfterJumpAt), confirm)
}

func holdText(h rotation.Hold) string {
	text := "no newer year is preferred automatically since the rollback of " + cli.FormatDay(h.BeganAt)
	if h.Reason != "" {
		text += " (" + h.Reason + ")"
	}
	if h.EndAt.IsZero() {
		return text + "; vernal rotation prefer or resume ends it"
	}
	return text + ", until " + cli.FormatTime(h.EndAt)
}

// nextCell returns the next event of a year.
func nextCell(y rotation.YearStatus) string {
	if y.Next == nil {
		return "-"
	}
	n := y.Next
	what := string(n.Step)
	switch {
	case what == "" && n.FromState == n.ToState:
		what = "certificate ends"
	case what == "":
		what = string(n.ToState)
	}
	if n.Stuck {
		return fmt.Sprintf("%s %s, waits: %s", cli.FormatDay(n.At), what, reasonsText(n.Waits))
	}
	text := fmt.Sprintf("%s %s (%s)", cli.FormatDay(n.At), what, describeDays(n.Days))
	if len(n.Waits) > 0 {
		text += ": " + reasonsText(n.Waits)
	}
	return text
}

func (a *commands) printAttention(list []rotation.Attention) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return cli.WriteTextTable(a.Out, []string{"ATTENTION", "YEAR", "WHAT"}, list, func(at rotation.Attention) []string {
		return []string{string(at.Code), cli.ReplaceEmpty(string(at.Year)), at.Text}
	})
}

func (a *commands) printPlan(p ops.RotationPlan) error {
	header := []string{"DATE", "DAYS", "YEAR", "STEP", "FROM", "TO", "BY", "WHY"}
	err := cli.WriteTextTable(a.Out, header, p.Steps, func(c rotation.UpcomingStep) []string {
		by := "server"
		switch {
		case c.Step == "":
			by = "-"
		case c.ByHand:
			by = "you"
		}
		why := c.Waits
		if !c.Cause.IsZero() {
			why = append([]rotation.Reason{c.Cause}, why...)
		}
		return []string{cli.FormatDay(c.At), fmt.Sprint(c.Days), string(c.Year), cli.ReplaceEmpty(string(c.Step)), string(c.FromState), string(c.ToState), by, reasonsText(why)}
	})
	if err != nil {
		return err
	}
	return a.printAttention(p.Attention)
}

func reasonsText(all []rotation.Reason) string {
	texts := make([]string, len(all))
	for i, r := range all {
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
