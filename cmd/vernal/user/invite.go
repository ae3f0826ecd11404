package user

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
)

func (a *commands) inviteCommand() *cobra.Command {
	inv := &inviter{app: a}
	var file string
	c := &cobra.Command{
		Use:   "invite (EMAIL… | --file FILE) [--lang LANG] [--print-link]",
		Short: "Invite users to choose a password and set up a second factor",
		Long: `Mail users a link, with which they choose a password and set up a second factor. A
user who does not exist is added. Users without a password, for example from 'user
import', keep what they have. A user with a password is refused.

The link works once, for 14 days. It can be sent again, and an earlier one then
still works until the user has a password. Mails are sent while the server runs.
Without mail.server, or with --print-link, the links are printed instead. Give each
one to its user only: anyone who has it can complete the account.

FILE, or standard input for "-", has an email address on each line, or users in a
form that 'user import' reads, of whom the first email address is used. Wrong lines
are listed with their numbers, the others are done, and the exit code is then 1.`,
		Example: `    vernal user invite ana@example.gov bo@example.gov
    vernal user invite --file users.csv --lang es
    line 3: bo@example.gov: the user has a password, and needs no invitation
    2 users invited, 1 refused`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && file != "":
				return cli.Usage(c, "give EMAIL or --file, not both")
			case len(args) == 0 && file == "":
				return cli.Usage(c, "EMAIL or --file is required: vernal user invite EMAIL")
			case file == "":
				return inv.run(c.Context(), listAddresses(args))
			}
			input, err := a.OpenInput(file)
			if err != nil {
				return err
			}
			defer input.Close()
			next, err := readAddresses(input)
			if err != nil {
				return fmt.Errorf("read %s: %w", file, err)
			}
			return inv.run(c.Context(), next)
		},
	}
	c.Flags().StringVar(&file, "file", "", "invite the users in `FILE`")
	c.Flags().StringVar(&inv.request.Lang, "lang", "", "the `LANG` of the mail, en, es or fr, for users who have chosen none")
	c.Flags().BoolVar(&inv.request.ShowLinks, "print-link", false, "print the links, and send no mail")
	cli.SetValues(c, "lang", "en", "es", "fr")
	a.CompleteArg(c, cli.FindEmails)
	return c
}

// inviteSummary is the result for all users, as --json prints it.
type inviteSummary struct {
	Lines    int                 `json:"lines"`
	Refused  int                 `json:"refused"`
	Invited  []ops.Invitation    `json:"invited"`
	Problems []ops.InviteProblem `json:"problems"`
}

// address is an email address to invite, or the problem of its line.
type address struct {
	ops.InviteLine
	problem string
}

// inviter invites users in batches.
type inviter struct {
	app     *commands
	request ops.InviteRequest
	summary inviteSummary
	// lastLine is the last line that the server answered.
	lastLine int
}

// run invites the users that next returns, until io.EOF.
func (inv *inviter) run(ctx context.Context, next func() (address, error)) error {
	inv.summary.Invited, inv.summary.Problems = []ops.Invitation{}, []ops.InviteProblem{}
	err := inv.readAll(ctx, next)
	if err == nil || !errors.As(err, new(*sendError)) {
		// The lines before an unreadable one are valid.
		if sendErr := inv.sendBatch(ctx); sendErr != nil {
			err = sendErr
		}
	}
	if printErr := inv.printSummary(); printErr != nil && err == nil {
		err = printErr
	}
	switch {
	case err != nil && inv.lastLine > 0:
		return fmt.Errorf("%w\n  the users up to line %d are invited: remove them, fix the error and repeat the command", err, inv.lastLine)
	case err != nil:
		return err
	case inv.summary.Refused > 0 && inv.summary.Lines == 1:
		return errors.New("the user was not invited")
	case inv.summary.Refused > 0:
		return fmt.Errorf("%d of %s not invited", inv.summary.Refused, cli.FormatCountIs(inv.summary.Lines, "user"))
	}
	return nil
}

// readAll reads all email addresses, and sends them in batches. One that appeared before is skipped.
func (inv *inviter) readAll(ctx context.Context, next func() (address, error)) error {
	seen := make(map[string]bool)
	for {
		a, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		key := strings.ToLower(strings.TrimSpace(a.Email))
		if a.problem == "" && seen[key] {
			continue
		}
		seen[key] = true
		inv.summary.Lines++
		if a.problem != "" {
			// Problems are reported in the order of the lines.
			if err := inv.sendBatch(ctx); err != nil {
				return err
			}
			inv.reportProblem(ops.InviteProblem{InviteLine: a.InviteLine, Code: "invalid", Text: a.problem})
			continue
		}
		inv.request.Lines = append(inv.request.Lines, a.InviteLine)
		if len(inv.request.Lines) == ops.InviteBatch {
			if err := inv.sendBatch(ctx); err != nil {
				return err
			}
		}
	}
}

