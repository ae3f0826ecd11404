package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
)

func (a *commands) verifyCommand() *cobra.Command {
	var file, head string
	c := &cobra.Command{
		Use:   "verify [--file EXPORT] [--head SEQ:HASH]",
		Short: "Prove that no record was changed, removed, moved or cut off",
		Long: `Verify the audit trail, record by record, and name the first that is
not as it was written. No one without the master key can change a record unseen.

Anyone with the master key, or an older copy of the store, can, unless you know
the end of the trail from another place: the server logs it every hour, as seq
and head. Give such a place with --head, from a copy of the log that is out of
reach.

--file verifies an exported file, and whether it fits the trail in the store.

Exit code 1: something is wrong, or nothing could be verified.`,
		Example: `    vernal audit verify
    4712 records, 1 to 4712, are as they were written
    vernal audit verify --head "$(cat noted.txt)"    # 4700:9c56cc51…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			at, err := parsePlace(head)
			if err != nil {
				return cli.Usage(c, "--head: %v", err)
			}
			if file != "" {
				return a.verifyAuditFile(c.Context(), file, at)
			}
			return a.verifyAudit(c.Context(), at)
		},
	}
	c.Flags().StringVar(&file, "file", "", "verify the exported `FILE`")
	c.Flags().StringVar(&head, "head", "", "a place in the trail that you noted, `SEQ:HASH`")
	return c
}

// parsePlace reads SEQ:HASH; nil for "".
func parsePlace(text string) (*audit.Place, error) {
	if text == "" {
		return nil, nil
	}
	seq, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return nil, errors.New("want the number of a record, a colon and its hash of 64 hexadecimal digits")
	}
	return &audit.Place{Seq: n, Hash: hash}, nil
}

func (a *commands) verifyAudit(ctx context.Context, at *audit.Place) error {
	var p audit.Progress
	for !p.Done {
		var err error
		if p, err = cli.Ask(ctx, a.App, ops.VerifyAudit, ops.AuditVerifyRequest{Progress: p, At: at}); err != nil {
			return err
		}
		if !p.Done {
			a.Say("%d of %d", p.Seq, p.Total)
		}
	}
	if a.JSON {
		if err := a.PrintJSON(p); err != nil {
			return err
		}
	}
	if p.Broken != nil {
		return p.Broken
	}
	if !a.JSON {
		a.printProgress(&p)
	}
	if p.Leftover > 0 {
		a.Say("%d of them were exported already; the next 'vernal audit export --prune' removes them", p.Leftover)
	}
	if at != nil && !p.Compared {
		return fmt.Errorf("record %d is before the checkpoint: verify the exported file that holds it, with --file and --head", at.Seq)
	}
	return nil
}

func (a *commands) printProgress(p *audit.Progress) {
	if p.Records == 0 {
		fmt.Fprintln(a.Out, "no records")
	} else {
		fmt.Fprintf(a.Out, "%s, %d to %d, are as they were written\n", cli.FormatCount(int(p.Records), "record"), p.Seq-p.Records+1, p.Seq)
	}
	if c := p.Checkpoint; c != nil {
		fmt.Fprintf(a.Out, "records up to %d were exported on %s; the checkpoint is ours\n", c.Seq, cli.FormatDay(c.At))
	}
	if p.Compared {
		fmt.Fprintln(a.Out, "it contains the recorded place")
	}
}

// verifyAuditFile verifies an exported file, and compares it with the store.
func (a *commands) verifyAuditFile(ctx context.Context, name string, at *audit.Place) error {
	f, err := readAuditFile(name, at, 0)
	if err != nil {
		return err
	}
	var judged *ops.AuditJudgement
	if f.Broken == nil {
		claim := ops.AuditClaim{Checkpoints: f.Checkpoints, Last: audit.Place{Seq: f.Last, Hash: f.Hash}}
		if judged, err = cli.Ask(ctx, a.App, ops.CheckAudit, claim); err != nil {
			return err
		}
		f.addJudgement(judged)
	}
	if a.JSON {
		if err := a.PrintJSON(f); err != nil {
			return err
		}
	}
	switch {
	case f.Broken != nil:
		return f.Broken
	case at != nil && !f.Compared:
		return fmt.Errorf("record %d is not in %s", at.Seq, name)
	case a.JSON:
		return nil
	}
	fmt.Fprintf(a.Out, "%s, %d to %d, are as they were written\n", cli.FormatCount(int(f.Records), "record"), f.First, f.Last)
	fmt.Fprintln(a.Out, f.Standing)
	return nil
}

// addJudgement adds the service's judgement of the file.
func (f *auditFile) addJudgement(j *ops.AuditJudgement) {
	for i, wrong := range j.Wrong {
		if wrong != "" && f.Broken == nil {
			f.Broken = &audit.BrokenError{Seq: f.Checkpoints[i].Seq, Problem: "has a checkpoint that is not ours: " + wrong}
		}
	}
	switch j.Last {
	case "differs":
		f.Broken = &audit.BrokenError{Seq: f.Last, Problem: "is another one in the store"}
	case "present":
		f.Standing = "the trail in the store goes through its last record"
	case "checkpoint":
		f.Standing = "the trail in the store goes on where it ends"
	default:
		f.Standing = "the store does not know its last record"
		if f.Signed {
			f.Standing = "its last record has a checkpoint of ours"
		}
	}
}
