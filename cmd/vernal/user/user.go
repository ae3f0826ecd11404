// Package user is the command "vernal user", which manages users.
package user

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
	"vernal/idp/shellquote"
)

// commands are those of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "user",
		Short: "The people who can sign in",
		Example: `    vernal user add --email ana@example.gov --totp
    vernal user list --search example.gov
    vernal user show ana@example.gov`,
	}
	c.AddCommand(
		a.addCommand(),
		a.listCommand(),
		a.showCommand(),
		a.setPasswordCommand(),
		a.resetMFACommand(),
		a.lockCommand(),
		a.unlockCommand(),
		a.verifyCommand(),
		a.importCommand(),
		a.exportCommand(),
		a.deleteCommand(),
	)
	return c
}

// totpFlags are the options for a new authenticator.
type totpFlags struct {
	totp   bool
	secret string
	period int
}

func (f *totpFlags) addTo(c *cobra.Command) {
	c.Flags().BoolVar(&f.totp, "totp", false, "enrol an authenticator with a new secret, and print it")
	c.Flags().StringVar(&f.secret, "totp-secret", "", "enrol an authenticator with this secret, `BASE32`")
	c.Flags().IntVar(&f.period, "totp-period", 0, "the `SECONDS` that a code lasts, 30 or 60 (default 30)")
}

// isWanted reports whether an authenticator is asked for.
func (f *totpFlags) isWanted() bool { return f.totp || f.secret != "" }

func (f *totpFlags) checkFlags(c *cobra.Command) error {
	if c.Flags().Changed("totp-secret") && f.secret == "" {
		return cli.Usage(c, "--totp-secret is empty")
	}
	if c.Flags().Changed("totp-period") && f.period != 30 && f.period != 60 {
		return cli.Usage(c, "--totp-period is 30 or 60")
	}
	if c.Flags().Changed("totp-period") && !f.isWanted() {
		return cli.Usage(c, "--totp-period needs --totp or --totp-secret")
	}
	return nil
}

func (a *commands) addCommand() *cobra.Command {
	var email string
	var stdin bool
	var totp totpFlags
	c := &cobra.Command{
		Use:   "add --email EMAIL --password-stdin [--totp | --totp-secret BASE32]",
		Short: "Add a user",
		Long: `Add a user with an email address, a password and, usually, an authenticator.
The secret of the authenticator and its otpauth address are printed this once.`,
		Example: `    printf %s 'plum jam on nine windows' |
        vernal user add --email ana@example.gov --password-stdin --totp
    TOTP secret   JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    TOTP address  otpauth://totp/Vernal:ana@example.gov?…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if email == "" {
				return cli.Usage(c, "--email is missing")
			}
			if err := totp.checkFlags(c); err != nil {
				return err
			}
			password, err := a.Password(c, stdin)
			if err != nil {
				return err
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.AddUser, account.NewUser{
				Email: email, Password: password, TOTP: totp.isWanted(), TOTPSecret: totp.secret, TOTPPeriod: totp.period,
			}, a.printAdded)
		},
	}
	c.Flags().StringVar(&email, "email", "", "the user's `EMAIL` address")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	totp.addTo(c)
	return c
}

func (a *commands) printAdded(added ops.UserAdded) error {
	email := added.User.Emails[0].Address
	a.Say("added %s", email)
	if added.TOTPSecret == "" {
		a.Say("there is no authenticator; next: vernal user reset-mfa %s --totp", shellquote.Quote(email))
	}
	return a.Print(added, func() error { return a.printTOTP(added.TOTPSecret, added.TOTPURL) })
}

func (a *commands) printTOTP(secret, address string) error {
	if secret == "" {
		return nil
	}
	a.Say("hand this to the person now; it is not shown again")
	return cli.Pairs(a.Out, [][2]string{{"TOTP secret", secret}, {"TOTP address", address}})
}

func (a *commands) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all users",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all := []ops.User{}
			for req := (ops.UsersRequest{}); ; {
				page, err := cli.Ask(c.Context(), a.App, ops.ListUsers, req)
				if err != nil {
					return err
				}
				all = append(all, page.Users...)
				if req.After = page.Next; req.After == "" {
					return a.Print(all, func() error { return a.printUsers(all) })
				}
			}
		},
	}
}

func (a *commands) printUsers(users []ops.User) error {
	header := []string{"EMAIL", "PASSWORD", "TOTP", "LOCKED", "LAST SIGN-IN", "ADDED"}
	return cli.TableOf(a.Out, header, users, func(u ops.User) []string {
		return []string{primaryEmail(u), cli.YesNo(u.HasPassword), fmt.Sprint(len(u.TOTPs)), cli.YesNo(u.Locked), cli.Day(lastSignIn(u)), cli.Day(u.CreatedAt)}
	})
}

func (a *commands) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show EMAIL",
		Short:   "Show one user",
		Example: `    vernal user show ana@example.gov`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return cli.Read(c.Context(), a.App, ops.ShowUser, ops.UserRequest{Email: args[0]}, func(u ops.User) error {
				return cli.Pairs(a.Out, userPairs(u))
			})
		},
	}
}

func userPairs(u ops.User) [][2]string {
	var emails, totps []string
	for _, e := range u.Emails {
		emails = append(emails, e.Address)
	}
	for _, t := range u.TOTPs {
		totps = append(totps, strings.TrimSpace(fmt.Sprintf("%s every %d s, since %s", t.Name, t.Period, cli.Day(t.AddedAt))))
	}
	locked := "no"
	if u.Locked {
		locked = "since " + cli.Moment(u.LockedAt)
		if u.LockReason != "" {
			locked += ": " + u.LockReason
		}
	}
	return [][2]string{
		{"id", string(u.ID)},
		{"emails", strings.Join(emails, "\n")},
		{"role", u.Role},
		{"password", cli.YesNo(u.HasPassword)},
		{"password changed", cli.Moment(u.PasswordChangedAt)},
		{"TOTP", strings.Join(totps, "\n")},
		{"remembered in", strings.Join(rememberedIn(u), "\n")},
		{"identity", identityText(u.Profile)},
		{"locked", locked},
		{"last sign-in", cli.Moment(lastSignIn(u))},
		{"added", cli.Moment(u.CreatedAt)},
		{"changed", cli.Moment(u.UpdatedAt)},
	}
}

// rememberedIn describes the browsers that stand for a person's second factor.
func rememberedIn(u ops.User) (all []string) {
	for _, d := range u.Devices {
		text := cmp.Or(strings.Trim(d.Browser+", "+d.System, ", "), "unknown browser") + ", until " + cli.Moment(d.RememberedUntil)
		if !d.UsedAt.IsZero() {
			text += ", last used " + cli.Moment(d.UsedAt)
		}
		all = append(all, text)
	}
	return all
}
