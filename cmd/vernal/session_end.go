package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/idp/admin"
)

func (a *app) sessionEndCommand() *cobra.Command {
	var flags sessionFlags
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
			now := a.clock()
			q, err := flags.query(c, now)
			if err != nil {
				return err
			}
			if q.BegunBefore.IsZero() && id == "" {
				q.BegunBefore = now.UTC()
			}
			q.ID = id
			name, err := flags.meant(c, id, all)
			if err != nil {
				return err
			}
			if dryRun {
				return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
					return a.sayWouldEnd(ctx, client, q)
				})
			}
			if err := a.confirm("end "+whichSessions(q, name), name, yes); err != nil {
				return err
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				return a.endSessions(ctx, client, q)
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&id, "id", "", "the one with this `ID`, as listed")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list what would end, and end nothing")
	c.Flags().StringVar(&yes, "yes", "", "confirm with `NAME`")
	return c
}

// meant is what --yes repeats.
func (f *sessionFlags) meant(c *cobra.Command, id string, all bool) (string, error) {
	narrowed := f.email + f.sp + f.olderThan
	switch {
	case c.Flags().Changed("id") && id == "":
		return "", usage(c, "--id is empty")
	case all && narrowed+id != "":
		return "", usage(c, "--all goes with no other choice")
	case id != "" && narrowed != "":
		return "", usage(c, "--id goes with no other choice")
	case all:
		return "all", nil
	}
	name := cmp.Or(id, f.email, f.sp, f.olderThan)
	if name == "" {
		return "", usage(c, "say which sessions: --id, --user, --sp, --older-than or --all")
	}
	return name, nil
}

// whichSessions says what is about to end.
func whichSessions(q admin.SessionQuery, name string) string {
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

func (a *app) sayWouldEnd(ctx context.Context, client *admin.Client, q admin.SessionQuery) error {
	out := newSessionWriter(a)
	if err := client.Sessions(ctx, q, out.write); err != nil {
		return err
	}
	a.say("dry run: %s would end", plural(out.count, "session"))
	return out.end()
}

func (a *app) endSessions(ctx context.Context, client *admin.Client, q admin.SessionQuery) error {
	n, err := client.EndSessions(ctx, q)
	if err != nil && n > 0 {
		return fmt.Errorf("%s ended, then: %w", plural(n, "session"), err)
	}
	if err != nil {
		return err
	}
	if a.say("ended %s", plural(n, "session")); n == 0 {
		a.say("no live session is meant; see vernal session list")
	}
	if a.json {
		return a.printJSON(map[string]int{"ended": n})
	}
	return nil
}