// sendBatch invites the users of the batch and reports the result.
func (inv *inviter) sendBatch(ctx context.Context) error {
	if len(inv.request.Lines) == 0 {
		return nil
	}
	result, err := cli.Ask(ctx, inv.app.App, ops.InviteUsers, inv.request)
	if err != nil {
		return &sendError{err}
	}
	inv.lastLine = inv.request.Lines[len(inv.request.Lines)-1].Line
	inv.request.Lines = inv.request.Lines[:0]
	inv.summary.Invited = append(inv.summary.Invited, result.Invited...)
	for _, p := range result.Problems {
		inv.reportProblem(p)
	}
	return nil
}

func (inv *inviter) reportProblem(p ops.InviteProblem) {
	inv.summary.Refused++
	inv.summary.Problems = append(inv.summary.Problems, p)
	if inv.app.JSON {
		return
	}
	var place []string
	if p.Line > 0 {
		place = append(place, fmt.Sprintf("line %d", p.Line))
	}
	if p.Email != "" {
		place = append(place, p.Email)
	}
	inv.app.Say("%s", idp.ReplaceControls(strings.Join(append(place, p.Text), ": ")))
	inv.app.SaySuggestions(p.Suggestions)
}

func (inv *inviter) printSummary() error {
	var links [][]string
	for _, i := range inv.summary.Invited {
		if i.URL != "" {
			links = append(links, []string{i.Email, cli.FormatDay(i.ExpiresAt), i.URL})
		}
	}
	text := pluralUsers(len(inv.summary.Invited)) + " invited"
	if n := inv.summary.Refused; n > 0 {
		text += fmt.Sprintf(", %d refused", n)
	}
	inv.app.Say("%s", text)
	if len(links) > 0 {
		inv.app.Say("give each link to its user only: it is not shown again")
	}
	if inv.app.JSON {
		return inv.app.PrintJSON(inv.summary)
	}
	for _, link := range links { // not a table, which could shorten a link
		if _, err := fmt.Fprintln(inv.app.Out, strings.Join(link, "\t")); err != nil {
			return err
		}
	}
	return nil
}

// listAddresses returns the email addresses of arguments, one at each call.
func listAddresses(args []string) func() (address, error) {
	return func() (address, error) {
		if len(args) == 0 {
			return address{}, io.EOF
		}
		next := address{InviteLine: ops.InviteLine{Email: args[0]}}
		args = args[1:]
		return next, nil
	}
}

// maxLine is longer than a line with an email address.
const maxLine = 4 << 10

// readAddresses reads a file: an email address on each line, or a file that an import reads.
func readAddresses(source io.Reader) (func() (address, error), error) {
	input := bufio.NewReaderSize(source, 64<<10)
	head, err := input.Peek(input.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if isPlainList(head) {
		return readLines(input), nil
	}
	records, err := account.NewRecordReader(input, "")
	if err != nil {
		return nil, err
	}
	return func() (address, error) {
		for {
			line, err := records.Next()
			if err != nil {
				return address{}, err
			}
			next := address{InviteLine: ops.InviteLine{Line: line.Number}}
			switch {
			case line.DuplicateLine > 0:
				continue
			case line.Record == nil:
				next.problem = strings.ReplaceAll(line.Problems.Error(), "\n", ", ")
			case len(line.Record.Emails) == 0:
				next.problem = "has no email address"
			default:
				next.Email = line.Record.Emails[0].Address
			}
			return next, nil
		}
	}, nil
}

// isPlainList reports whether a file begins with an email address, and not with the names of
// columns or with JSON. An empty file is a list too.
func isPlainList(head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return line[0] != '{' && line[0] != '[' && bytes.ContainsRune(line, '@')
		}
	}
	return true
}

// readLines reads an email address on each line. Empty lines and those that begin with # are
// skipped.
func readLines(input io.Reader) func() (address, error) {
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, maxLine)
	number := 0
	return func() (address, error) {
		for lines.Scan() {
			number++
			text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
			if text != "" && text[0] != '#' {
				return address{InviteLine: ops.InviteLine{Line: number, Email: text}}, nil
			}
		}
		if errors.Is(lines.Err(), bufio.ErrTooLong) {
			return address{}, fmt.Errorf("line %d is longer than %d bytes", number+1, maxLine)
		}
		if lines.Err() != nil {
			return address{}, lines.Err()
		}
		return address{}, io.EOF
	}
}
