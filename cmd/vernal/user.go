package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vernal/idp/admin"
	"vernal/idp/shellquote"
)

func (a *app) userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "The people who can sign in",
	}
	c.AddCommand(
		a.userAddCommand(),
		a.userListCommand(),
		a.userShowCommand(),
		a.userSetPasswordCommand(),
		a.userResetMFACommand(),
		a.userLockCommand(),
		a.userUnlockCommand(),
		a.userVerifyCommand(),
		a.userImportCommand(),
		a.userExportCommand(),
		a.userDeleteCommand(),
	)
	return c
}

// totpFlags are the options for a new authenticator.
type totpFlags struct {
	totp   bool
	secret string
	period int
}

func (f *totpFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.totp, "totp", false, "enrol an authenticator with a new secret, and print it")
	c.Flags().StringVar(&f.secret, "totp-secret", "", "enrol an authenticator with this secret, `BASE32`")
	c.Flags().IntVar(&f.period, "totp-period", 0, "the `SECONDS` that a code lasts, 30 or 60 (default 30)")
}

// wanted reports whether an authenticator is asked for.
func (f *totpFlags) wanted() bool { return f.totp || f.secret != "" }

func (f *totpFlags) check(c *cobra.Command) error {
	if c.Flags().Changed("totp-secret") && f.secret == "" {
		return usage(c, "--totp-secret is empty")
	}
	if c.Flags().Changed("totp-period") && f.period != 30 && f.period != 60 {
		return usage(c, "--totp-period is 30 or 60")
	}
	if c.Flags().Changed("totp-period") && !f.wanted() {
		return usage(c, "--totp-period needs --totp or --totp-secret")
	}
	return nil
}

func (a *app) userAddCommand() *cobra.Command {
	var email string
	var stdin bool
	var totp totpFlags
	c := &cobra.Command{
		Use:   "add --email ADDRESS --password-stdin [--totp | --totp-secret BASE32]",
		Short: "Add a person",
		Long: `Add a person with an e-mail address, a password and, usually, an authenticator.
The secret of the authenticator and its otpauth address are printed this once.`,
		Example: `    printf %s 'plum jam on nine windows' |
        vernal user add --email ana@example.gov --password-stdin --totp
    TOTP secret   JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    TOTP address  otpauth://totp/Vernal:ana@example.gov?…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if email == "" {
				return usage(c, "--email is missing")
			}
			if err := totp.check(c); err != nil {
				return err
			}
			password, err := a.password(c, stdin)
			if err != nil {
				return err
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				added, err := client.AddUser(ctx, admin.NewUser{
					Email: email, Password: password, TOTP: totp.wanted(), TOTPSecret: totp.secret, TOTPPeriod: totp.period,
				})
				if err != nil {
					return err
				}
				return a.printAdded(added)
			})
		},
	}
	c.Flags().StringVar(&email, "email", "", "the person's e-mail `ADDRESS`")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	totp.add(c)
	return c
}

func (a *app) printAdded(added admin.UserAdded) error {
	email := added.User.Emails[0].Address
	a.say("added %s", email)
	if added.TOTPSecret == "" {
		a.say("there is no authenticator; next: vernal user reset-mfa %s --totp", shellquote.Quote(email))
	}
	if a.json {
		return a.printJSON(added)
	}
	return a.printTOTP(added.TOTPSecret, added.TOTPURL)
}

func (a *app) printTOTP(secret, address string) error {
	if secret == "" {
		return nil
	}
	a.say("hand this to the person now; it is not shown again")
	return pairs(a.out, [][2]string{{"TOTP secret", secret}, {"TOTP address", address}})
}

// withClient runs f with a client of the server, or of the store.
func (a *app) withClient(ctx context.Context, f func(context.Context, *admin.Client) error) error {
	client, _, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	return f(ctx, client)
}

func (a *app) userListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List everybody",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				users, err := client.Users(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(users)
				}
				var rows [][]string
				for _, u := range users {
					rows = append(rows, []string{primary(u), yesNo(u.HasPassword), fmt.Sprint(len(u.TOTPs)), yesNo(u.Locked), day(lastSignIn(u)), day(u.CreatedAt)})
				}
				return table(a.out, []string{"EMAIL", "PASSWORD", "TOTP", "LOCKED", "LAST SIGN-IN", "ADDED"}, rows)
			})
		},
	}
}

func (a *app) userShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show EMAIL",
		Short:   "Show one person",
		Example: `    vernal user show ana@example.gov`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				u, err := client.User(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(u)
				}
				return pairs(a.out, userPairs(u))
			})
		},
	}
}

func userPairs(u admin.User) [][2]string {
	var emails, totps []string
	for _, e := range u.Emails {
		emails = append(emails, e.Address)
	}
	for _, t := range u.TOTPs {
		totps = append(totps, strings.TrimSpace(fmt.Sprintf("%s every %d s, since %s", t.Name, t.Period, day(t.AddedAt))))
	}
	locked := "no"
	if u.Locked {
		locked = "since " + moment(u.LockedAt)
		if u.LockReason != "" {
			locked += ": " + u.LockReason
		}
	}
	return [][2]string{
		{"id", string(u.ID)},
		{"emails", strings.Join(emails, "\n")},
		{"role", u.Role},
		{"password", yesNo(u.HasPassword)},
		{"password changed", moment(u.PasswordChangedAt)},
		{"TOTP", strings.Join(totps, "\n")},
		{"remembered in", strings.Join(rememberedIn(u), "\n")},
		{"identity", identity(u.Profile)},
		{"locked", locked},
		{"last sign-in", moment(lastSignIn(u))},
		{"added", moment(u.CreatedAt)},
		{"changed", moment(u.UpdatedAt)},
	}
}

// rememberedIn describes the browsers that stand for a person's second factor.
func rememberedIn(u admin.User) (all []string) {
	for _, d := range u.Devices {
		text := cmp.Or(strings.Trim(d.Browser+", "+d.System, ", "), "unknown browser") + ", until " + moment(d.RememberedUntil)
		if !d.UsedAt.IsZero() {
			text += ", last used " + moment(d.UsedAt)
		}
		all = append(all, text)
	}
	return all
}
