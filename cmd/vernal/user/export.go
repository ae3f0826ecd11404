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
	var withSecrets bool
	var output string
	c := &cobra.Command{
		Use:   "export [--with-secrets] [--out FILE]",
		Short: "Write all users in the form that 'user import' reads",
		Long: `Write all users in the form that 'user import' reads, one JSON object a
line, or with --json a JSON array. It contains the NameIDs of users, so that they
stay the same in a new installation, and the NameIDs of deleted users, so that no
one gets them again. It thereby names the service providers that each user visits.

It contains no remembered devices, no sessions, and no IDs that users have in this
installation alone.

It contains personal data. Password hashes, TOTP secrets and social security numbers
are left out without --with-secrets. Users that are imported without them cannot
sign in until they get new ones. Each page of an export is recorded in the audit trail.`,
		Example: `    vernal user export --with-secrets --out users.jsonl
    wrote 119 users to users.jsonl, with secrets: keep the file safe, and delete it when you no longer need it`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.exportUsers(c.Context(), output, withSecrets)
		},
	}
	c.Flags().BoolVar(&withSecrets, "with-secrets", false, "include password hashes, TOTP secrets and social security numbers")
	c.Flags().StringVar(&output, "out", "", "write to a new `FILE` that only you can read, instead of standard output")
	c.Flags().StringVar(&output, "output", "", "the former name of --out, a `FILE`")
	_ = c.Flags().MarkHidden("output") // the flag exists
	return c
}

// exportUsers writes to the file, or to standard output for "". A file is complete or does not
// exist.
func (a *commands) exportUsers(ctx context.Context, output string, withSecrets bool) error {
	secretsText := "without secrets"
	if withSecrets {
		secretsText = "with secrets: keep the file safe, and delete it when you no longer need it"
	}
	var n int
	err := a.WriteOut(output, func(out io.Writer) (err error) {
		n, err = a.writeUsers(ctx, out, withSecrets)
		return err
	})
	if err == nil {
		a.Say("wrote %s to %s, %s", pluralUsers(n), cmp.Or(output, "standard output"), secretsText)
	}
	return err
}

// writeUsers writes the users page by page, and counts the users that are not deleted.
func (a *commands) writeUsers(ctx context.Context, w io.Writer, withSecrets bool) (n int, err error) {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	opening, separator, closing := "", "", ""
	if a.JSON {
		opening, separator, closing = "[\n", ",", "]\n"
	}
	out.WriteString(opening) // Flush returns the error
	first := true
	options := account.ExportOptions{Secrets: withSecrets}
	for {
		page, err := cli.Ask(ctx, a.App, ops.ExportUsers, options)
		if err != nil {
			return 0, err
		}
		for i := range page.Records {
			if !first {
				out.WriteString(separator)
			}
			first = false
			if err := enc.Encode(&page.Records[i]); err != nil {
				return 0, err
			}
			if !page.Records[i].Deleted {
				n++
			}
		}
		if options.After = page.Next; page.Next == "" {
			break
		}
	}
	out.WriteString(closing)
	return n, out.Flush()
}
