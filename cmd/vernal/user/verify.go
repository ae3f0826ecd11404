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
		Long: `Record a proofed identity of a user. It replaces an earlier one. The file,
or standard input for "-", is a JSON object of strings with these names:

    first_name, middle_name, last_name, address1, address2, city, state,
    zipcode (five digits), dob (YYYY-MM-DD), ssn (nine digits),
    phone (E.164, such as +12025550123), verified_at (a time, by default now)

first_name and last_name are required. A field that is left out counts as not
proofed: service providers that ask for it get an empty attribute. --level none
removes the proofed identity.

No one has to sign in again, because every request reads the record.`,
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
	c.Flags().StringVar(&level, "level", "", "the `LEVEL` of the proofing")
	c.Flags().StringVar(&file, "file", "", "the `FILE` of the profile; - for standard input")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check the profile and print the changes, but change nothing")
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
		return nil, cli.Usage(c, "--level none removes the identity: leave out --file")
	case level == account.LevelNone:
		return nil, nil
	case level != idp.IALVerified && level != idp.IALFacialMatch:
		return nil, cli.Usage(c, "--level must be verified, facial-match or none, not %q", level)
	case file == "":
		return nil, cli.Usage(c, "--file is missing: name the file of the profile, or - for standard input")
	}
	data, err := a.ReadInput(file, maxProfileFile)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	profile, err := account.ParseProfile([]byte(strings.TrimPrefix(string(data), "\ufeff")))
	var inputErrs account.InputErrors
	if errors.As(err, &inputErrs) {
		lines := []string{"the profile is not valid"}
		for _, inputErr := range inputErrs {
			lines = append(lines, "  "+inputErr.Error())
		}
		return nil, errors.New(strings.Join(lines, "\n"))
	}
	if err != nil {
		return nil, err
	}
	if profile.Level != "" && profile.Level != level {
		return nil, cli.Refuse("level is %q in the file, but --level is %s: change one of them", profile.Level, level)
	}
	profile.Level = level
	return profile, nil
}

func (a *commands) printIdentity(answer ops.VerifiedUser) error {
	prefix := ""
	if answer.DryRun {
		prefix = "would change: "
	}
	fields := ""
	if answer.User.Profile != nil {
		fields = " (" + strings.Join(answer.User.Profile.Fields, ", ") + ")"
	}
	if len(answer.Changed) == 0 {
		a.Say("%s: nothing changes", primaryEmail(answer.User))
	} else {
		a.Say("%s%s: identity %s -> %s%s", prefix, primaryEmail(answer.User), answer.Before, answer.After, fields)
	}
	if len(answer.Missing) > 0 {
		a.Say("not recorded: %s (service providers that ask for them get empty attributes)", strings.Join(answer.Missing, ", "))
	}
	if len(answer.Changed) > 0 && !answer.DryRun {
		a.Say("the change applies from the next request on, and sessions stay open")
	}
	return a.Print(answer, nil)
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
