// Package rotation is the command "vernal rotation", which plans, takes and reports the
// steps of the yearly rotation.
package rotation

import (
	"cmp"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "rotation",
		Short: "The yearly change of our signing certificate",
		Long: `The yearly change of our signing certificate. A year is planned, created (it
has a key), published (its URLs and metadata answer), preferred (new
integrations get it), expiring (a newer one is preferred), in grace (its
certificate has ended) and retired. The server takes the steps automatically on
their dates, unless rotation.automatic is false. Operators can take them earlier, in
the same order. A running server applies them at once.`,
		Example: `    vernal rotation status
    vernal rotation plan --years 2
    vernal rotation publish 2027 --dry-run`,
	}
	c.AddCommand(a.stepCommands()...)
	c.AddCommand(
		a.statusCommand(),
		a.planCommand(),
		a.previewCommand(),
		a.rehearseCommand(),
		a.reportCommand(),
		a.linkCommand(),
		a.csrCommand(),
		a.importCommand(),
		a.exportCommand(),
	)
	return c
}

func (a *commands) planCommand() *cobra.Command {
	var years int
	c := &cobra.Command{
		Use:   "plan [--years N]",
		Short: "List the next steps by date",
		Long: `List the next changes of every year by date, from the same rules that the server
applies. BY is server or you for a step, and - for a change that needs no step. The
dates are the earliest: a year that is still used is not retired. The exit code is 4
if something needs attention now.`,
		Example: `    vernal rotation plan
    DATE        DAYS  YEAR  STEP     FROM       TO         BY      WHY
    2027-01-15  54    2027  create   planned    created    server  its key is due on 2027-01-15
    2027-02-01  71    2027  publish  created    published  server  its publishing is due on 2027-02-01
    2027-03-01  99    2027  prefer   published  preferred  server  its preferring is due on 2027-03-01
    2027-03-01  99    2026  -        preferred  expiring   -       2027 is preferred`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if years < 1 || years > ops.MaxPlanYears {
				return cli.Usage(c, "--years must be 1 to %d, not %d", ops.MaxPlanYears, years)
			}
			plan, err := cli.Ask(c.Context(), a.App, ops.ShowPlan, ops.PlanRequest{Years: years})
			if err == nil {
				err = a.Print(plan, func() error { return a.printPlan(plan) })
			}
			return cmp.Or(err, cli.AttentionDue(len(plan.Attention)))
		},
	}
	c.Flags().IntVar(&years, "years", 1, "look this `NUMBER` of years ahead")
	return c
}
