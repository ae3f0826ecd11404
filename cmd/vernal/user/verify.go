package user

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
)

// maxProfileFile bounds the file of a profile, in bytes.
const maxProfileFile = 64 << 10

func (a *commands) verifyCommand() *cobra.Command {
	var level, file string
	var dryRun bool
	c := &cobra.Command{
		Use:   "verify ID|EMAIL --level LEVEL --file FILE",
		Short: "Record a proofed identity of a user, or remove it",
		Long: `Record a proofed identity of a user, in the place of the one before. The
file, or standard input for "-", is a JSON object of strings with these names:

    first_name, middle_name, last_name, address1, address2, city, state,
    zipcode (five digits), dob (YYYY-MM-DD), ssn (nine digits),
    phone (E.164, as +12025550123), verified_at (a time; now if absent)

first_name and last_name are needed; what else is left out was not proofed, and
service providers that ask for it get an empty attribute. --level none takes the
proofed identity away.

No one has to sign in again: the record is read with every request.`,
		Example: `    vernal user verify ana@example.gov --level verified --file profile.json
    ana@example.gov: identity none -> verified (first_name, last_name, dob, ssn)`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			profile, err := a.readProfile(c, level, file)
			if err != nil {
				return err
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.VerifyUser, ops.VerifyRequest{Email: args[0], Profile: profile, DryRun: dryRun}, a.printIdentity)
		},
	}
	c.Flags().StringVar(&level, "level", "", "how the identity was proofed: the `LEVEL`")
	c.Flags().StringVar(&file, "file", "", "the `FILE` of the profile; - for standard input")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check, say what would change, and change nothing")
	cli.SetValues(c, "level", idp.IALVerified, idp.IALFacialMatch, account.LevelNone)
	a.CompleteArg(c, cli.FindEmails)
	return c
}

// readProfile reads the profile that the flags name; nil for level none.
func (a *commands) readProfile(c *cobra.Command, level, file string) (*idp.Profile, error) {
	switch {
	case level == "":
		return nil, cli.Usage(c, "--level is missing: verified, facial-match or none")
	case level == account.LevelNone && file != "":
		return nil, cli.Usage(c, "--level none takes the identity away, and needs no --file")
	case level == account.LevelNone:
		return nil, nil
	case level != idp.IALVerified && level != idp.IALFacialMatch:
		return nil, cli.Usage(c, "--level is verified, facial-match or none")
	case file == "":
		return nil, cli.Usage(c, "--file is missing")
	}
	data, err := a.ReadInput(file, maxProfileFile)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	p, err := account.ParseProfile([]byte(strings.TrimPrefix(string(data), "\ufeff")))
	var wrong account.InputErrors
	if errors.As(err, &wrong) {
		lines := []string{"the profile is not valid"}
		for _, w := range wrong {
			lines = append(lines, "  "+w.Error())
		}
		return nil, errors.New(strings.Join(lines, "\n"))
	}
	if err != nil {
		return nil, err
	}
	if p.Level != "" && p.Level != level {
		return nil, cli.Refuse("the file says level %q, and --level says %s", p.Level, level)
	}
	p.Level = level
	return p, nil
}

func (a *commands) printIdentity(v ops.VerifiedUser) error {
	would := ""
	if v.DryRun {
		would = "would change: "
	}
	fields := ""
	if v.User.Profile != nil {
		fields = " (" + strings.Join(v.User.Profile.Fields, ", ") + ")"
	}
	if len(v.Changed) == 0 {
		a.Say("%s: nothing changes", primaryEmail(v.User))
	} else {
		a.Say("%s%s: identity %s -> %s%s", would, primaryEmail(v.User), v.Before, v.After, fields)
	}
	if len(v.Missing) > 0 {
		a.Say("not recorded: %s; service providers that ask for them get empty attributes", strings.Join(v.Missing, ", "))
	}
	if len(v.Changed) > 0 && !v.DryRun {
		a.Say("it counts from the next request on; sessions go on")
	}
	return a.Print(v, nil)
}

// identityText names the proofed fields of a user, without their values.
func identityText(p *ops.Profile) string {
	if p == nil {
		return ""
	}
	text := p.Level
	if !p.VerifiedAt.IsZero() {
		text += " since " + cli.FormatTime(p.VerifiedAt)
	}
	return text + ": " + strings.Join(p.Fields, ", ")
}
