package rotation

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

// stepFlags are the options of the step commands.
type stepFlags struct {
	req        ops.StepRequest
	yes, until string
}

// stepCommand makes the command of a rotation step from its texts, and adds the options
// that the step takes.
func (a *commands) stepCommand(kind rotation.StepKind, c *cobra.Command) *cobra.Command {
	f := &stepFlags{req: ops.StepRequest{Step: kind}}
	c.Args = cobra.NoArgs
	if kind.NamesYear() {
		c.Args = cobra.ExactArgs(1)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(c, args); err != nil {
			return err
		}
		if err := a.confirmStep(c.Context(), f); err != nil {
			return err
		}
		return cli.ReportAnswer(c.Context(), a.App, ops.TakeStep, f.req, func(change ops.RotationChange) error {
			return a.reportChange(f.req, change)
		})
	}
	flags := c.Flags()
	switch kind {
	case rotation.StepCreate:
		flags.StringVar(&f.yes, "yes", "", "confirm an early create, by the `YEAR`")
	case rotation.StepRetire:
		flags.BoolVar(&f.req.Force, "force", false, "retire it although service providers use it; needs --reason")
		flags.BoolVar(&f.req.DestroyNow, "destroy-now", false, "destroy its key at once, not after 30 days")
		fallthrough
	case rotation.StepRevoke:
		flags.StringVar(&f.yes, "yes", "", "confirm, by the `YEAR`")
		flags.StringVar(&f.req.Reason, "reason", "", "why, `TEXT` for the record")
	case rotation.StepRollback:
		flags.StringVar(&f.until, "until", "", "end the hold on this `DATE`, such as 2027-03-15, at 00:00 UTC")
		flags.StringVar(&f.req.Reason, "reason", "", "why, `TEXT` for the record")
	}
	if kind.NamesYear() {
		a.CompleteArg(c, cli.FindYears)
	}
	if flags.Lookup("yes") != nil {
		a.CompleteFlag(c, "yes", cli.FindYears)
	}
	flags.BoolVar(&f.req.DryRun, "dry-run", false, "change nothing, print what would change")
	return c
}

// check reads the arguments and options.
func (f *stepFlags) check(c *cobra.Command, args []string) (err error) {
	if len(args) > 0 {
		if f.req.Year, err = parseYearArg(c, args[0]); err != nil {
			return err
		}
	}
	switch {
	case f.req.Reason != "":
	case f.req.Force:
		return cli.Usage(c, "--force needs --reason")
	case f.req.Step.NeedsReason(), f.req.Step == rotation.StepRevoke:
		return cli.Usage(c, "--reason is missing")
	}
	if f.until != "" {
		if f.req.Until, err = cli.ParseTime(f.until); err != nil {
			return cli.Usage(c, "--until: %v", err)
		}
	}
	return nil
}

// confirmStep asks for confirmation of a step that cannot be undone, if the step could be
// taken.
func (a *commands) confirmStep(ctx context.Context, f *stepFlags) error {
	year := string(f.req.Year)
	switch f.req.Step {
	case rotation.StepCreate, rotation.StepRetire, rotation.StepRevoke:
	default:
		return nil
	}
	if f.req.DryRun || f.yes != "" && f.yes == year {
		return nil
	}
	try := f.req
	try.DryRun = true
	change, err := cli.Ask(ctx, a.App, ops.TakeStep, try)
	if err != nil {
		return err
	}
	what := ""
	switch f.req.Step {
	case rotation.StepCreate:
		if change.CalendarAt.IsZero() && f.yes == "" {
			return nil
		}
		what = earlyText(f.req.Year, change)
	case rotation.StepRetire:
		what = "close the URLs of " + year + " permanently"
		if f.req.DestroyNow {
			what += " and destroy its key"
		}
		if f.req.Force {
			what += ", which cuts off " + countCutOff(change)
		}
	case rotation.StepRevoke:
		what = "end " + year + " at once and permanently"
	}
	return a.Confirm(what, year, f.yes)
}

// earlyText describes the effect of an early create.
func earlyText(y idp.Year, change ops.RotationChange) string {
	return fmt.Sprintf("create %s %s before its date in the calendar, %s",
		y, cli.FormatCount(idp.CountDaysUntil(change.Status.At, change.CalendarAt), "day"), cli.FormatDay(change.CalendarAt))
}

// parseYearArg reads a year.
func parseYearArg(c *cobra.Command, arg string) (idp.Year, error) {
	y := idp.Year(arg)
	if !y.IsValid() {
		return "", cli.Usage(c, "%q is not a year, such as 2027 or 2027b", arg)
	}
	return y, nil
}

