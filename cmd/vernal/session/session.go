// Package session is the command "vernal session", which lists and ends sessions.
package session

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{Use: "session", Short: "The browsers in which users are signed in", Example: `    vernal session list --user ana@example.gov
    vernal session end --user ana@example.gov --yes ana@example.gov`}
	c.AddCommand(a.listCommand(), a.endCommand())
	return c
}

// filterFlags select sessions.
type filterFlags struct {
	email, sp, olderThan string
}

func (f *filterFlags) addFlags(a *commands, c *cobra.Command) {
	c.Flags().StringVar(&f.email, "user", "", "those of this user, by `EMAIL` or ID")
	c.Flags().StringVar(&f.sp, "sp", "", "those in which the service provider `ENTITY_ID` was visited")
	c.Flags().StringVar(&f.olderThan, "older-than", "", "those begun longer ago than this `DURATION`, such as 2h or 30m")
	a.CompleteFlag(c, "user", cli.FindEmails)
	a.CompleteFlag(c, "sp", cli.FindEntityIDs)
}

// parseQuery checks the flags. now is the time that ages count from.
func (f *filterFlags) parseQuery(c *cobra.Command, now time.Time) (ops.SessionQuery, error) {
	q := ops.SessionQuery{Email: f.email, SP: idp.EntityID(f.sp)}
	for _, name := range []string{"user", "sp"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return q, cli.Usage(c, "--%s is empty", name)
		}
	}
	if c.Flags().Changed("older-than") {
		age, err := time.ParseDuration(f.olderThan)
		if err != nil || age <= 0 {
			return q, cli.Usage(c, "--older-than %q is not a duration such as 2h, 30m or 1h30m", f.olderThan)
		}
		q.BegunBefore = now.UTC().Add(-age)
	}
	return q, nil
}

func (a *commands) listCommand() *cobra.Command {
	var flags filterFlags
	var limit int
	c := &cobra.Command{
		Use:   "list [--user EMAIL] [--sp ENTITY_ID] [--older-than DURATION] [--limit N]",
		Short: "List live sessions",
		Long: `List the sessions that have not ended, in no particular order. The ID
is for 'vernal session end' and does not give access.`,
		Example: `    vernal session list --user ana@example.gov
    ID                EMAIL            BEGUN                 LAST USED             ON                SERVICES
    1f0c5b7e90aa41d3  ana@example.gov  2027-03-09T14:05:11Z  2027-03-09T14:31:02Z  Firefox, Windows  https://app.example.gov/saml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := flags.parseQuery(c, a.Clock())
			if err != nil {
				return err
			}
			if limit < 0 {
				return cli.Usage(c, "--limit is under 0")
			}
			_, err = a.listSessions(c.Context(), q, limit)
			return err
		},
	}
	flags.addFlags(a, c)
	c.Flags().IntVar(&limit, "limit", 0, "list `N` at most (default all)")
	return c
}

// listSessions writes the sessions page by page, because there may be many, and counts them. A
// limit of 0 means no limit.
func (a *commands) listSessions(ctx context.Context, q ops.SessionQuery, limit int) (int, error) {
	out := newSessionWriter(a)
	for {
		list, err := cli.Ask(ctx, a.App, ops.ListSessions, q)
		if err != nil {
			return out.count, err
		}
		page := list.Sessions
		more := limit > 0 && out.count+len(page) > limit
		if more {
			page = page[:limit-out.count]
		}
		if err := out.write(page); err != nil {
			return out.count, err
		}
		if more {
			a.Say("there are more; this is the first %d", limit)
		}
		if list.Next == "" && out.count == 0 && !a.JSON {
			a.Say("no live session found")
		}
		if q.After = list.Next; more || list.Next == "" {
			return out.count, out.writeEnd()
		}
	}
}

// sessionWriter writes sessions page by page, as a table or as one JSON array.
type sessionWriter struct {
	out   io.Writer
	isJSON  bool
	pages int
	count int
}

func newSessionWriter(a *commands) sessionWriter {
	if a.JSON {
		return sessionWriter{out: cli.NewJSONWriter(a.Out), isJSON: true}
	}
	return sessionWriter{out: a.Out}
}

func (w *sessionWriter) write(page []ops.Session) error {
	if w.isJSON {
		return w.writeJSON(page)
	}
	rows := make([][]string, 0, len(page)+1)
	if w.pages++; w.pages == 1 {
		rows = append(rows, []string{"ID", "EMAIL", "BEGUN", "LAST USED", "ON", "SERVICES"})
	}
	for _, s := range page {
		rows = append(rows, formatSession(s))
	}
	w.count += len(page)
	if len(page) == 0 {
		w.pages-- // no header without a row
		return nil
	}
	return cli.WriteTable(w.out, rows[0], rows[1:])
}

func (w *sessionWriter) writeJSON(page []ops.Session) error {
	for _, s := range page {
		data, err := cli.MarshalJSON(s, "  ")
		if err != nil {
			return err
		}
		before := ",\n  "
		if w.count++; w.count == 1 {
			before = "[\n  "
		}
		if _, err := fmt.Fprintf(w.out, "%s%s", before, data); err != nil {
			return err
		}
	}
	return nil
}

func (w *sessionWriter) writeEnd() error {
	if !w.isJSON {
		return nil
	}
	text := "\n]\n"
	if w.count == 0 {
		text = "[]\n"
	}
	_, err := io.WriteString(w.out, text)
	return err
}

func formatSession(s ops.Session) []string {
	visited := cli.JoinNames(s.SPs, " ")
	if s.Pending {
		visited = "(waits for the second factor)"
	}
	on := strings.Trim(s.Device.Browser+", "+s.Device.System, ", ")
	return []string{s.ID, cmp.Or(s.Email, string(s.User)), cli.FormatTime(s.BegunAt), cli.FormatTime(s.SeenAt), cli.ReplaceEmpty(on), cli.ReplaceEmpty(visited)}
}

func (a *commands) endCommand() *cobra.Command {
	var flags filterFlags
	var id, yes string
	var all, dryRun bool
	c := &cobra.Command{
		Use:   "end (--id ID | --user EMAIL | --sp ENTITY_ID | --older-than DURATION | --all) --yes NAME",
		Short: "End sessions",
		Long: `End sessions: one, a user's, those in which a service provider was visited,
those begun long ago, or all. With several of --user, --sp and --older-than, those
for which all of them hold. Sign-ins that wait for a second factor end too.

Users sign in again at their next visit here. Service providers are not notified:
what a user has open there stays open until they sign out there. Sessions begun
after the command are left alone.

--yes repeats what is given: the ID, the email address, the entity ID, the duration as
you wrote it, or "all"; of several, the first in this order.`,
		Example: `    vernal session end --user ana@example.gov --yes ana@example.gov
    ended 2 sessions

    vernal session end --older-than 8h --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now := a.Clock()
			q, err := flags.parseQuery(c, now)
			if err != nil {
				return err
			}
			if q.BegunBefore.IsZero() && id == "" {
				q.BegunBefore = now.UTC()
			}
			q.ID = id
			name, err := flags.confirmName(c, id, all)
			if err != nil {
				return err
			}
			if dryRun {
				n, err := a.listSessions(c.Context(), q, 0)
				if err == nil {
					a.Say("dry run: %s would end", cli.FormatCount(n, "session"))
				}
				return err
			}
			if err := a.Confirm("end "+describeSessions(q, name), name, yes); err != nil {
				return err
			}
			return a.endSessions(c.Context(), q)
		},
	}
	flags.addFlags(a, c)
	c.Flags().StringVar(&id, "id", "", "the one with this `ID`, as listed")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list what would end, and end nothing")
	c.Flags().StringVar(&yes, "yes", "", "confirm with `NAME`")
	return c
}

