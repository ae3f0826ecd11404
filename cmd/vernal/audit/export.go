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
	brokenSeq       uint64
}

func (a *commands) exportCommand() *cobra.Command {
	var e exportOptions
	var since, until string
	c := &cobra.Command{
		Use:   "export [--out FILE] [--since TIME] [--until TIME] [--after SEQ] [--prune --yes audit]",
		Short: "Write records as JSON lines, and make room",
		Long: `Write records of the audit trail as JSON lines, exactly as they are stored, so that
'audit verify --file' can verify them. IP addresses are not in them: those are
kept for 90 days, and files are kept longer.

--prune removes what was written from the store. The file ends with a checkpoint
that is signed by the preferred year's key, and the store keeps the checkpoint in
place of the records, so that file and store prove one another. If it is cut short,
run it again, with another file. A trail that is broken is not pruned without
--broken SEQ, which says that you have seen where.`,
		Example: `    vernal audit export --since 2027-03-01 --until 2027-04-01 --out march.jsonl
    vernal audit export --prune --until 2027-01-01 --out 2026.jsonl --yes audit
    wrote 81230 records, 1 to 81230, to 2026.jsonl
    removed 81230 records from the store; verify the file with: vernal audit verify --file 2026.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			now := a.Clock.Now()
			if e.since, err = parseSince(since, now); err != nil {
				return cli.Usage(c, "--since: %v", err)
			}
			if e.until, err = parseSince(until, now); err != nil {
				return cli.Usage(c, "--until: %v", err)
			}
			switch {
			case e.prune && e.out == "":
				return cli.Usage(c, "--prune needs --out FILE: what is removed must be kept somewhere")
			case e.prune && (e.after > 0 || since != ""):
				return cli.Usage(c, "--prune begins with the oldest record; --since and --after would leave some out")
			}
			if e.prune {
				if err := a.Confirm("remove records from the audit trail once they are in "+e.out, "audit", e.yes); err != nil {
					return err
				}
			}
			return a.exportAudit(c.Context(), &e)
		},
	}
	f := c.Flags()
	f.StringVar(&e.out, "out", "", "write to a new `FILE` that only you can read, instead of standard output")
	f.StringVar(&since, "since", "", "begin with the first record since a `TIME`")
	f.StringVar(&until, "until", "", "end before the first record since a `TIME`")
	f.Uint64Var(&e.after, "after", 0, "begin after the record `SEQ`")
	f.BoolVar(&e.prune, "prune", false, "remove from the store what was written")
	f.StringVar(&e.yes, "yes", "", "confirm --prune with `NAME`: audit")
	f.Uint64Var(&e.brokenSeq, "broken", 0, "with --prune: the trail is known to be broken at `SEQ`")
	return c
}

func (a *commands) exportAudit(ctx context.Context, e *exportOptions) error {
	var w *exportSummary
	err := a.WriteOut(e.out, func(out io.Writer) (err error) {
		w, err = a.writeAudit(ctx, out, e)
		return err
	})
	if errors.Is(err, errNoRecords) {
		a.Say("no records to write")
		return nil
	}
	if err != nil || e.out == "" {
		return err
	}
	a.Say("wrote %s, %d to %d, to %s", cli.FormatCount(int(w.count), "record"), w.firstSeq, w.last.Seq, e.out)
	if !e.prune {
		return nil
	}
	return a.pruneAudit(ctx, e)
}

// exportSummary describes the records written to a file.
type exportSummary struct {
	count, firstSeq uint64
	last           audit.Place
}

// errNoRecords is the error of an export without records.
var errNoRecords = errors.New("no records")

// writeAudit writes the trail page by page, up to its last record at the beginning, because a
// busy server adds records all the time.
func (a *commands) writeAudit(ctx context.Context, to io.Writer, e *exportOptions) (*exportSummary, error) {
	out := bufio.NewWriter(to)
	w := &exportSummary{}
	after, end := e.after, uint64(0)
	for first := true; ; first = false {
		page, err := cli.Ask(ctx, a.App, ops.ReadAudit, ops.AuditRange{After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		if first {
			end = page.Head.Seq
			if c := page.Checkpoint; c != nil && after <= c.Seq && e.since.IsZero() {
				after = c.Seq
				if err := writeCheckpoint(out, c); err != nil {
					return nil, err
				}
			}
		}
		more, err := w.writeLines(out, page.Lines, after, end, e)
		if err != nil {
			return nil, err
		}
		if !more || len(page.Lines) == 0 {
			break
		}
		after = page.Lines[len(page.Lines)-1].Place
	}
	if w.count == 0 && e.out != "" {
		return nil, errNoRecords
	}
	if e.prune {
		c, err := cli.Ask(ctx, a.App, ops.SignCheckpoint, w.last)
		if err != nil {
			return nil, err
		}
		if err := writeCheckpoint(out, c); err != nil {
			return nil, err
		}
	}
	return w, out.Flush()
}

func writeCheckpoint(out io.Writer, c *idp.AuditCheckpoint) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(checkpointLine{c})
}

// writeLines writes the selected lines of a page. It returns false at the end.
func (w *exportSummary) writeLines(out *bufio.Writer, lines []ops.AuditLine, after, end uint64, e *exportOptions) (more bool, err error) {
	for _, line := range lines {
		if line.Place <= after {
			continue // exported before, but its removal was interrupted
		}
		if line.Place > end && end > 0 {
			return false, nil
		}
		var rec struct {
			At   time.Time `json:"at"`
			Hash string    `json:"hash"`
		}
		readErr := json.Unmarshal([]byte(line.JSON), &rec) // an unreadable record is written unchanged
		if readErr == nil && !e.since.IsZero() && w.count == 0 && rec.At.Before(e.since) {
			continue
		}
		if readErr == nil && !e.until.IsZero() && !rec.At.Before(e.until) {
			return false, nil
		}
		out.WriteString(line.JSON)
		if err := out.WriteByte('\n'); err != nil {
			return false, err
		}
		if w.count == 0 {
			w.firstSeq = line.Place
		}
		w.count++
		w.last = audit.Place{Seq: line.Place, Hash: rec.Hash}
	}
	return true, nil
}

// pruneAudit reads the written file back and verifies it before it removes the records from
// the store.
func (a *commands) pruneAudit(ctx context.Context, e *exportOptions) error {
	f, err := readAuditFile(e.out, nil, e.brokenSeq)
	if err != nil {
		return err
	}
	if b := f.Broken; b != nil {
		return cli.Refuse("nothing was removed: audit record %d %s\n  if you know why, and have kept %s: --prune --broken %d", b.Seq, b.Problem, e.out, b.Seq)
	}
	if !f.Signed {
		return cli.Refuse("nothing was removed: %s does not end with a checkpoint", e.out)
	}
	removed := 0
	for {
		done, err := cli.Ask(ctx, a.App, ops.PruneAudit, f.Checkpoints[len(f.Checkpoints)-1])
		if err != nil {
			return fmt.Errorf("%w\n  %s were removed; the next 'vernal audit export --prune' goes on", err, cli.FormatCount(removed, "record"))
		}
		if removed += done.Removed; !done.More {
			break
		}
	}
	a.Say("removed %s from the store; verify the file with: vernal audit verify --file %s", cli.FormatCount(removed, "record"), shellquote.Quote(e.out))
	return nil
}
