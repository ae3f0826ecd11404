package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rotation"
)

// yearArg reads the year that a step is about.
func yearArg(c *cobra.Command, arg string) (idp.Year, error) {
	y := idp.Year(arg)
	if !y.Valid() {
		return "", usage(c, "%q is not a year, such as 2027 or 2027b", arg)
	}
	return y, nil
}

func addDryRun(c *cobra.Command, req *admin.StepRequest) {
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, print what would change")
}

// rotationStep takes the step, or asks what it would do, and tells.
func (a *app) rotationStep(c *cobra.Command, req admin.StepRequest) error {
	return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
		change, err := client.RotationStep(ctx, req)
		if err != nil {
			return err
		}
		return a.tellChange(req, change)
	})
}

// plainStep is the command of a step that takes a year and nothing else.
func (a *app) plainStep(kind rotation.StepKind, c *cobra.Command) *cobra.Command {
	req := admin.StepRequest{Step: kind}
	c.Use = string(kind) + " YEAR [--dry-run]"
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if req.Year, err = yearArg(c, args[0]); err != nil {
			return err
		}
		return a.rotationStep(c, req)
	}
	addDryRun(c, &req)
	return c
}

func (a *app) rotationCreateCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepCreate}
	var yes string
	c := &cobra.Command{
		Use:   "create YEAR [--yes YEAR] [--dry-run]",
		Short: "Make the key and the certificate of a year",
		Long: `Make the key and the certificate of a year. Nothing of it is to be seen from
outside before it is published. A year with a letter, 2026b, stands in for 2026:
its certificate has the same end. More than 60 days before the calendar creates
the year, this asks for confirmation.`,
		Example: `    vernal rotation create 2027
    2027 is created (was planned); its certificate ends on 2028-04-01
    unchanged: 2026 is preferred
    next: vernal rotation publish 2027; the server does it on 2027-02-01`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if req.Year, err = yearArg(c, args[0]); err != nil {
				return err
			}
			return a.rotationCreate(c, req, yes)
		},
	}
	c.Flags().StringVar(&yes, "yes", "", "confirm an early create, by the `YEAR`")
	addDryRun(c, &req)
	return c
}

// rotationCreate creates a year. The server's calendar says whether that is so
// early that it must be confirmed.
func (a *app) rotationCreate(c *cobra.Command, req admin.StepRequest, yes string) error {
	if req.DryRun || yes == string(req.Year) {
		return a.rotationStep(c, req)
	}
	return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
		try := req
		try.DryRun = true
		change, err := client.RotationStep(ctx, try)
		if err != nil {
			return err
		}
		if !change.CalendarAt.IsZero() || yes != "" {
			if err := a.confirm(earlyText(req.Year, change), string(req.Year), yes); err != nil {
				return err
			}
		}
		if change, err = client.RotationStep(ctx, req); err != nil {
			return err
		}
		return a.tellChange(req, change)
	})
}

// earlyText says what an early create would do.
func earlyText(y idp.Year, change admin.RotationChange) string {
	return fmt.Sprintf("create %s %s before its date in the calendar, %s",
		y, plural(idp.DaysUntil(change.Status.At, change.CalendarAt), "day"), day(change.CalendarAt))
}

func (a *app) rotationPublishCommand() *cobra.Command {
	return a.plainStep(rotation.StepPublish, &cobra.Command{
		Short: "Open the addresses and the metadata of a year",
		Long: `Open the addresses and the metadata of a year, and put its certificate into the
stable metadata, so that service providers can move. It is never undone but by
retire or revoke.`,
		Example: `    vernal rotation publish 2027
    2027 is published (was created)
    unchanged: 2026 is preferred
    service providers can load the metadata: vernal metadata show 2027
    next: vernal rotation prefer 2027; the server does it on 2027-03-01`,
	})
}

