package rotation

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/sharelink"
)

func (a *commands) linkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "link",
		Short: "Secret URLs of the wallboard and the calendar",
		Long: `Secret URLs of the wallboard, without contacts, and of the plan as a feed for
calendars. Anyone with the URL can open it without a sign-in, until it ends or
is revoked. The URLs are on the admin listener: on this machine or, with
admin_url, behind a proxy.`,
		Example: `    vernal rotation link wall --days 60
    vernal rotation link calendar
    vernal rotation link list`,
	}
	c.AddCommand(
		a.linkCreateCommand(sharelink.Wallboard, &cobra.Command{
			Short: "Make a URL of the wallboard",
			Long: `Make a URL of the wallboard: the days left, and which service providers have
moved, by name. It shows no contact, certificate or IP address, and loads again
every minute. The URL is printed this once.`,
			Example: `    vernal rotation link wall --days 60
    http://127.0.0.1:9090/rotation/wall/0d5b61c9e7a3f402.3Jx…
    made link 0d5b61c9e7a3f402; it ends on 2027-05-01
    keep the URL: it is not shown again
    to take it back: vernal rotation link revoke 0d5b61c9e7a3f402`,
		}),
		a.linkCreateCommand(sharelink.Calendar, &cobra.Command{
			Short: "Make a URL of the plan as a feed for calendars",
			Long: `Make a URL of the plan as a feed for calendars (iCalendar): every step of
the coming three years and the ends of our certificates, with reminders 14 days
and 1 day before each step that is taken by hand. It names no service provider. The
URL is printed this once. Calendars load it again automatically.`,
			Example: `    vernal rotation link calendar
    http://127.0.0.1:9090/rotation/calendar/52ac08bb1f6e9d37.kB0….ics
    made link 52ac08bb1f6e9d37; it never expires
    keep the URL: it is not shown again
    to take it back: vernal rotation link revoke 52ac08bb1f6e9d37`,
		}),
		a.linkListCommand(),
		a.linkRevokeCommand(),
	)
	return c
}

func (a *commands) linkCreateCommand(kind sharelink.Kind, c *cobra.Command) *cobra.Command {
	req := ops.LinkRequest{Kind: kind}
	c.Use = string(kind) + " [--days N] [--dry-run]"
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("days") && (req.Days < 1 || req.Days > ops.MaxLinkDays) {
			return cli.Usage(c, "--days is 1 to %d", ops.MaxLinkDays)
		}
		return cli.ReportAnswer(c.Context(), a.App, ops.CreateLink, req, a.reportLink)
	}
	c.Flags().IntVar(&req.Days, "days", 0, "end it after `N` days (default never)")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "make nothing, say what would be made")
	return c
}

// reportLink prints a new URL to standard output, and notes about it to standard error.
func (a *commands) reportLink(made ops.CreatedLink) error {
	end := "it never expires"
	if !made.Link.ExpiresAt.IsZero() {
		end = "it ends on " + cli.FormatDay(made.Link.ExpiresAt)
	}
	if made.DryRun {
		a.Say("dry run: nothing was made")
	}
	err := a.Print(made, func() (err error) {
		if made.DryRun {
			return cli.WriteTable(a.Out, []string{"KIND", "ENDS"}, [][]string{{string(made.Link.Kind), cli.FormatDay(made.Link.ExpiresAt)}})
		}
		_, err = fmt.Fprintln(a.Out, made.URL)
		return err
	})
	if err != nil || made.DryRun {
		return err
	}
	a.Say("made link %s; %s", made.Link.ID, end)
	a.Say("keep the URL: it is not shown again")
	a.Say("to take it back: vernal rotation link revoke %s", made.Link.ID)
	return nil
}

// linkKinds are the kinds of links.
var linkKinds = []sharelink.Kind{sharelink.Wallboard, sharelink.Calendar, sharelink.Preview}

// linkFilter selects the links to list.
type linkFilter struct {
	kind  string
	live  bool
	limit int
}

