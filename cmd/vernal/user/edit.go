package user

import (
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
)

func (a *commands) editCommand() *cobra.Command {
	var req ops.EditUserRequest
	var lang string
	c := &cobra.Command{
		Use:   "edit ID|EMAIL [--add-email EMAIL] [--primary EMAIL] [--remove-email EMAIL] [--lang LANG]",
		Short: "Change a user's email addresses and language",
		Long: `Change a user's email addresses and the language of mails to the user. An added
email address counts as confirmed, so make sure that it is the user's: passwords can
be reset with it. The primary email address is the one that the user is named by. The
changes are made in the order of this list, all or none. The user is notified by mail
of changed email addresses. Sessions do not end.

A service provider may get the email address of the user's last sign-in, and one
that knows users by their email address keeps the earlier one.`,
		Example: `    vernal user edit ana@example.gov --add-email ana.ruiz@example.gov
    vernal user edit ana@example.gov --primary ana.ruiz@example.gov
    vernal user edit ana.ruiz@example.gov --remove-email ana@example.gov
    vernal user edit ana.ruiz@example.gov --lang es`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req.Email = args[0]
			if c.Flags().Changed("lang") {
				req.Lang = &lang
			}
			if req.Lang == nil && len(req.AddEmails)+len(req.RemoveEmails) == 0 && req.Primary == "" {
				return cli.Usage(c, "give --add-email, --primary, --remove-email or --lang")
			}
			return cli.Change(c.Context(), a.App, ops.EditUser, req, func(u ops.User) {
				var emails []string
				for _, e := range u.Emails {
					emails = append(emails, e.Address)
				}
				a.Say("%s has the email addresses %s", u.ID, strings.Join(emails, ", "))
			})
		},
	}
	c.Flags().StringArrayVar(&req.AddEmails, "add-email", nil, "add a confirmed `EMAIL` address; repeatable")
	c.Flags().StringArrayVar(&req.RemoveEmails, "remove-email", nil, "remove the `EMAIL` address; repeatable")
	c.Flags().StringVar(&req.Primary, "primary", "", "make the `EMAIL` address the primary one")
	c.Flags().StringVar(&lang, "lang", "", "the `LANG` of mails, en, es or fr; \"\" for the first language of the installation")
	cli.SetValues(c, "lang", "en", "es", "fr")
	a.CompleteArg(c, cli.FindEmails)
	return c
}
