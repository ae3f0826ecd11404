package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
)

func (a *app) rotationStatusCommand() *cobra.Command {
	var year string
	var csv bool
	c := &cobra.Command{
		Use:   "status [--year YEAR] [--json|--csv]",
		Short: "Show every year, what comes next, and who has moved",
		Long: `Show every year with its state, the end of its certificate, and what happens to
it next; below it, how many service providers used each live year within 30
days, and which have still to move to the newest published one.

With --year, show who used that year: every service provider with the first and
the last request to it, the requests of the last 7 and 30 days, whether the
latest was signed, and by which certificate, which ends when. MOVE says how far
it has moved to the newest published year or, while a rollback holds, to the
preferred one: moved (it used that year, and no other within 14 days), both (it
used another one too), unmoved (it used others only), or unseen. --csv is the
same for a spreadsheet, of all years without --year; --json has everything, with
metadata fetches, under "board".

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
			case c.Flags().Changed("year") && !y.Valid():
				return usage(c, "--year: %q is not a year, such as 2027 or 2027b", year)
			case a.json && csv:
				return usage(c, "--json and --csv exclude each other")
			}
			return a.rotationStatus(c.Context(), y, csv)
		},
	}
	c.Flags().StringVar(&year, "year", "", "show who used that `YEAR`")
	c.Flags().BoolVar(&csv, "csv", false, "print CSV, for a spreadsheet")
	return c
}

// rotationStatus prints all years or, given a year, its users.
func (a *app) rotationStatus(ctx context.Context, y idp.Year, csv bool) error {
	return a.withClient(ctx, func(ctx context.Context, client *admin.Client) error {
		st, err := client.RotationStatus(ctx)
		if err != nil {
			return err
		}
		if y != "" && yearStatus(st, y).CreatedAt.IsZero() {
			return fmt.Errorf("the year %s was never made; those that were: vernal rotation status", y)
		}
		switch {
		case a.json:
			err = a.printJSON(st)
		case csv:
			err = a.writeBoardCSV(st, y)
		case y != "":
			err = a.printBoard(st, y)
		default:
			err = a.printStatus(st)
		}
		if err != nil {
			return err
		}
		return attentionDue(st.Attention)
	})
}