// confirmName returns the text that --yes must repeat.
func (f *filterFlags) confirmName(c *cobra.Command, id string, all bool) (string, error) {
	narrowed := f.email + f.sp + f.olderThan
	switch {
	case c.Flags().Changed("id") && id == "":
		return "", cli.Usage(c, "--id is empty")
	case all && narrowed+id != "":
		return "", cli.Usage(c, "--all goes with no other choice")
	case id != "" && narrowed != "":
		return "", cli.Usage(c, "--id goes with no other choice")
	case all:
		return "all", nil
	}
	name := cmp.Or(id, f.email, f.sp, f.olderThan)
	if name == "" {
		return "", cli.Usage(c, "say which sessions: --id, --user, --sp, --older-than or --all")
	}
	return name, nil
}

// describeSessions describes the sessions about to end.
func describeSessions(q ops.SessionQuery, name string) string {
	switch {
	case q.ID != "":
		return "the session " + name
	case q.Email != "":
		return "sessions of " + name
	case q.SP != "":
		return "sessions in which " + name + " was visited"
	case name == "all":
		return "all sessions, and every user must sign in again"
	}
	return "sessions begun more than " + name + " ago"
}

func (a *commands) endSessions(ctx context.Context, q ops.SessionQuery) error {
	for n := 0; ; {
		answer, err := cli.Ask(ctx, a.App, ops.EndSessions, q)
		n += answer.Ended
		switch q.After = answer.Next; {
		case err != nil && n > 0:
			return fmt.Errorf("%s ended, then: %w", cli.FormatCount(n, "session"), err)
		case err != nil:
			return err
		case answer.Next != "":
			continue
		}
		if a.Say("ended %s", cli.FormatCount(n, "session")); n == 0 {
			a.Say("no live session is meant; see vernal session list")
		}
		return a.Print(map[string]int{"ended": n}, nil)
	}
}
