// Package audit is the command "vernal audit" and "vernal errors", which read the audit trail.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/audit"
	"vernal/idp/rotation"
	"vernal/templates"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "audit",
		Short: "The audit trail: who did what, and the proof that no one changed it",
		Example: `    vernal audit tail --since 24h
    vernal audit verify
    vernal audit export --out audit.jsonl`,
	}
	c.AddCommand(a.tailCommand(), a.verifyCommand(), a.exportCommand())
	return c
}

// tailOptions contains the arguments of `audit tail`.
type tailOptions struct {
	number                int
	follow                bool
	kind, user, sp, since string
	pollInterval                 time.Duration
	query                 ops.AuditQuery
}

func (a *commands) tailCommand() *cobra.Command {
	t := tailOptions{pollInterval: time.Second}
	c := &cobra.Command{
		Use:   "tail [-n N] [--follow] [--kind K] [--user ID|EMAIL] [--sp ENTITY_ID] [--since TIME]",
		Short: "Show the last records",
		Long: `Show the last records of the audit trail, oldest first; with --json one object a
line. Users are named by our own IDs. IP addresses are shown for 90 days.

Kinds:

` + kindsHelp(),
		Example: `    vernal audit tail -n 2 --sp https://app.example.gov/saml
    2027-03-02T09:14:07Z  #4711  authn    ok  by=user:U4K3 user=U4K3 sp=https://app.example.gov/saml year=2027 from=203.0.113.7 factors=password+totp
    2027-03-02T09:14:07Z  #4712  sign_in  ok  by=user:U4K3 user=U4K3 sp=https://app.example.gov/saml year=2027 from=203.0.113.7
    vernal audit tail --kind refusal --since 24h
    vernal audit tail --follow --user ana@example.gov`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if t.number < 1 {
				return cli.Usage(c, "-n must be 1 or more")
			}
			if t.kind != "" && !audit.IsKnownKind(t.kind) {
				return cli.Usage(c, "no records are of the kind %q; the kinds are in --help", t.kind)
			}
			since, err := parseSince(t.since, a.Clock.Now())
			if err != nil {
				return cli.Usage(c, "--since: %v", err)
			}
			t.query = ops.AuditQuery{Filter: audit.Filter{Kind: t.kind, SP: idp.EntityID(t.sp), Since: since}}
			if t.query.User = idp.UserID(t.user); strings.Contains(t.user, "@") {
				t.query.User, t.query.Email = "", t.user
			}
			return a.tailAudit(c.Context(), t)
		},
	}
	f := c.Flags()
	f.IntVarP(&t.number, "lines", "n", 20, "show the last `N` records")
	f.BoolVarP(&t.follow, "follow", "f", false, "continue with the records that the running server adds")
	f.StringVar(&t.kind, "kind", "", "only records of this `KIND`, or whose kind begins with it and a full stop")
	f.StringVar(&t.user, "user", "", "only records of this user, by `EMAIL` or ID")
	f.StringVar(&t.sp, "sp", "", "only records of the service provider `ENTITY_ID`")
	f.StringVar(&t.since, "since", "", "only records since a `TIME`: 24h, 2027-03-01, 2027-03-01T09:00:00Z")
	a.CompleteFlag(c, "kind", cli.FindAuditKinds)
	a.CompleteFlag(c, "user", cli.FindEmails)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
	return c
}