func (a *commands) linkListCommand() *cobra.Command {
	var f linkFilter
	c := &cobra.Command{
		Use:   "list [--kind KIND] [--live] [--limit N]",
		Short: "List the secret URLs, without their secrets",
		Long: `List the secret URLs of every kind, previews too, newest first, without their
secrets. STATE is live, ended or revoked.`,
		Example: `    vernal rotation link list --live
    ID                KIND      STATE    MADE        ENDS        YEAR  SP  BY
    52ac08bb1f6e9d37  calendar  live     2027-03-02  -           -     -   uid=1000
    0d5b61c9e7a3f402  wall      live     2027-02-01  2027-04-02  -     -   uid=1000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.kind != "" && !slices.Contains(linkKinds, sharelink.Kind(f.kind)) {
				return cli.Usage(c, "--kind is wall, calendar or preview")
			}
			if f.limit < 0 {
				return cli.Usage(c, "--limit is under 0")
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.ListLinks, ops.Empty{}, func(list ops.LinkList) error {
				list.Links = slices.DeleteFunc(list.Links, func(l ops.LinkState) bool {
					return f.kind != "" && string(l.Kind) != f.kind || f.live && !l.Live
				})
				list.Links = cli.LimitList(a.App, list.Links, f.limit)
				return a.Print(list, func() error { return a.printLinks(list) })
			})
		},
	}
	c.Flags().StringVar(&f.kind, "kind", "", "only links of this `KIND`")
	c.Flags().BoolVar(&f.live, "live", false, "only links that work")
	c.Flags().IntVar(&f.limit, "limit", 0, "list `N` at most (default all)")
	cli.SetValues(c, "kind", linkKinds...)
	return c
}

func (a *commands) printLinks(list ops.LinkList) error {
	header := []string{"ID", "KIND", "STATE", "MADE", "ENDS", "YEAR", "SP", "BY"}
	return cli.PrintList(a.App, header, list.Links, "no link found", func(l ops.LinkState) []string {
		return []string{l.ID, string(l.Kind), formatLinkState(l), cli.FormatDay(l.CreatedAt), cli.FormatDay(l.ExpiresAt), cli.ReplaceEmpty(string(l.Year)), cli.ReplaceEmpty(string(l.SP)), l.Actor}
	})
}

// completeLinkIDs completes the IDs of links that can be revoked.
func completeLinkIDs(ctx context.Context, a *cli.App, _ string) (ids []string) {
	list, _ := cli.Ask(ctx, a, ops.ListLinks, ops.Empty{})
	for _, l := range list.Links {
		if l.Live {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func formatLinkState(l ops.LinkState) string {
	switch {
	case l.Live:
		return "live"
	case !l.RevokedAt.IsZero():
		return "revoked"
	}
	return "ended"
}

func (a *commands) linkRevokeCommand() *cobra.Command {
	req := ops.RevokeLinkRequest{}
	c := &cobra.Command{
		Use:   "revoke ID [--dry-run]",
		Short: "Revoke a secret URL permanently",
		Long: `Revoke a secret URL of any kind permanently: it answers 404 at once. The ID is
that of vernal rotation link list.`,
		Example: `    vernal rotation link revoke 0d5b61c9e7a3f402
    revoked link 0d5b61c9e7a3f402 (wall): its URL answers 404`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req.ID = args[0]
			return cli.Change(c.Context(), a.App, ops.RevokeLink, req, a.reportRevocation)
		},
	}
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, print what would be revoked")
	a.CompleteArg(c, completeLinkIDs)
	return c
}

func (a *commands) reportRevocation(done ops.RevokedLink) {
	l := done.Link
	switch {
	case done.WasRevoked:
		a.Say("link %s (%s) was revoked on %s; nothing was changed", l.ID, l.Kind, cli.FormatDay(l.RevokedAt))
	case done.DryRun:
		a.Say("dry run: nothing was changed; link %s (%s), made on %s, would be revoked", l.ID, l.Kind, cli.FormatDay(l.CreatedAt))
	default:
		a.Say("revoked link %s (%s): its URL answers 404", l.ID, l.Kind)
	}
}

func (a *commands) previewCommand() *cobra.Command {
	req := ops.PreviewRequest{}
	c := &cobra.Command{
		Use:   "preview YEAR --sp ENTITY_ID [--days N] [--dry-run]",
		Short: "Make a link by which a service provider tries a year that is not published",
		Long: `Make a secret link by which the integrator of one service provider
tries a year that is created and not published yet. Opened in a browser, it lets
that browser sign in through that service provider at the year's URLs, for real;
such sign-ins are marked in the audit trail and never count as use. The URLs of
metadata and certificate contain the same secret. The link is printed this once;
'vernal rotation link list' lists it, and 'vernal rotation link revoke ID'
revokes it. Calls without a browser need 'vernal sp edit ENTITY_ID --preview
YEAR', which opens the year to the service provider in every browser, without a
link.`,
		Example: `    vernal rotation preview 2027 --sp https://app.example.gov/saml --days 14
    link         https://login.example.gov/developers/preview?link=3f9c…
    metadata     https://login.example.gov/api/saml/metadata2027?preview=3f9c…
    certificate  https://login.example.gov/api/saml/certificate2027.pem?preview=3f9c…
    sign-in      https://login.example.gov/api/saml/auth2027
    ends         2027-02-05T09:00:00Z`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if args[0] == "list" || args[0] == "revoke" {
				return cli.Usage(c, "preview links are listed and revoked with 'vernal rotation link %s'", args[0])
			}
			if req.Year, err = parseYearArg(c, args[0]); err != nil {
				return err
			}
			if req.SP == "" {
				return cli.Usage(c, "--sp is missing: the entity ID of the service provider that may try %s", req.Year)
			}
			if req.Days < 1 || req.Days > ops.MaxPreviewDays {
				return cli.Usage(c, "--days is 1 to %d", ops.MaxPreviewDays)
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.CreatePreview, req, a.reportPreview)
		},
	}
	c.Flags().StringVar((*string)(&req.SP), "sp", "", "the `ENTITY_ID` of the service provider")
	c.Flags().IntVar(&req.Days, "days", 14, "end the link after this `NUMBER` of days")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "make nothing, print what would be opened")
	a.CompleteArg(c, cli.FindYears)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
	return c
}

// reportPreview prints a link, and how to use it.
func (a *commands) reportPreview(made ops.PreviewLink) error {
	l := made.Link
	if made.DryRun {
		a.Say("dry run: no link was made")
	}
	err := a.Print(made, func() error {
		return cli.WritePairs(a.Out, [][2]string{
			{"link", made.URL}, {"metadata", made.MetadataURL}, {"certificate", made.CertificateURL},
			{"sign-in", made.AuthURL}, {"ends", cli.FormatTime(l.ExpiresAt)},
		})
	})
	if err != nil {
		return err
	}
	for _, note := range made.Notes {
		a.Say("note: %s", idp.ReplaceControls(note))
	}
	a.SaySuggestions(made.Suggestions)
	if made.DryRun {
		return nil
	}
	a.Say("send these lines to the integrator of %s: who opens the link can try %s in that browser", idp.ReplaceControls(made.Name), l.Year)
	a.Say("they hold a secret and are printed this once; to take them back: vernal rotation link revoke %s", l.ID)
	a.Say("next: vernal rotation rehearse %s", l.Year)
	return nil
}
