package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin/ops"
)

// maxImportBody bounds one request with users, in bytes. The server accepts more.
const maxImportBody = 2 << 20

func (a *commands) importCommand() *cobra.Command {
	im := &importer{app: a}
	var format string
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Add users from a file, with their NameIDs",
		Long: `Add users from a file, or standard input for "-": CSV whose first line names
the columns, JSON lines, or a JSON array. The names are the same in all:

    email, or emails      email addresses, the first one primary. They count as
                          confirmed. In JSON each may be an object: address,
                          confirmed_at, last_sign_in_at, and disclosed_to, the
                          service providers that got it as a NameID
    password_hash         PHC form, argon2id or pbkdf2-sha256. Without it a user
                          needs 'user set-password' before the first sign-in
    totp_secret           base32, with totp_period 60 for tokens of 60 seconds
    profile               a proofed identity: level (verified, facial-match) and the
                          fields of 'user verify', in CSV a column for each
    name_ids              NameIDs by agency or entity ID, as permanent as if they
                          had been issued here, in CSV a column name_ids.KEY each
    services              visits and consents, in JSON as 'user export' writes them
    locked, lock_reason   users that cannot sign in
    reserved_emails       SHA-256 hashes of email addresses that service providers
                          got as a NameID and the user removed: no one else gets them
    role, created_at, password_changed_at, deleted

Valid lines are imported, in batches of one transaction each. Invalid ones are
listed with their numbers, and the exit code is then 1. It is safe to run it again:
existing users are not changed, except for NameIDs that they do not have yet.
--dry-run checks every line and changes nothing.

A NameID of an agency or service provider that is not registered is refused,
because it could be a typing error. --unregistered accepts it: a name with a colon
is an entity ID, any other name is an agency.`,
		Example: `    vernal user import users.csv --dry-run
    line 3: profile.zipcode: must be five digits, or a ZIP+4 code of which the first five are kept
    dry run: 118 users would be added, 1 line is refused
    vernal: 1 of 119 lines is refused`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "" && format != account.FormatCSV && format != account.FormatJSON {
				return cli.Usage(c, "--format must be csv or json, not %q", format)
			}
			input, err := a.OpenInput(args[0])
			if err != nil {
				return err
			}
			defer input.Close()
			reader, err := account.NewRecordReader(input, format)
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			return im.run(c.Context(), reader)
		},
	}
	c.Flags().StringVar(&format, "format", "", "the `FORMAT` of the file (default: detected)")
	c.Flags().BoolVar(&im.options.DryRun, "dry-run", false, "check every line, and change nothing")
	c.Flags().BoolVar(&im.options.Unregistered, "unregistered", false, "accept NameIDs of agencies and service providers that are not registered")
	cli.SetValues(c, "format", account.FormatCSV, account.FormatJSON)
	return c
}

// importSummary is the result for a whole file, as --json prints it.
type importSummary struct {
	DryRun   bool `json:"dry_run,omitempty"`
	Lines    int  `json:"lines"`
	Added    int  `json:"added"`
	Extended int  `json:"extended"`
	Present  int  `json:"present"`
	Refused  int  `json:"refused"`
	// Unregistered are agencies and entity IDs without a registration.
	Unregistered []string                `json:"unregistered,omitempty"`
	Problems     []account.ImportProblem `json:"problems"`
}

// importer sends a file in batches, so that neither side holds all of it.
type importer struct {
	app     *commands
	options account.ImportOptions

	batch           []account.ImportLine
	problems        []account.ImportProblem // of unreadable lines, reported in order with those of the batch
	size            int
	summary         importSummary
	presentLines    []int
	lastRefusedLine int // so that a line with several problems counts once
	lastSentLine    int // the last line that the server answered
}

func (im *importer) run(ctx context.Context, r *account.RecordReader) error {
	im.summary.DryRun, im.summary.Problems = im.options.DryRun, []account.ImportProblem{}
	err := im.readLines(ctx, r)
	if err == nil || !errors.As(err, new(*sendError)) {
		// The lines before the malformed one are valid.
		if sendErr := im.sendBatch(ctx); sendErr != nil {
			err = sendErr
		}
	}
	if printErr := im.printSummary(); printErr != nil && err == nil {
		err = printErr
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w\n  %s: fix the error and run the import again, which skips existing users", err, im.progressText())
	case im.summary.Refused > 0:
		return fmt.Errorf("%d of %s refused", im.summary.Refused, cli.FormatCountIs(im.summary.Lines, "line"))
	}
	return nil
}

// sendError is a failure to reach the store. The import stops at it.
type sendError struct{ error }

func (e *sendError) Unwrap() error { return e.error }

func (im *importer) readLines(ctx context.Context, r *account.RecordReader) error {
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		im.summary.Lines++
		switch {
		case line.DuplicateLine > 0:
			im.notePresent(line.Number)
		case line.Record == nil:
			err = im.addUnreadable(ctx, &line)
		default:
			err = im.addRecord(ctx, account.ImportLine{Line: line.Number, Record: *line.Record})
		}
		if err != nil {
			return err
		}
	}
}