func (a *app) rotationPreferCommand() *cobra.Command {
	return a.plainStep(rotation.StepPrefer, &cobra.Command{
		Short: "Make a published year the one that new integrations are given",
		Long: `Make a published year the preferred one: new integrations are given it, and it
signs what names no year. The older year goes on for who still uses it. Where a
rollback holds preference, this ends the hold. Undo it with rollback.`,
		Example: `    vernal rotation prefer 2027 --dry-run
    YEAR  FROM       TO         KEY
    2026  preferred  expiring   -
    2027  published  preferred  -`,
	})
}

func (a *app) rotationRetireCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepRetire}
	var yes string
	c := &cobra.Command{
		Use:   "retire YEAR --yes YEAR [--force --reason TEXT] [--destroy-now]",
		Short: "Close the addresses of an older year for good",
		Long: `Close the addresses of an older year for good: they answer 410 and name the year
to move to. Its key is destroyed 30 days later, its certificate is kept. It is
refused before the newer year was published for 120 days, and while a service
provider used the year within 14 days of running time; --force --reason is for
use alone, is recorded, and names the service providers that it cuts off. Given
for a retired year, --destroy-now destroys the key that is left. Backups still
hold a destroyed key: it can be read with the master key that was in use then,
which 'vernal rekey' ends.`,
		Example: `    vernal rotation retire 2026 --yes 2026
    2026 is retired (was grace)
    unchanged: 2027 is preferred
    its key is destroyed on 2027-07-31; its certificate is kept
    next: vernal rotation status`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if req.Year, err = yearArg(c, args[0]); err != nil {
				return err
			}
			if req.Force && req.Reason == "" {
				return usage(c, "--force needs --reason")
			}
			what := "close the addresses of " + args[0] + " for good"
			if req.DestroyNow {
				what += " and destroy its key"
			}
			if what, err = a.nameCutOff(c, req, what, yes); err != nil {
				return err
			}
			if err := a.confirmStep(req, what, yes); err != nil {
				return err
			}
			return a.rotationStep(c, req)
		},
	}
	c.Flags().BoolVar(&req.Force, "force", false, "retire it although service providers use it; needs --reason")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, `TEXT` for the record")
	c.Flags().BoolVar(&req.DestroyNow, "destroy-now", false, "destroy its key at once, not after 30 days")
	c.Flags().StringVar(&yes, "yes", "", "confirm, by the `YEAR`")
	addDryRun(c, &req)
	return c
}

// nameCutOff adds to what a forced retirement does how many service providers it cuts
// off, where it must still be confirmed.
func (a *app) nameCutOff(c *cobra.Command, req admin.StepRequest, what, yes string) (string, error) {
	if !req.Force || req.DryRun || yes != "" {
		return what, nil
	}
	err := a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
		try := req
		try.DryRun = true
		change, err := client.RotationStep(ctx, try)
		what += ", which cuts off " + cutOffCount(change)
		return err
	})
	return what, err
}

// confirmStep asks for confirmation of what does not come back. A dry run needs
// none.
func (a *app) confirmStep(req admin.StepRequest, what, yes string) error {
	if req.DryRun {
		return nil
	}
	return a.confirm(what, string(req.Year), yes)
}

func (a *app) rotationRollbackCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepRollback}
	var until string
	c := &cobra.Command{
		Use:   "rollback --reason TEXT [--until DATE] [--dry-run]",
		Short: "Return preference to the older year",
		Long: `Return preference to the newest older year that is live, while its certificate
lasts. The newer year stays published. The server prefers no newer year by itself
until the date given with --until, or until prefer or resume is given by hand.`,
		Example: `    vernal rotation rollback --reason "half of the partners are not ready"
    2026 is preferred (was expiring)
    2027 is published (was preferred)
    no newer year is preferred by itself, since the rollback of 2027-03-02 (half of the partners are not ready); vernal rotation prefer or resume ends it
    next: vernal rotation prefer 2027`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if req.Reason == "" {
				return usage(c, "--reason is missing")
			}
			if req.Until, err = untilFlag(c, until); err != nil {
				return err
			}
			return a.rotationStep(c, req)
		},
	}
	c.Flags().StringVar(&until, "until", "", "end the hold on this `DATE`, such as 2027-03-15, at 00:00 UTC")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, `TEXT` for the record")
	addDryRun(c, &req)
	return c
}

