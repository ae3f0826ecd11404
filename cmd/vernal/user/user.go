// Package user is the command "vernal user", which manages users.
package user

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
	"vernal/idp/shellquote"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "user",
		Short: "The users who can sign in",
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

func (f *totpFlags) addFlags(c *cobra.Command) {
	c.Flags().BoolVar(&f.totp, "totp", false, "enrol an authenticator with a new secret, and print it")
	c.Flags().StringVar(&f.secret, "totp-secret", "", "enrol an authenticator with this secret, `BASE32`")
	c.Flags().IntVar(&f.period, "totp-period", 0, "the `SECONDS` that a code lasts, 30 or 60 (default 30)")
}

// isWanted reports whether an authenticator is requested.
func (f *totpFlags) isWanted() bool { return f.totp || f.secret != "" }

func (f *totpFlags) checkFlags(c *cobra.Command) error {
	if c.Flags().Changed("totp-secret") && f.secret == "" {
		return cli.Usage(c, "--totp-secret is empty")
	}
	if c.Flags().Changed("totp-period") && f.period != 30 && f.period != 60 {
		return cli.Usage(c, "--totp-period must be 30 or 60, not %d", f.period)
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
The secret of the authenticator and its otpauth URL are printed this once.`,
		Example: `    printf %s 'plum jam on nine windows' |
        vernal user add --email ana@example.gov --password-stdin --totp
    TOTP secret   JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
    TOTP URL      otpauth://totp/Vernal:ana@example.gov?…`,
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
			}, a.printAddedUser)
		},
	}
	c.Flags().StringVar(&email, "email", "", "the user's `EMAIL` address")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	totp.addFlags(c)
	return c
}

func (a *commands) printAddedUser(answer ops.AddedUser) error {
	email := answer.User.Emails[0].Address
	a.Say("added %s", email)
	if answer.TOTPSecret == "" {
		a.Say("the user has no authenticator yet: run vernal user reset-mfa %s --now --totp", shellquote.Quote(email))
	}
	return a.Print(answer, func() error { return a.printTOTP(answer.TOTPSecret, answer.TOTPURL) })
}

func (a *commands) printTOTP(secret, totpURL string) error {
	if secret == "" {
		return nil
	}
	a.Say("give this to the user now: it is not shown again")
	return cli.WritePairs(a.Out, [][2]string{{"TOTP secret", secret}, {"TOTP URL", totpURL}})
}

// The values of --sort. Without it, the server lists users by ID, page by page.
const (
	sortEmail      = "email"
	sortAddedAt    = "added"
	sortLastSignIn = "last-sign-in"
)

var userOrders = map[string]func(a, b ops.User) int{
	sortEmail: func(a, b ops.User) int {
		return cmp.Compare(strings.ToLower(primaryEmail(a)), strings.ToLower(primaryEmail(b)))
	},
	sortAddedAt:    func(a, b ops.User) int { return a.CreatedAt.Compare(b.CreatedAt) },
	sortLastSignIn: func(a, b ops.User) int { return lastSignIn(b).Compare(lastSignIn(a)) },
}

func (a *commands) listCommand() *cobra.Command {
	var req ops.UsersRequest
	var sort string
	var limit int
	c := &cobra.Command{
		Use:   "list [--search TEXT] [--locked] [--role ROLE] [--sort ORDER] [--limit N]",
		Short: "List users",
		Long: `List all users, or those that match every option. --search finds a
part of an email address, or the beginning of an ID, in any case. Without --sort
users are sorted by ID.`,
		Example: `    vernal user list --search @example.gov --limit 20
    vernal user list --locked
    vernal user list --sort last-sign-in --limit 10`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			order := userOrders[sort]
			switch {
			case sort != "" && order == nil:
				return cli.Usage(c, "--sort must be email, added or last-sign-in, not %q", sort)
			case limit < 0:
				return cli.Usage(c, "--limit must be 0 or more, not %d", limit)
			}
			req.Limit = 0
			if order == nil && limit > 0 {
				req.Limit = limit + 1
			}
			users, err := a.findUsers(c.Context(), req, req.Limit)
			if err != nil {
				return err
			}
			if order != nil {
				slices.SortStableFunc(users, order)
			}
			users = cli.LimitList(a.App, users, limit)
			return a.Print(users, func() error { return a.printUsers(users) })
		},
	}
	c.Flags().StringVar(&req.Search, "search", "", "only users with this `TEXT` in an email address, or ID")
	c.Flags().BoolVar(&req.Locked, "locked", false, "only users that are locked")
	c.Flags().StringVar(&req.Role, "role", "", "only users with this `ROLE`")
	c.Flags().StringVar(&sort, "sort", "", "the `ORDER`: by email, oldest first, or latest sign-in first")
	c.Flags().IntVar(&limit, "limit", 0, "list `N` at most (default all)")
	cli.SetValues(c, "sort", sortEmail, sortAddedAt, sortLastSignIn)
	return c
}

