package rotation

import (
	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
)

func (a *commands) previewCommand() *cobra.Command {
	req := ops.PreviewRequest{}
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
				return cli.Usage(c, "preview links are listed and revoked with 'vernal rotation link %s'", args[0])
			}
			if req.Year, err = yearArg(c, args[0]); err != nil {
				return err
			}
			if sp == "" {
				return cli.Usage(c, "--sp is missing: the entity ID of the service provider that may try %s", req.Year)
			}
			if req.Days < 1 || req.Days > ops.MaxPreviewDays {
				return cli.Usage(c, "--days is 1 to %d", ops.MaxPreviewDays)
			}
			req.SP = idp.EntityID(sp)
			return cli.ReportAnswer(c.Context(), a.App, ops.CreatePreview, req, a.reportPreview)
		},
	}
	c.Flags().StringVar(&sp, "sp", "", "the `ENTITY_ID` of the service provider")
	c.Flags().IntVar(&req.Days, "days", 14, "how many `DAYS` the link lasts")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "make nothing, print what would be opened")
	return c
}

// reportPreview prints a link, and what to do with it.
func (a *commands) reportPreview(made ops.PreviewLink) error {
	l := made.Link
	if made.DryRun {
		a.Say("dry run: no link was made")
	}
	err := a.Print(made, func() error {
		return cli.Pairs(a.Out, [][2]string{
			{"link", made.URL}, {"metadata", made.MetadataURL}, {"certificate", made.CertificateURL},
			{"sign-in", made.AuthURL}, {"ends", cli.Moment(l.ExpiresAt)},
		})
	})
	if err != nil {
		return err
	}
	for _, note := range made.Notes {
		a.Say("note: %s", idp.OneLine(note))
	}
	a.SaySuggestions(made.Suggestions)
	if made.DryRun {
		return nil
	}
	a.Say("send these lines to the integrator of %s: who opens the link can try %s in that browser", idp.OneLine(made.Name), l.Year)
	a.Say("they hold a secret and are printed this once; to take them back: vernal rotation link revoke %s", l.ID)
	a.Say("next: vernal rotation rehearse %s", l.Year)
	return nil
}