// stepCommands returns the commands that take a step.
func (a *commands) stepCommands() []*cobra.Command {
	return []*cobra.Command{
		a.stepCommand(rotation.StepCreate, &cobra.Command{
			Use:   "create YEAR [--yes YEAR] [--dry-run]",
			Short: "Make the key and the certificate of a year",
			Long: `Make the key and the certificate of a year. It is not visible from
outside before it is published. A year with a letter, 2026b, replaces 2026: its
certificate ends on the same day. More than 60 days before the calendar creates
the year, this asks for confirmation.`,
			Example: `    vernal rotation create 2027
    2027 is created (was planned); its certificate ends on 2028-04-01
    unchanged: 2026 is preferred
    next: vernal rotation publish 2027; the server does it on 2027-02-01`,
		}),
		a.stepCommand(rotation.StepPublish, &cobra.Command{
			Use:   "publish YEAR [--dry-run]",
			Short: "Open the URLs and the metadata of a year",
			Long: `Open the URLs and the metadata of a year, and add its certificate to the stable
metadata, so that service providers can move. Only retire or revoke closes them
again.`,
			Example: `    vernal rotation publish 2027
    2027 is published (was created)
    unchanged: 2026 is preferred
    service providers can load the metadata: vernal metadata show 2027
    next: vernal rotation prefer 2027; the server does it on 2027-03-01`,
		}),
		a.stepCommand(rotation.StepPrefer, &cobra.Command{
			Use:   "prefer YEAR [--dry-run]",
			Short: "Make a published year the one that new integrations get",
			Long: `Make a published year the preferred one: new integrations get it, and it signs
what names no year. The older year keeps working for the service providers that
still use it. If a rollback holds preference, this ends the hold. Undo it with
rollback.`,
			Example: `    vernal rotation prefer 2027 --dry-run
    YEAR  FROM       TO         KEY
    2026  preferred  expiring   -
    2027  published  preferred  -`,
		}),
		a.stepCommand(rotation.StepRetire, &cobra.Command{
			Use:   "retire YEAR --yes YEAR [--force --reason TEXT] [--destroy-now]",
			Short: "Close the URLs of an older year permanently",
			Long: `Close the URLs of an older year permanently: they answer 410 and name
the year to move to. Its key is destroyed 30 days later, its certificate is
kept. It is refused before the newer year was published for 120 days, and while
a service provider used the year within 14 days of running time; --force
--reason overrides such use only, is recorded, and names the service providers
that it cuts off. Given for a retired year, --destroy-now destroys the key that
is left. Backups still contain a destroyed key: the master key that was in use
then can read it, until 'vernal rekey' ends that one.`,
			Example: `    vernal rotation retire 2026 --yes 2026
    2026 is retired (was grace)
    unchanged: 2027 is preferred
    its key is destroyed on 2027-07-31; its certificate is kept
    next: vernal rotation status`,
		}),
		a.stepCommand(rotation.StepRollback, &cobra.Command{
			Use:   "rollback --reason TEXT [--until DATE] [--dry-run]",
			Short: "Return preference to the older year",
			Long: `Return preference to the newest older year that is live, while its certificate
lasts. The newer year stays published. The server prefers no newer year until
the date given with --until, or until you run prefer or resume.`,
			Example: `    vernal rotation rollback --reason "half of the partners are not ready"
    2026 is preferred (was expiring)
    2027 is published (was preferred)
    no newer year is preferred automatically, since the rollback of 2027-03-02 (half of the partners are not ready); vernal rotation prefer or resume ends it
    next: vernal rotation prefer 2027`,
		}),
		a.stepCommand(rotation.StepResume, &cobra.Command{
			Use:   "resume [--dry-run]",
			Short: "End everything that holds the server's steps",
			Long: `End everything that holds the server's steps: the hold that a rollback or the
restore of a backup left, and distrust of the clock after a jump or drift. Check
the time first. Steps whose date has passed are taken at once: a newer year is
preferred. If nothing is held, this is refused. To trust the clock and keep the
hold of a rollback or a restore, use confirm-clock.`,
			Example: `    vernal rotation resume
    unchanged: 2026 is preferred, 2027 is published
    neither a rollback nor a restore holds the server's steps
    the clock is trusted: it is 2027-03-15T08:00:00Z
    next: vernal rotation plan`,
		}),
		a.stepCommand(rotation.StepRevoke, &cobra.Command{
			Use:   "revoke YEAR --reason TEXT --yes YEAR [--dry-run]",
			Short: "End a year at once, for a key that may have leaked",
			Long: `End a year at once, in any state, for a key that may have leaked:
nothing is signed with it any more, its URLs answer 410, and its certificate
leaves the stable metadata. If it is preferred, the next newer year that has a
key is published and preferred in the same step. Without one, its next letter
(2026b) is made. Service providers that use the year cannot sign users in until
they have moved: their names, and the notice to send to them, are printed.`,
			Example: `    vernal rotation revoke 2026 --reason "backup tape lost" --yes 2026
    2026 is revoked (was preferred)
    2026b is preferred (was planned); its certificate ends on 2027-04-01
    service providers that used 2026 must move now: vernal metadata show 2026b
    to see the notice of each one: vernal rotation report --year 2026
    next: vernal rotation status
    MUST ACT                       NAME     LAST USE              CONTACTS
    https://records.agency.example Records  2026-11-22T08:12:00Z  web@agency.example

    Subject: URGENT: Agency sign-in has revoked its signing certificate (2026)

    To all service providers that use Agency sign-in:
    …`,
		}),
		a.stepCommand(rotation.StepConfirm, &cobra.Command{
			Use:   "confirm-clock [--dry-run]",
			Short: "Confirm the time after the clock jumped or drifted",
			Long: `Confirm that the time is correct. After the clock went backward, or
forward by more than 45 days, no year is retired until the server has run for 14
days, or you run this. After it went forward by more than 24 hours that the
server did not run, the server takes no step until you run this. The hold of a
rollback stays: resume ends both.`,
			Example: `    vernal rotation confirm-clock
    unchanged: 2026 is grace, 2027 is preferred
    the clock is trusted: it is 2027-07-05T08:00:00Z
    next: vernal rotation plan`,
		}),
	}
}
