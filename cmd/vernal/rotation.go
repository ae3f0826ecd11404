package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/idp/admin"
	"vernal/idp/rotation"
)

func (a *app) rotationCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotation",
		Short: "The yearly change of our signing certificate",
		Long: `The yearly change of our signing certificate. A year is planned, created (it
has a key), published (its addresses and metadata answer), preferred (new
integrations are given it), expiring (a newer one is preferred), in grace (its
certificate has ended) and retired. The server takes the steps itself on their
dates, unless rotation.automatic is false; by hand they can be taken earlier, in
the same order. A running server follows at once.`,
		Example: `    vernal rotation status
    vernal rotation plan --years 2
    vernal rotation publish 2027 --dry-run`,
	}
	c.AddCommand(
		a.rotationStatusCommand(),
		a.rotationPlanCommand(),
		a.rotationCreateCommand(),
		a.rotationPublishCommand(),
		a.rotationPreferCommand(),
		a.rotationRetireCommand(),
		a.rotationRollbackCommand(),
		a.rotationResumeCommand(),
		a.rotationRevokeCommand(),
		a.rotationConfirmCommand(),
		a.rotationPreviewCommand(),
		a.rotationRehearseCommand(),
		a.rotationReportCommand(),
		a.rotationLinkCommand(),
		a.rotationCSRCommand(),
		a.rotationImportCommand(),
		a.rotationExportCommand(),
	)
	return c
}

// attentionError is returned by a command that succeeded and found what needs an operator's
// attention.
type attentionError struct{ count int }

func (e *attentionError) Error() string {
	if e.count == 1 {
		return "1 thing needs attention"
	}
	return fmt.Sprintf("%d things need attention", e.count)
}

func attentionDue(list []rotation.Attention) error {
	if len(list) == 0 {
		return nil
	}
	return &attentionError{count: len(list)}
}

func (a *app) rotationPlanCommand() *cobra.Command {
	var years int
	c := &cobra.Command{
		Use:   "plan [--years N]",
		Short: "Show what comes, by date",
		Long: `Show what happens to every year, by date, from the same rules that take the
steps. BY says who takes a step: the server, or you; a change without either
happens by itself. The dates are the earliest: a year that is still used is not
retired. The exit code is 4 if something needs attention now.`,
		Example: `    vernal rotation plan
    DATE        DAYS  YEAR  STEP     FROM       TO         BY      WHY
    2027-01-15  54    2027  create   planned    created    server  its key is due on 2027-01-15
    2027-02-01  71    2027  publish  created    published  server  its publishing is due on 2027-02-01
    2027-03-01  99    2027  prefer   published  preferred  server  its preferring is due on 2027-03-01
    2027-03-01  99    2026  -        preferred  expiring   -       2027 is preferred`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if years < 1 || years > admin.MaxPlanYears {
				return usage(c, "--years is 1 to %d", admin.MaxPlanYears)
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				plan, err := client.RotationPlan(ctx, years)
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(plan)
				} else {
					err = a.printPlan(plan)
				}
				if err != nil {
					return err
				}
				return attentionDue(plan.Attention)
			})
		},
	}
	c.Flags().IntVar(&years, "years", 1, "how many `YEARS` to look ahead")
	return c
}
