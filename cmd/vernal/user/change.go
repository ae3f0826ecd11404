package user

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/shellquote"
)

// primaryEmail returns a user's first email address.
func primaryEmail(u ops.User) string {
	if len(u.Emails) == 0 {
		return string(u.ID)
	}
	return u.Emails[0].Address
}

// lastSignIn returns the time of the latest sign-in with any of a user's email addresses.
func lastSignIn(u ops.User) time.Time {
	var at time.Time
	for _, e := range u.Emails {
		if e.LastSignInAt.After(at) {
			at = e.LastSignInAt
		}
	}
	return at
}

// changeUser makes one change, reports it, and prints the user with --json.
func (a *commands) changeUser(c *cobra.Command, op ops.Op[ops.UserRequest, ops.ChangedUser], req ops.UserRequest, done string) error {
	changed, err := cli.Ask(c.Context(), a.App, op, req)
	if err != nil {
		return err
	}
	a.Say("%s %s", primaryEmail(changed.User), done)
	if n := changed.SessionsEnded; n > 0 {
		a.Say("%s ended", cli.FormatCount(n, "session"))
	}
	if op.Path == ops.ResetMFA.Path && changed.TOTPSecret == "" {
		a.Say("the user cannot sign in where a second factor is needed; next: vernal user reset-mfa %s --totp", shellquote.Quote(req.Email))
	}
	return a.Print(changed, func() error { return a.printTOTP(changed.TOTPSecret, changed.TOTPURL) })
}

func (a *commands) setPasswordCommand() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use:     "set-password ID|EMAIL --password-stdin",
		Short:   "Set a new password; ends the sessions, forgets the devices",
		Example: `    vernal user set-password ana@example.gov --password-stdin <password.txt`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := a.Password(c, stdin)
			if err != nil {
				return err
			}
			return a.changeUser(c, ops.SetPassword, ops.UserRequest{Email: args[0], Password: password}, "has a new password")
		},
	}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) resetMFACommand() *cobra.Command {
	var totp totpFlags
	c := &cobra.Command{
		Use:   "reset-mfa ID|EMAIL [--totp | --totp-secret BASE32]",
		Short: "Remove the second factors and remembered devices; ends the sessions",
		Example: `    vernal user reset-mfa ana@example.gov --totp
    TOTP secret   JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    TOTP URL      otpauth://totp/Vernal:ana@example.gov?…`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := totp.checkFlags(c); err != nil {
				return err
			}
			done := "has no second factor any more"
			if totp.isWanted() {
				done = "has a new authenticator; earlier second factors are gone"
			}
			return a.changeUser(c, ops.ResetMFA, ops.UserRequest{
				Email: args[0], TOTP: totp.isWanted(), TOTPSecret: totp.secret, TOTPPeriod: totp.period,
			}, done)
		},
	}
	totp.addFlags(c)
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) lockCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     "lock ID|EMAIL",
		Short:   "Keep a user from signing in; ends the sessions",
		Example: `    vernal user lock ana@example.gov --reason "left the agency"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUser(c, ops.LockUser, ops.UserRequest{Email: args[0], Reason: reason}, "is locked")
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, a `TEXT` that 'user show' prints")
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) unlockCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "unlock ID|EMAIL",
		Short:   "Let a user sign in again, also after too many failures",
		Example: `    vernal user unlock ana@example.gov`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUser(c, ops.UnlockUser, ops.UserRequest{Email: args[0]}, "can sign in")
		},
	}
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) deleteCommand() *cobra.Command {
	var yes string
	c := &cobra.Command{
		Use:   "delete ID|EMAIL --yes ID|EMAIL",
		Short: "Delete a user and end their sessions",
		Long: `Delete a user and end their sessions. This cannot be undone. The NameIDs that
service providers know the user by are never given to anyone else.

The key that sealed the user's record is deleted too. Backups, and free pages of
vernal.db, can still hold both: they can be read with the master key that was in use
then. 'vernal rekey' ends that one.`,
		Example: `    vernal user delete ana@example.gov --yes ana@example.gov`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if yes != args[0] { // confirm only for an existing user
				if _, err := cli.Ask(c.Context(), a.App, ops.ShowUser, ops.UserRequest{Email: args[0]}); errors.Is(err, idp.ErrNotFound) {
					return err
				}
			}
			if err := a.Confirm("delete "+args[0], args[0], yes); err != nil {
				return err
			}
			return cli.Change(c.Context(), a.App, ops.DeleteUser, ops.UserRequest{Email: args[0]}, func(ops.DeletedUser) {
				a.Say("%s is deleted: sessions have ended, NameIDs stay taken", args[0])
			})
		},
	}
	c.Flags().StringVar(&yes, "yes", "", "confirm, by the `EMAIL` or ID, as given")
	a.CompleteArg(c, cli.FindEmails)
	a.CompleteFlag(c, "yes", cli.FindEmails)
	return c
}