// untilFlag reads a date, or a time with its zone.
func untilFlag(c *cobra.Command, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usage(c, "--until %q is not a date such as 2027-03-15", text)
}

func (a *app) rotationResumeCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepResume}
	c := &cobra.Command{
		Use:   "resume [--dry-run]",
		Short: "End everything that holds the server's steps",
		Long: `End everything that holds the server's steps: the hold that a rollback left, and
distrust of the clock after a jump or drift. Check the time first. Steps whose
date has passed are taken at once: a newer year is preferred. If nothing is held,
this is refused. To trust the clock and leave the hold of a rollback, use
confirm-clock.`,
		Example: `    vernal rotation resume
    unchanged: 2026 is preferred, 2027 is published
    no rollback holds the server's steps
    the clock is trusted: it is 2027-03-15T08:00:00Z
    next: vernal rotation plan`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rotationStep(c, req) },
	}
	addDryRun(c, &req)
	return c
}

func (a *app) rotationRevokeCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepRevoke}
	var yes string
	c := &cobra.Command{
		Use:   "revoke YEAR --reason TEXT --yes YEAR [--dry-run]",
		Short: "End a year at once, for a key that may have leaked",
		Long: `End a year at once, in any state, for a key that may have leaked: nothing is
signed with it any more, its addresses answer 410, and its certificate leaves the
stable metadata. If it is preferred, the next newer year that has a key is
published and preferred in the same step; where there is none, its next letter
(2026b) is made. Service providers that use the year cannot sign people in until
they have moved: who they are, and the notice to send to them, is printed.`,
		Example: `    vernal rotation revoke 2026 --reason "backup tape lost" --yes 2026
    2026 is revoked (was preferred)
    2026b is preferred (was planned); its certificate ends on 2027-04-01
    who used 2026 must move now: vernal metadata show 2026b
    each one's own notice: vernal rotation report --year 2026
    next: vernal rotation status
    MUST ACT                       NAME     LAST USE              CONTACTS
    https://records.agency.example Records  2026-11-22T08:12:00Z  web@agency.example

    Subject: URGENT: Agency sign-in has revoked its signing certificate (2026)

    To all service providers that use Agency sign-in:
    …`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if req.Year, err = yearArg(c, args[0]); err != nil {
				return err
			}
			if req.Reason == "" {
				return usage(c, "--reason is missing")
			}
			if err := a.confirmStep(req, "end "+args[0]+" at once and for good", yes); err != nil {
				return err
			}
			return a.rotationStep(c, req)
		},
	}
	c.Flags().StringVar(&req.Reason, "reason", "", "why, `TEXT` for the record")
	c.Flags().StringVar(&yes, "yes", "", "confirm, by the `YEAR`")
	addDryRun(c, &req)
	return c
}

func (a *app) rotationConfirmCommand() *cobra.Command {
	req := admin.StepRequest{Step: rotation.StepConfirm}
	c := &cobra.Command{
		Use:   "confirm-clock [--dry-run]",
		Short: "Say that the time is right after the clock jumped or drifted",
		Long: `Say that the time is right. After the clock went backward, or forward by more
than 45 days, nothing is retired until the server has run for 14 days, or this
is given. After it went forward by more than 24 hours that the server did not
run, the server takes no step until this is given. The hold of a rollback stays:
resume ends both.`,
		Example: `    vernal rotation confirm-clock
    unchanged: 2026 is grace, 2027 is preferred
    the clock is trusted: it is 2027-07-05T08:00:00Z
    next: vernal rotation plan`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rotationStep(c, req) },
	}
	addDryRun(c, &req)
	return c
}
