package session

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
)

func (a *commands) endCommand() *cobra.Command {
	var flags filterFlags
	var id, yes string
	var all, dryRun bool
	c := &cobra.Command{
		Use:   "end (--id ID | --user EMAIL | --sp ID | --older-than DURATION | --all) --yes NAME",
		Short: "End sessions",
		Long: `End sessions: one, a person's, those in which a service provider was visited,
those begun long ago, or all. With several of --user, --sp and --older-than, those
for which all of them hold. Sign-ins that wait for a second factor end too.

People sign in again at their next visit here. Service providers are not told:
what a person has open there stays open until they sign out there. Sessions begun
after the command are left alone.

--yes repeats what is given: the ID, the address, the entity ID, the duration as
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
					a.Say("dry run: %s would end", cli.Plural(n, "session"))
				}
				return err
			}
			if err := a.Confirm("end "+whichSessions(q, name), name, yes); err != nil {
				return err
			}
			return a.endSessions(c.Context(), q)
		},
	}
	flags.addTo(c)
	c.Flags().StringVar(&id, "id", "", "the one with this `ID`, as listed")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list what would end, and end nothing")
	c.Flags().StringVar(&yes, "yes", "", "confirm with `NAME`")
	return c
}

// confirmName is what --yes repeats.
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

// whichSessions says what is about to end.
func whichSessions(q ops.SessionQuery, name string) string {
	switch {
	case q.ID != "":
		return "the session " + name
	case q.Email != "":
		return "sessions of " + name
	case q.SP != "":
		return "sessions in which " + name + " was visited"
	case name == "all":
		return "all sessions, and everybody has to sign in again"
	}
	return "sessions begun more than " + name + " ago"
}

func (a *commands) endSessions(ctx context.Context, q ops.SessionQuery) error {
	for n := 0; ; {
		answer, err := cli.Ask(ctx, a.App, ops.EndSessions, q)
		n += answer.Ended
		switch q.After = answer.Next; {
		case err != nil && n > 0:
			return fmt.Errorf("%s ended, then: %w", cli.Plural(n, "session"), err)
		case err != nil:
			return err
		case answer.Next != "":
			continue
		}
		if a.Say("ended %s", cli.Plural(n, "session")); n == 0 {
			a.Say("no live session is meant; see vernal session list")
		}
		return a.Print(map[string]int{"ended": n}, nil)
	}
}
