package main

import (
	"context"

	"github.com/spf13/cobra"

	"vernal/idp/admin"
	"vernal/idp/sharelink"
)

// watchURL is the base of the secret addresses of the admin listener; "" if
// nothing listens.
func (d *deps) watchURL() string {
	c := d.config
	switch {
	case c.AdminListen == "":
		return ""
	case c.AdminURL != "":
		return c.AdminURL
	case d.adminAddr != "":
		return "http://" + d.adminAddr
	}
	return "http://" + c.AdminListen
}

func (a *app) rotationLinkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "link",
		Short: "Secret addresses of the rotation: for a wall, for calendars",
		Long: `Secret addresses of the rotation. Who has one sees what it opens, without a
sign-in, until it ends or is taken back with revoke: the board for a screen on a
wall, without contacts, or the plan as a feed for calendars. Addresses are on the
admin listener: on this machine or, with admin_url, behind a proxy.`,
		Example: `    vernal rotation link wall --days 60
    vernal rotation link calendar
    vernal rotation link list`,
	}
	c.AddCommand(
		a.linkCreateCommand(sharelink.Wall, &cobra.Command{
			Short: "Make an address of the board for a screen on a wall",
			Long: `Make an address of the board for a screen on a wall: days left, who has moved and
who has not, by name. It shows no contact, certificate or network address, and
loads itself anew every minute. The address is printed this once.`,
			Example: `    vernal rotation link wall --days 60
    http://127.0.0.1:9090/rotation/wall/0d5b61c9e7a3f402.3Jx…
    made link 0d5b61c9e7a3f402; it ends on 2027-05-01
    keep the address: it is not shown again
    to take it back: vernal rotation link revoke 0d5b61c9e7a3f402`,
		}),
		a.linkCreateCommand(sharelink.Calendar, &cobra.Command{
			Short: "Make an address of the plan as a feed for calendars",
			Long: `Make an address of the plan as a feed for calendars (iCalendar): every step of
the coming three years and the ends of our certificates, with reminders 14 days
and 1 day before what is to be done by hand. It names no service provider. The
address is printed this once; calendars ask it for news by themselves.`,
			Example: `    vernal rotation link calendar
    http://127.0.0.1:9090/rotation/calendar/52ac08bb1f6e9d37.kB0….ics
    made link 52ac08bb1f6e9d37; it does not end by itself
    keep the address: it is not shown again
    to take it back: vernal rotation link revoke 52ac08bb1f6e9d37`,
		}),
		a.linkListCommand(),
		a.linkRevokeCommand(),
	)
	return c
}

func (a *app) linkCreateCommand(kind sharelink.Kind, c *cobra.Command) *cobra.Command {
	req := admin.LinkRequest{Kind: kind}
	c.Use = string(kind) + " [--days N] [--dry-run]"
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("days") && (req.Days < 1 || req.Days > admin.MaxLinkDays) {
			return usage(c, "--days is 1 to %d", admin.MaxLinkDays)
		}
		return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
			made, err := client.CreateLink(ctx, req)
			if err != nil {
				return err
			}
			return a.tellLink(made)
		})
	}
	c.Flags().IntVar(&req.Days, "days", 0, "end it by itself after `N` days (default never)")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "make nothing, say what would be made")
	return c
}

// tellLink prints a new address, which is data, and what to know of it.
func (a *app) tellLink(made admin.LinkMade) error {
	end := "it does not end by itself"
	if !made.Link.ExpiresAt.IsZero() {
		end = "it ends on " + day(made.Link.ExpiresAt)
	}
	if made.DryRun {
		a.say("dry run: nothing was made")
		if a.json {
			return a.printJSON(made)
		}
		return table(a.out, []string{"KIND", "ENDS"}, [][]string{{string(made.Link.Kind), day(made.Link.ExpiresAt)}})
	}
	if a.json {
		if err := a.printJSON(made); err != nil {
			return err
		}
	} else if _, err := a.out.Write([]byte(made.URL + "\n")); err != nil {
		return err
	}
	a.say("made link %s; %s", made.Link.ID, end)
	a.say("keep the address: it is not shown again")
	a.say("to take it back: vernal rotation link revoke %s", made.Link.ID)
	return nil
}

func (a *app) linkListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the secret addresses, without their secrets",
		Long: `List the secret addresses of every kind, previews too, newest first, without
their secrets. STATE is live, ended or revoked.`,
		Example: `    vernal rotation link list
    ID                KIND      STATE    MADE        ENDS        YEAR  SP  BY
    52ac08bb1f6e9d37  calendar  live     2027-03-02  -           -     -   uid=1000 (ops)
    0d5b61c9e7a3f402  wall      revoked  2027-02-01  2027-04-02  -     -   uid=1000 (ops)`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				links, err := client.Links(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(admin.LinkList{Links: links})
				}
				var rows [][]string
				for _, l := range links {
					rows = append(rows, []string{l.ID, string(l.Kind), linkState(l), day(l.CreatedAt), day(l.ExpiresAt), dash(string(l.Year)), dash(string(l.SP)), l.Actor})
				}
				return table(a.out, []string{"ID", "KIND", "STATE", "MADE", "ENDS", "YEAR", "SP", "BY"}, rows)
			})
		},
	}
}

func linkState(l admin.LinkState) string {
	switch {
	case l.Live:
		return "live"
	case !l.RevokedAt.IsZero():
		return "revoked"
	}
	return "ended"
}

func (a *app) linkRevokeCommand() *cobra.Command {
	req := admin.LinkRevoke{}
	c := &cobra.Command{
		Use:   "revoke ID [--dry-run]",
		Short: "Take a secret address back for good",
		Long: `Take a secret address of any kind back for good: it answers 404 at once. The ID
is that of vernal rotation link list.`,
		Example: `    vernal rotation link revoke 0d5b61c9e7a3f402
    revoked link 0d5b61c9e7a3f402 (wall): its address answers 404`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req.ID = args[0]
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				done, err := client.RevokeLink(ctx, req)
				if err != nil {
					return err
				}
				a.tellRevoked(done)
				if a.json {
					return a.printJSON(done)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "take nothing back, say what would be")
	return c
}

func (a *app) tellRevoked(done admin.LinkRevoked) {
	l := done.Link
	switch {
	case done.Before:
		a.say("link %s (%s) was revoked on %s; nothing was changed", l.ID, l.Kind, day(l.RevokedAt))
	case done.DryRun:
		a.say("dry run: nothing was changed; link %s (%s), made on %s, would be revoked", l.ID, l.Kind, day(l.CreatedAt))
	default:
		a.say("revoked link %s (%s): its address answers 404", l.ID, l.Kind)
	}
}
