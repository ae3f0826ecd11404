package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
)

func (a *app) rotationPreviewCommand() *cobra.Command {
	req := admin.PreviewRequest{}
	var sp string
	c := &cobra.Command{
		Use:   "preview YEAR --sp ENTITY_ID [--days N] [--dry-run]",
		Short: "Make a link by which a service provider tries a year that is not published",
		Long: `Make a secret link by which the integrator of one service provider tries a year
that is created and not published yet. Opened in a browser, it lets that browser
sign in through that service provider on the year's addresses, for real; such
sign-ins are marked in the audit trail and never count as use. The addresses of
metadata and certificate carry the same secret. The link is printed this once;
'vernal rotation link list' shows that it is there, and 'vernal rotation link
revoke ID' takes it back. What calls without a browser needs 'vernal sp edit
ENTITY_ID --preview YEAR', which opens the year to the service provider in
every browser, without a link.`,
		Example: `    vernal rotation preview 2027 --sp https://app.example.gov/saml --days 14
    link         https://login.example.gov/developers/preview?link=3f9c…
    metadata     https://login.example.gov/api/saml/metadata2027?preview=3f9c…
    certificate  https://login.example.gov/api/saml/certificate2027.pem?preview=3f9c…
    sign-in      https://login.example.gov/api/saml/auth2027
    ends         2027-02-05T09:00:00Z`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if args[0] == "list" || args[0] == "revoke" {
				return usage(c, "preview links are listed and revoked with 'vernal rotation link %s'", args[0])
			}
			if req.Year, err = yearArg(c, args[0]); err != nil {
				return err
			}
			if sp == "" {
				return usage(c, "--sp is missing: the entity ID of the service provider that may try %s", req.Year)
			}
			if req.Days < 1 || req.Days > admin.MaxPreviewDays {
				return usage(c, "--days is 1 to %d", admin.MaxPreviewDays)
			}
			req.SP = idp.EntityID(sp)
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				made, err := client.RotationPreview(ctx, req)
				if err != nil {
					return err
				}
				return a.tellPreview(made)
			})
		},
	}
	c.Flags().StringVar(&sp, "sp", "", "the `ENTITY_ID` of the service provider")
	c.Flags().IntVar(&req.Days, "days", 14, "how many `DAYS` the link lasts")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "make nothing, print what would be opened")
	return c
}

// tellPreview prints a link, and what to do with it.
func (a *app) tellPreview(made admin.PreviewLink) error {
	l := made.Link
	if made.DryRun {
		a.say("dry run: no link was made")
	}
	if a.json {
		if err := a.printJSON(made); err != nil {
			return err
		}
	} else {
		if err := pairs(a.out, [][2]string{
			{"link", made.URL}, {"metadata", made.MetadataURL}, {"certificate", made.CertificateURL},
			{"sign-in", made.AuthURL}, {"ends", moment(l.ExpiresAt)},
		}); err != nil {
			return err
		}
	}
	for _, note := range made.Notes {
		a.say("note: %s", idp.OneLine(note))
	}
	a.saySuggestions(made.Suggestions)
	if made.DryRun {
		return nil
	}
	a.say("send these lines to the integrator of %s: who opens the link can try %s in that browser", idp.OneLine(made.Name), l.Year)
	a.say("they hold a secret and are printed this once; to take them back: vernal rotation link revoke %s", l.ID)
	a.say("next: %s", fmt.Sprintf("vernal rotation rehearse %s", l.Year))
	return nil
}
