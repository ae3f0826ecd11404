package user

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
)

func (a *commands) exportCommand() *cobra.Command {
	var secrets bool
	var output string
	c := &cobra.Command{
		Use:   "export [--with-secrets] [--out FILE]",
		Short: "Write all users, in the form that 'user import' takes",
		Long: `Write all users in the form that 'user import' takes, one JSON object a
line, or with --json a JSON array. It contains the NameIDs by which service
providers know users, so that they keep them in a new installation, and the
NameIDs of users who were deleted, so that no one gets them again. It thereby
names the service providers that each user visits.

Not in it: remembered devices, sessions, and the IDs that users have in this
installation alone.

It holds personal data. Password hashes, TOTP secrets and social security numbers
are left out without --with-secrets; users who are imported without them cannot
sign in until they get new ones. Each page of an export is recorded in the audit trail.`,
		Example: `    vernal user export --with-secrets --out users.jsonl
    wrote 119 users to users.jsonl, with secrets; keep it safe, and remove it when you no longer need it`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.exportUsers(c.Context(), output, secrets)
		},
	}
	c.Flags().BoolVar(&secrets, "with-secrets", false, "include password hashes, TOTP secrets and social security numbers")
	c.Flags().StringVar(&output, "out", "", "write to a new `FILE` that only you can read, instead of standard output")
	c.Flags().StringVar(&output, "output", "", "the former name of --out, a `FILE`")
	_ = c.Flags().MarkHidden("output") // the flag exists
	return c
}

// exportUsers writes to the file, or to standard output for "". A file is complete or does not
// exist.
func (a *commands) exportUsers(ctx context.Context, output string, secrets bool) error {
	with := "without secrets"
	if secrets {
		with = "with secrets; keep it safe, and remove it when you no longer need it"
	}
	var n int
	err := a.WriteOut(output, func(out io.Writer) (err error) {
		n, err = a.writeUsers(ctx, out, secrets)
		return err
	})
	if err == nil {
		a.Say("wrote %s to %s, %s", pluralUsers(n), cmp.Or(output, "standard output"), with)
	}
	return err
}

// writeUsers writes the users page by page, and counts the users that are not deleted.
func (a *commands) writeUsers(ctx context.Context, w io.Writer, secrets bool) (n int, err error) {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	before, between, after := "", "", ""
	if a.JSON {
		before, between, after = "[\n", ",", "]\n"
	}
	out.WriteString(before) // Flush returns the error
	first := true
	o := account.ExportOptions{Secrets: secrets}
	for {
		page, err := cli.Ask(ctx, a.App, ops.ExportUsers, o)
		if err != nil {
			return 0, err
		}
		for i := range page.Records {
			if !first {
				out.WriteString(between)
			}
			first = false
			if err := enc.Encode(&page.Records[i]); err != nil {
				return 0, err
			}
			if !page.Records[i].Deleted {
				n++
			}
		}
		if o.After = page.Next; page.Next == "" {
			break
		}
	}
	out.WriteString(after)
	return n, out.Flush()
}
