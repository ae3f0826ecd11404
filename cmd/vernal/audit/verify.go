package audit

import (
	"context"
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
		Long: `Verify the audit trail, record by record, and name the first changed record. No
one can change a record unnoticed without the master key.

With the master key, or with an older copy of the store, a change can go unnoticed,
unless you know the end of the trail from another source. The server logs the end
every hour, as seq and head. Give it with --head, from a protected copy of the log.

--file verifies an exported file, and whether it matches the trail in the store.

The exit code is 1 if the trail is broken, or if no record could be verified.`,
		Example: `    vernal audit verify
    4712 records, 1 to 4712, are unchanged
    vernal audit verify --head "$(cat noted.txt)"    # 4700:9c56cc51…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			place, err := parsePlace(head)
			if err != nil {
				return cli.Usage(c, "--head: %v", err)
			}
			if file != "" {
				return a.verifyAuditFile(c.Context(), file, place)
			}
			return a.verifyAudit(c.Context(), place)
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
		return nil, fmt.Errorf("%q is not the number of a record, a colon and its hash of 64 hexadecimal digits", text)
	}
	return &audit.Place{Seq: n, Hash: hash}, nil
}

func (a *commands) verifyAudit(ctx context.Context, place *audit.Place) error {
	var progress audit.Progress
	for !progress.Done {
		var err error
		if progress, err = cli.Ask(ctx, a.App, ops.VerifyAudit, ops.AuditVerifyRequest{Progress: progress, At: place}); err != nil {
			return err
		}
		if !progress.Done {
			a.Say("%d of %d", progress.Seq, progress.Total)
		}
	}
	if a.JSON {
		if err := a.PrintJSON(progress); err != nil {
			return err
		}
	}
	if progress.Broken != nil {
		return progress.Broken
	}
	if !a.JSON {
		a.printProgress(&progress)
	}
	if progress.Leftover > 0 {
		a.Say("%d of them were already exported: the next 'vernal audit export --prune' removes them", progress.Leftover)
	}
	if place != nil && !progress.Compared {
		return fmt.Errorf("record %d is before the checkpoint: verify the exported file that contains it, with --file and --head", place.Seq)
	}
	return nil
}

func (a *commands) printProgress(progress *audit.Progress) {
	if progress.Records == 0 {
		fmt.Fprintln(a.Out, "no records")
	} else {
		fmt.Fprintf(a.Out, "%s, %d to %d, are unchanged\n", cli.FormatCount(int(progress.Records), "record"), progress.Seq-progress.Records+1, progress.Seq)
	}
	if c := progress.Checkpoint; c != nil {
		fmt.Fprintf(a.Out, "records up to %d were exported on %s, and the checkpoint is ours\n", c.Seq, cli.FormatDay(c.At))
	}
	if progress.Compared {
		fmt.Fprintln(a.Out, "the trail contains the place that you gave")
	}
}

// verifyAuditFile verifies an exported file, and compares it with the store.
func (a *commands) verifyAuditFile(ctx context.Context, name string, place *audit.Place) error {
	file, err := readAuditFile(name, place, 0)
	if err != nil {
		return err
	}
	var judgement *ops.AuditJudgement
	if file.Broken == nil {
		claim := ops.AuditClaim{Checkpoints: file.Checkpoints, Last: audit.Place{Seq: file.Last, Hash: file.Hash}}
		if judgement, err = cli.Ask(ctx, a.App, ops.CheckAudit, claim); err != nil {
			return err
		}
		file.addJudgement(judgement)
	}
	if a.JSON {
		if err := a.PrintJSON(file); err != nil {
			return err
		}
	}
	switch {
	case file.Broken != nil:
		return file.Broken
	case place != nil && !file.Compared:
		return fmt.Errorf("record %d is not in %s: give the file that contains it, with --file", place.Seq, name)
	case a.JSON:
		return nil
	}
	fmt.Fprintf(a.Out, "%s, %d to %d, are unchanged\n", cli.FormatCount(int(file.Records), "record"), file.First, file.Last)
	fmt.Fprintln(a.Out, file.Standing)
	return nil
}

// addJudgement adds the service's judgement of the file.
func (f *auditFile) addJudgement(judgement *ops.AuditJudgement) {
	for i, fault := range judgement.Wrong {
		if fault != "" && f.Broken == nil {
			f.Broken = &audit.BrokenError{Seq: f.Checkpoints[i].Seq, Problem: "has a checkpoint that is not ours: " + fault}
		}
	}
	switch judgement.Last {
	case "differs":
		f.Broken = &audit.BrokenError{Seq: f.Last, Problem: "differs from the record in the store"}
	case "present":
		f.Standing = "the trail in the store contains its last record"
	case "checkpoint":
		f.Standing = "the trail in the store continues where it ends"
	default:
		f.Standing = "its last record is not in the store"
		if f.Signed {
			f.Standing = "its last record has a checkpoint of ours"
		}
	}
}