// addUnreadable records the problems of a line that could not be read.
func (im *importer) addUnreadable(ctx context.Context, l *account.Line) error {
	for _, p := range l.Problems {
		im.problems = append(im.problems, account.ImportProblem{Line: l.Number, Field: p.Field, Text: p.Detail})
	}
	if len(im.problems) > ops.ImportBatch {
		return im.sendBatch(ctx)
	}
	return nil
}

// addRecord adds a record to the batch, and sends the batch when it is full.
func (im *importer) addRecord(ctx context.Context, l account.ImportLine) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	if len(im.batch) == ops.ImportBatch || im.size+len(text) > maxImportBody {
		if err := im.sendBatch(ctx); err != nil {
			return err
		}
	}
	im.batch, im.size = append(im.batch, l), im.size+len(text)
	return nil
}

// sendBatch sends the batch and reports its result.
func (im *importer) sendBatch(ctx context.Context) error {
	result := &account.ImportResult{}
	if len(im.batch) > 0 {
		var err error
		result, err = cli.Ask(ctx, im.app.App, ops.ImportUsers, ops.ImportUsersRequest{Lines: im.batch, ImportOptions: im.options})
		if err != nil {
			return &sendError{err}
		}
		im.lastSentLine = im.batch[len(im.batch)-1].Line
	}
	im.summary.Added += result.AddedCount
	im.summary.Extended += result.ExtendedCount
	for _, line := range result.PresentLines {
		im.notePresent(line)
	}
	problems := append(im.problems, result.Problems...)
	slices.SortStableFunc(problems, func(a, b account.ImportProblem) int { return a.Line - b.Line })
	for _, p := range problems {
		im.reportProblem(p)
	}
	for _, key := range result.UnregisteredKeys {
		if !slices.Contains(im.summary.Unregistered, key) {
			im.summary.Unregistered = append(im.summary.Unregistered, key)
		}
	}
	im.batch, im.size, im.problems = im.batch[:0], 0, im.problems[:0]
	return nil
}

func (im *importer) notePresent(line int) {
	im.summary.Present++
	im.presentLines = append(im.presentLines, line)
}

// reportProblem reports a problem of a line. Several problems of one line count once.
func (im *importer) reportProblem(p account.ImportProblem) {
	if p.Line != im.lastRefusedLine {
		im.summary.Refused++
		im.lastRefusedLine = p.Line
	}
	if im.app.JSON {
		im.summary.Problems = append(im.summary.Problems, p)
		return
	}
	text := p.String()
	if p.Option.Name != "" {
		text += ", or use " + cli.OptionFlag(p.Option)
	}
	im.app.Say("%s", idp.ReplaceControls(text))
}

// progressText describes how far the import has come.
func (im *importer) progressText() string {
	switch {
	case im.options.DryRun:
		return "nothing was changed"
	case im.lastSentLine == 0:
		return "no user was imported"
	}
	return fmt.Sprintf("the valid lines up to line %d are imported", im.lastSentLine)
}

func (im *importer) printSummary() error {
	summary := &im.summary
	auxiliary, mode := "", ""
	if summary.DryRun {
		auxiliary, mode = "would be ", "dry run: "
	}
	parts := []string{pluralUsers(summary.Added) + " " + auxiliary + "added"}
	if summary.Extended > 0 {
		parts = append(parts, pluralUsers(summary.Extended)+" "+auxiliary+"given more NameIDs")
	}
	if summary.Present > 0 {
		parts = append(parts, fmt.Sprintf("%d already present (line %s)", summary.Present, lineRanges(im.presentLines)))
	}
	if summary.Refused > 0 {
		parts = append(parts, cli.FormatCountIs(summary.Refused, "line")+" refused")
	}
	im.app.Say("%s%s", mode, strings.Join(parts, ", "))
	if len(summary.Unregistered) > 0 {
		var names []string
		for _, key := range summary.Unregistered {
			names = append(names, idp.ReplaceControls(key))
		}
		im.app.Say("warning: no service provider is registered as %s, so the NameIDs are kept for a later registration", strings.Join(names, ", "))
	}
	if im.app.JSON {
		return im.app.PrintJSON(summary)
	}
	return nil
}

func pluralUsers(n int) string {
	if n == 1 {
		return "1 user"
	}
	return fmt.Sprintf("%d users", n)
}

// lineRanges writes line numbers in brief: "2-5, 9". Many ranges are cut short.
func lineRanges(lines []int) string {
	const limit = 20
	lines = slices.Sorted(slices.Values(lines))
	var parts []string
	for i := 0; i < len(lines); {
		j := i
		for j+1 < len(lines) && lines[j+1] <= lines[j]+1 {
			j++
		}
		if len(parts) == limit {
			return strings.Join(parts, ", ") + ", …"
		}
		if i == j {
			parts = append(parts, fmt.Sprint(lines[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", lines[i], lines[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
