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
	var latestAt time.Time
	for _, e := range u.Emails {
		if e.LastSignInAt.After(latestAt) {
			latestAt = e.LastSignInAt
		}
	}
	return latestAt
}

// changeUser makes one change, reports it, and prints the user with --json.
func (a *commands) changeUser(c *cobra.Command, op ops.Op[ops.UserRequest, ops.ChangedUser], req ops.UserRequest, result string) error {
	answer, err := cli.Ask(c.Context(), a.App, op, req)
	if err != nil {
		return err
	}
	if !answer.DueAt.IsZero() {
		a.Say("%s keeps the second factors until %s and is notified by email, then sets up a new authenticator", primaryEmail(answer.User), cli.FormatTime(answer.DueAt))
		a.Say("the user can cancel this. To remove the factors at once, add --now")
		return a.Print(answer, func() error { return nil })
	}
	a.Say("%s %s", primaryEmail(answer.User), result)
	if n := answer.SessionsEnded; n > 0 {
		a.Say("%s ended", cli.FormatCount(n, "session"))
	}
	if op.Path == ops.ResetMFA.Path && answer.TOTPSecret == "" {
		a.Say("the user cannot sign in where a second factor is needed: run vernal user reset-mfa %s --now --totp", shellquote.Quote(req.Email))
	}
	return a.Print(answer, func() error { return a.printTOTP(answer.TOTPSecret, answer.TOTPURL) })
}

func (a *commands) setPasswordCommand() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use:     "set-password ID|EMAIL --password-stdin",
		Short:   "Set a new password, end the sessions and forget the devices",
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
	var now bool
	c := &cobra.Command{
		Use:   "reset-mfa ID|EMAIL [--now] [--totp | --totp-secret BASE32]",
		Short: "Remove the second factors and remembered devices, and end the sessions",
		Long: `Remove the second factors, recovery codes and remembered devices of a user, and
end the sessions.

A user with a confirmed email address keeps them for 24 hours, is notified by
email and can cancel the removal. After that, the user signs in with the password
and sets up a new authenticator. This protects users from someone who persuades
you to reset their account.

--now removes them at once. Use it if you have checked in person who the user is,
or if the account is in the wrong hands. It is also needed for a new authenticator.
Without a mail server or a confirmed email address, no one can be notified, and
they are always removed at once.`,
		Example: `    vernal user reset-mfa ana@example.gov
    vernal user reset-mfa ana@example.gov --now --totp
    TOTP secret   JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    TOTP URL      otpauth://totp/Vernal:ana@example.gov?…`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := totp.checkFlags(c); err != nil {
				return err
			}
			result := "has no second factor any more"
			if totp.isWanted() {
				result = "has a new authenticator in place of all earlier second factors"
			}
			return a.changeUser(c, ops.ResetMFA, ops.UserRequest{
				Email: args[0], TOTP: totp.isWanted(), TOTPSecret: totp.secret, TOTPPeriod: totp.period, Now: now,
			}, result)
		},
	}
	totp.addFlags(c)
	c.Flags().BoolVar(&now, "now", false, "remove them at once, without the waiting period")
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) lockCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     "lock ID|EMAIL",
		Short:   "Keep a user from signing in, and end their sessions",
		Example: `    vernal user lock ana@example.gov --reason "left the agency"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeUser(c, ops.LockUser, ops.UserRequest{Email: args[0], Reason: reason}, "is locked")
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "the reason, a `TEXT` that 'user show' prints")
	a.CompleteArg(c, cli.FindEmails)
	return c
}

func (a *commands) unlockCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "unlock ID|EMAIL",
		Short:   "Let a user sign in again, also after too many failed attempts",
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
		Long: `Delete a user and end their sessions. This cannot be undone. The user's NameIDs
are never given to anyone else.

The key that sealed the user's record is deleted too. Backups and free pages of
vernal.db can still contain both. They can be read with the master key that was in
use at that time. To replace it, run 'vernal rekey'.`,
		Example: `    vernal user delete ana@example.gov --yes ana@example.gov`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if yes != args[0] { // ask only about an existing user
				if _, err := cli.Ask(c.Context(), a.App, ops.ShowUser, ops.UserRequest{Email: args[0]}); errors.Is(err, idp.ErrNotFound) {
					return err
				}
			}
			if err := a.Confirm("delete "+args[0], args[0], yes); err != nil {
				return err
			}
			return cli.Change(c.Context(), a.App, ops.DeleteUser, ops.UserRequest{Email: args[0]}, func(ops.DeletedUser) {
				a.Say("%s is deleted: the sessions have ended, and no one else gets the NameIDs", args[0])
			})
		},
	}
	c.Flags().StringVar(&yes, "yes", "", "confirm with the `EMAIL` or ID that you gave")
	a.CompleteArg(c, cli.FindEmails)
	a.CompleteFlag(c, "yes", cli.FindEmails)
	return c
}
