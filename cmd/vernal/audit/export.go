package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
	"vernal/idp/shellquote"
)

// exportOptions contains the arguments of `audit export`.
type exportOptions struct {
	out          string
	since, until time.Time
	after        uint64
	prune        bool
	yes          string
	brokenSeq    uint64
}

func (a *commands) exportCommand() *cobra.Command {
	var options exportOptions
	var since, until string
	c := &cobra.Command{
		Use:   "export [--out FILE] [--since TIME] [--until TIME] [--after SEQ] [--prune --yes audit]",
		Short: "Write records as JSON lines, and remove them from the store",
		Long: `Write records of the audit trail as JSON lines, exactly as they are stored, so that
'audit verify --file' can verify them. They contain no IP addresses, because those
are kept for 90 days only.

--prune removes the written records from the store. The file ends with a checkpoint
that is signed by the preferred year's key, and the store keeps the checkpoint in
place of the records, so that file and store prove one another. If it is
interrupted, run it again with another file. A broken trail is only pruned with
--broken SEQ, which confirms the place of the break.`,
		Example: `    vernal audit export --since 2027-03-01 --until 2027-04-01 --out march.jsonl
    vernal audit export --prune --until 2027-01-01 --out 2026.jsonl --yes audit
    wrote 81230 records, 1 to 81230, to 2026.jsonl
    removed 81230 records from the store: verify the file with vernal audit verify --file 2026.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			now := a.Clock.Now()
			if options.since, err = parseSince(since, now); err != nil {
				return cli.Usage(c, "--since: %v", err)
			}
			if options.until, err = parseSince(until, now); err != nil {
				return cli.Usage(c, "--until: %v", err)
			}
			switch {
			case options.prune && options.out == "":
				return cli.Usage(c, "--prune needs --out FILE for the removed records")
			case options.prune && (options.after > 0 || since != ""):
				return cli.Usage(c, "--prune begins with the oldest record: leave out --since and --after")
			}
			if options.prune {
				if err := a.Confirm("remove records from the audit trail once they are in "+options.out, "audit", options.yes); err != nil {
					return err
				}
			}
			return a.exportAudit(c.Context(), &options)
		},
	}
	flags := c.Flags()
	flags.StringVar(&options.out, "out", "", "write to a new `FILE` that only you can read, instead of standard output")
	flags.StringVar(&since, "since", "", "begin with the first record since a `TIME`")
	flags.StringVar(&until, "until", "", "end before the first record since a `TIME`")
	flags.Uint64Var(&options.after, "after", 0, "begin after the record `SEQ`")
	flags.BoolVar(&options.prune, "prune", false, "remove the written records from the store")
	flags.StringVar(&options.yes, "yes", "", "confirm --prune with `NAME`: audit")
	flags.Uint64Var(&options.brokenSeq, "broken", 0, "with --prune: confirm that the trail is broken at `SEQ`")
	return c
}

func (a *commands) exportAudit(ctx context.Context, options *exportOptions) error {
	var summary *exportSummary
	err := a.WriteOut(options.out, func(out io.Writer) (err error) {
		summary, err = a.writeAudit(ctx, out, options)
		return err
	})
	if errors.Is(err, errNoRecords) {
		a.Say("no records to write")
		return nil
	}
	if err != nil || options.out == "" {
		return err
	}
	a.Say("wrote %s, %d to %d, to %s", cli.FormatCount(int(summary.count), "record"), summary.firstSeq, summary.last.Seq, options.out)
	if !options.prune {
		return nil
	}
	return a.pruneAudit(ctx, options)
}

// exportSummary describes the records written to a file.
type exportSummary struct {
	count, firstSeq uint64
	last            audit.Place
}

// errNoRecords is the error of an export without records.
var errNoRecords = errors.New("no records")

// writeAudit writes the trail page by page, up to its last record at the beginning, because a
// busy server adds records all the time.
func (a *commands) writeAudit(ctx context.Context, output io.Writer, options *exportOptions) (*exportSummary, error) {
	out := bufio.NewWriter(output)
	summary := &exportSummary{}
	afterSeq, endSeq := options.after, uint64(0)
	for first := true; ; first = false {
		page, err := cli.Ask(ctx, a.App, ops.ReadAudit, ops.AuditRange{After: afterSeq, Limit: 1000})
		if err != nil {
			return nil, err
		}
		if first {
			endSeq = page.Head.Seq
			if c := page.Checkpoint; c != nil && afterSeq <= c.Seq && options.since.IsZero() {
				afterSeq = c.Seq
				if err := writeCheckpoint(out, c); err != nil {
					return nil, err
				}
			}
		}
		hasMore, err := summary.writeLines(out, page.Lines, afterSeq, endSeq, options)
		if err != nil {
			return nil, err
		}
		if !hasMore || len(page.Lines) == 0 {
			break
		}
		afterSeq = page.Lines[len(page.Lines)-1].Place
	}
	if summary.count == 0 && options.out != "" {
		return nil, errNoRecords
	}
	if options.prune {
		c, err := cli.Ask(ctx, a.App, ops.SignCheckpoint, summary.last)
		if err != nil {
			return nil, err
		}
		if err := writeCheckpoint(out, c); err != nil {
			return nil, err
		}
	}
	return summary, out.Flush()
}

func writeCheckpoint(out io.Writer, c *idp.AuditCheckpoint) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(checkpointLine{c})
}

// writeLines writes the selected lines of a page. It returns false at the end.
func (s *exportSummary) writeLines(out *bufio.Writer, lines []ops.AuditLine, afterSeq, endSeq uint64, options *exportOptions) (hasMore bool, err error) {
	for _, line := range lines {
		if line.Place <= afterSeq {
			continue // exported before, but its removal was interrupted
		}
		if line.Place > endSeq && endSeq > 0 {
			return false, nil
		}
		var record struct {
			At   time.Time `json:"at"`
			Hash string    `json:"hash"`
		}
		readErr := json.Unmarshal([]byte(line.JSON), &record) // an unreadable record is written unchanged
		if readErr == nil && !options.since.IsZero() && s.count == 0 && record.At.Before(options.since) {
			continue
		}
		if readErr == nil && !options.until.IsZero() && !record.At.Before(options.until) {
			return false, nil
		}
		out.WriteString(line.JSON)
		if err := out.WriteByte('\n'); err != nil {
			return false, err
		}
		if s.count == 0 {
			s.firstSeq = line.Place
		}
		s.count++
		s.last = audit.Place{Seq: line.Place, Hash: record.Hash}
	}
	return true, nil
}

// pruneAudit reads the written file back and verifies it before it removes the records from
// the store.
func (a *commands) pruneAudit(ctx context.Context, options *exportOptions) error {
	file, err := readAuditFile(options.out, nil, options.brokenSeq)
	if err != nil {
		return err
	}
	if broken := file.Broken; broken != nil {
		return cli.Refuse("nothing was removed: audit record %d %s\n  if you know the reason and keep %s: --prune --broken %d", broken.Seq, broken.Problem, options.out, broken.Seq)
	}
	if !file.Signed {
		return cli.Refuse("nothing was removed: %s does not end with a checkpoint", options.out)
	}
	removedCount := 0
	for {
		answer, err := cli.Ask(ctx, a.App, ops.PruneAudit, file.Checkpoints[len(file.Checkpoints)-1])
		if err != nil {
			return fmt.Errorf("%w\n  %s were removed: to continue, run 'vernal audit export --prune' again", err, cli.FormatCount(removedCount, "record"))
		}
		if removedCount += answer.Removed; !answer.More {
			break
		}
	}
	a.Say("removed %s from the store: verify the file with vernal audit verify --file %s", cli.FormatCount(removedCount, "record"), shellquote.Quote(options.out))
	return nil
}