// findUsers returns the users that req selects. A limit of 0 means no limit.
func (a *commands) findUsers(ctx context.Context, req ops.UsersRequest, limit int) ([]ops.User, error) {
	users := []ops.User{}
	for {
		page, err := cli.Ask(ctx, a.App, ops.ListUsers, req)
		if err != nil {
			return nil, err
		}
		users = append(users, page.Users...)
		if req.After = page.Next; req.After == "" || limit > 0 && len(users) >= limit {
			return users, nil
		}
	}
}

func (a *commands) printUsers(users []ops.User) error {
	header := []string{"EMAIL", "PASSWORD", "TOTP", "LOCKED", "LAST SIGN-IN", "ADDED"}
	return cli.PrintList(a.App, header, users, "no user found", func(u ops.User) []string {
		return []string{primaryEmail(u), cli.FormatBool(u.HasPassword), fmt.Sprint(len(u.TOTPs)), cli.FormatBool(u.Locked), cli.FormatDay(lastSignIn(u)), cli.FormatDay(u.CreatedAt)}
	})
}

func (a *commands) showCommand() *cobra.Command {
	var nameID, sp string
	c := &cobra.Command{
		Use:   "show (ID | EMAIL | --name-id VALUE --sp ENTITY_ID)",
		Short: "Show one user",
		Long: `Show one user, named by email address, by the ID in the audit trail, or by the
NameID that a service provider has for the user, for example in its log.`,
		Example: `    vernal user show ana@example.gov
    vernal user show --name-id 4f0c9a7e-1b7d-4f5e-9f5c-0d9a1c3b2e4f \
        --sp https://app.example.gov/saml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req := ops.UserRequest{NameID: idp.NameID(strings.TrimSpace(nameID)), SP: idp.EntityID(sp)}
			switch {
			case len(args) == 1 && (nameID != "" || sp != ""):
				return cli.Usage(c, "give an ID or EMAIL, or --name-id with --sp, not both")
			case len(args) == 1:
				req.Email = args[0]
			case nameID == "" && sp == "":
				return cli.Usage(c, "ID or EMAIL is required: vernal user show EMAIL")
			case nameID == "":
				return cli.Usage(c, "--sp needs --name-id VALUE")
			case sp == "":
				return cli.Usage(c, "--name-id needs --sp ENTITY_ID: every service provider has its own NameIDs")
			}
			return cli.Read(c.Context(), a.App, ops.ShowUser, req, func(u ops.User) error {
				return cli.WritePairs(a.Out, describeUser(u))
			})
		},
	}
	c.Flags().StringVar(&nameID, "name-id", "", "the user that has the NameID `VALUE` at --sp")
	c.Flags().StringVar(&sp, "sp", "", "the service provider `ENTITY_ID` that has the NameID")
	a.CompleteArg(c, cli.FindEmails)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
	return c
}

func describeUser(u ops.User) [][2]string {
	var emails, totps []string
	for _, e := range u.Emails {
		emails = append(emails, e.Address)
	}
	for _, t := range u.TOTPs {
		totps = append(totps, strings.TrimSpace(fmt.Sprintf("%s every %d s, since %s", t.Name, t.Period, cli.FormatDay(t.AddedAt))))
	}
	lockText := "no"
	if u.Locked {
		lockText = "since " + cli.FormatTime(u.LockedAt)
		if u.LockReason != "" {
			lockText += ": " + u.LockReason
		}
	}
	identity := identityText(u.Profile)
	if !u.ProofingPausedAt.IsZero() {
		identity += ", paused since " + cli.FormatTime(u.ProofingPausedAt)
	}
	pairs := [][2]string{
		{"id", string(u.ID)},
		{"emails", strings.Join(emails, "\n")},
		{"role", u.Role},
		{"password", cli.FormatBool(u.HasPassword)},
		{"password changed", cli.FormatTime(u.PasswordChangedAt)},
		{"TOTP", strings.Join(totps, "\n")},
		{"remembered in", strings.Join(describeDevices(u), "\n")},
		{"identity", identity},
		{"locked", lockText},
		{"last sign-in", cli.FormatTime(lastSignIn(u))},
		{"added", cli.FormatTime(u.CreatedAt)},
		{"changed", cli.FormatTime(u.UpdatedAt)},
	}
	if u.RecoveryCodes > 0 {
		pairs = append(pairs, [2]string{"recovery codes", strconv.Itoa(u.RecoveryCodes)})
	}
	if !u.FactorResetAt.IsZero() {
		pairs = append(pairs, [2]string{"factors are removed", cli.FormatTime(u.FactorResetAt)})
	}
	if !u.DeletionAt.IsZero() {
		pairs = append(pairs, [2]string{"account is deleted", cli.FormatTime(u.DeletionAt)})
	}
	return pairs
}

// describeDevices describes the browsers in which a user is remembered.
func describeDevices(u ops.User) (texts []string) {
	for _, d := range u.Devices {
		text := cmp.Or(strings.Trim(d.Browser+", "+d.System, ", "), "unknown browser") + ", until " + cli.FormatTime(d.RememberedUntil)
		if !d.UsedAt.IsZero() {
			text += ", last used " + cli.FormatTime(d.UsedAt)
		}
		texts = append(texts, text)
	}
	return texts
}