func kindsHelp() string {
	var b strings.Builder
	for _, k := range idp.AuditKinds() {
		fmt.Fprintf(&b, "    %-24s %s\n", k.Kind, k.Meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// parseSince reads a duration before now, a date or a time; "" is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	at, err := cli.ParseTime(text)
	if err != nil {
		err = fmt.Errorf("%w, and no duration (24h)", err)
	}
	return at, err
}

func (a *commands) tailAudit(ctx context.Context, t tailOptions) error {
	records, last, err := a.findAudit(ctx, t.query, t.number)
	if err != nil {
		return err
	}
	slices.Reverse(records)
	if err := a.printRecords(records); err != nil || !t.follow {
		return err
	}
	pong, err := cli.Ask(ctx, a.App, ops.Ping, ops.Empty{})
	if err != nil {
		return err
	}
	if pong.Address == "" {
		a.Say("no server runs, so nothing is added")
		return nil
	}
	return a.followAudit(ctx, t, last)
}

// followAudit shows new records until ctx ends, which is not an error.
func (a *commands) followAudit(ctx context.Context, t tailOptions, last uint64) error {
	tick := time.NewTicker(t.pollInterval)
	defer tick.Stop()
	for {
		q := t.query
		q.After, q.Limit = &last, 1000
		found, err := cli.Ask(ctx, a.App, ops.FindAudit, q)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.printRecords(found.Records); err != nil {
			return err
		}
		if found.Next > last {
			last = found.Next
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// findAudit returns the newest records that q selects, newest first, and the number of the last
// record in the trail.
func (a *commands) findAudit(ctx context.Context, q ops.AuditQuery, n int) (records []idp.AuditRecord, last uint64, err error) {
	for first := true; ; first = false {
		q.Limit = n - len(records)
		found, err := cli.Ask(ctx, a.App, ops.FindAudit, q)
		if err != nil {
			return nil, 0, err
		}
		if first {
			last = found.Last
		}
		records = append(records, found.Records...)
		if q.Before = found.Next; found.Next == 0 || len(records) >= n {
			return records, last, nil
		}
	}
}

func (a *commands) printRecords(records []idp.AuditRecord) error {
	if slices.ContainsFunc(records, func(r idp.AuditRecord) bool { return r.Kind == audit.KindDamaged }) {
		defer a.SaySuggestions([]idp.Suggestion{idp.Suggest(idp.DoAuditVerify).WithLabel(idp.LabelVerifyAudit)})
	}
	enc := json.NewEncoder(cli.NewJSONWriter(a.Out))
	enc.SetEscapeHTML(false)
	for i := range records {
		if a.JSON {
			if err := enc.Encode(&records[i]); err != nil {
				return err
			}
			continue
		}
		if err := printRecord(a.Out, &records[i]); err != nil {
			return err
		}
	}
	return nil
}

// printRecord writes a record as one line.
func printRecord(w io.Writer, r *idp.AuditRecord) error {
	line := fmt.Sprintf("%s  #%d  %s  %s", cli.FormatTime(r.At), r.Seq, r.Kind, r.Outcome)
	between := "  "
	for _, p := range listRecordPairs(r) {
		if p[1] != "" {
			line, between = line+between+p[0]+"="+quoteIfNeeded(p[1]), " "
		}
	}
	_, err := fmt.Fprintln(w, idp.ReplaceControls(line))
	return err
}

func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, " \"\t\n") {
		return strconv.Quote(s)
	}
	return s
}

// listRecordPairs returns the fields of a record except place, time, kind, outcome and hashes.
func listRecordPairs(r *idp.AuditRecord) [][2]string {
	list := [][2]string{
		{"by", r.Actor}, {"user", string(r.User)}, {"sp", string(r.SP)}, {"year", string(r.Year)},
		{"from", r.IPAddress}, {"error", r.ErrorID}, {"request", r.RequestID},
	}
	detail := addReasonText(r.Detail)
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		list = append(list, [2]string{name, detail[name]})
	}
	return list
}

// addReasonText replaces the reason code of a rotation step by its text.
func addReasonText(detail map[string]string) map[string]string {
	reason := rotation.ReadReason(detail)
	text := templates.TerminalPhrases().Reason(reason)
	if text == string(reason.Code) { // none, or a code without words
		return detail
	}
	detail = maps.Clone(detail)
	delete(detail, "why_args")
	detail["why"] = text
	return detail
}
