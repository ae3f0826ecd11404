package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
)

func (a *app) sessionCommand() *cobra.Command {
	c := &cobra.Command{Use: "session", Short: "The browsers in which people are signed in"}
	c.AddCommand(a.sessionListCommand(), a.sessionEndCommand())
	return c
}

// sessionFlags say which sessions are meant.
type sessionFlags struct {
	email, sp, olderThan string
}

func (f *sessionFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.email, "user", "", "those of the person with this `EMAIL`")
	c.Flags().StringVar(&f.sp, "sp", "", "those in which the service provider with this entity `ID` was visited")
	c.Flags().StringVar(&f.olderThan, "older-than", "", "those begun longer ago than this `DURATION`, such as 2h or 30m")
}

// query checks the flags. now is the time that ages count from.
func (f *sessionFlags) query(c *cobra.Command, now time.Time) (admin.SessionQuery, error) {
	q := admin.SessionQuery{Email: f.email, SP: idp.EntityID(f.sp)}
	for _, name := range []string{"user", "sp"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return q, usage(c, "--%s is empty", name)
		}
	}
	if c.Flags().Changed("older-than") {
		age, err := time.ParseDuration(f.olderThan)
		if err != nil || age <= 0 {
			return q, usage(c, "--older-than %q is not a duration such as 2h, 30m or 1h30m", f.olderThan)
		}
		q.BegunBefore = now.UTC().Add(-age)
	}
	return q, nil
}

func (a *app) sessionListCommand() *cobra.Command {
	var flags sessionFlags
	var limit int
	c := &cobra.Command{
		Use:   "list [--user EMAIL] [--sp ID] [--older-than DURATION]",
		Short: "List live sessions",
		Long: `List the sessions that have not ended, in no order that means anything. The ID
names a session to 'vernal session end'; it opens nothing.`,
		Example: `    vernal session list --user ana@example.gov
    ID                EMAIL            BEGUN                 LAST USED             ON                SERVICES
    1f0c5b7e90aa41d3  ana@example.gov  2027-03-09T14:05:11Z  2027-03-09T14:31:02Z  Firefox, Windows  https://app.example.gov/saml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := flags.query(c, a.clock())
			if err != nil {
				return err
			}
			if limit < 0 {
				return usage(c, "--limit is under 0")
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				return a.listSessions(ctx, client, q, limit)
			})
		},
	}
	flags.add(c)
	c.Flags().IntVar(&limit, "limit", 0, "list `N` at most (default all)")
	return c
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// listSessions writes the sessions as they come: there may be many.
func (a *app) listSessions(ctx context.Context, client *admin.Client, q admin.SessionQuery, limit int) error {
	out := newSessionWriter(a)
	err := client.Sessions(ctx, q, func(page []admin.Session) error {
		more := limit > 0 && out.count+len(page) > limit
		if more {
			page = page[:limit-out.count]
		}
		if err := out.write(page); err != nil {
			return err
		}
		if more {
			a.say("there are more; this is the first %d", limit)
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		return err
	}
	return out.end()
}

// sessionWriter writes sessions page by page, as a table or as one JSON array.
type sessionWriter struct {
	out   io.Writer
	json  bool
	pages int
	count int
}

func newSessionWriter(a *app) sessionWriter {
	if a.json {
		return sessionWriter{out: jsonWriter(a.out), json: true}
	}
	return sessionWriter{out: a.out}
}

func (w *sessionWriter) write(page []admin.Session) error {
	if w.json {
		return w.writeJSON(page)
	}
	rows := make([][]string, 0, len(page)+1)
	if w.pages++; w.pages == 1 {
		rows = append(rows, []string{"ID", "EMAIL", "BEGUN", "LAST USED", "ON", "SERVICES"})
	}
	for _, s := range page {
		rows = append(rows, sessionRow(s))
	}
	w.count += len(page)
	if len(rows) == 0 {
		return nil
	}
	return table(w.out, rows[0], rows[1:])
}

func (w *sessionWriter) writeJSON(page []admin.Session) error {
	for _, s := range page {
		data, err := json.MarshalIndent(s, "  ", "  ")
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

func (w *sessionWriter) end() error {
	if !w.json {
		return nil
	}
	text := "\n]\n"
	if w.count == 0 {
		text = "[]\n"
	}
	_, err := io.WriteString(w.out, text)
	return err
}

func sessionRow(s admin.Session) []string {
	who := s.Email
	if who == "" {
		who = string(s.User)
	}
	var services []string
	for _, id := range s.SPs {
		services = append(services, string(id))
	}
	visited := strings.Join(services, " ")
	if s.Pending {
		visited = "(waits for the second factor)"
	}
	on := strings.Trim(s.Device.Browser+", "+s.Device.System, ", ")
	return []string{s.ID, who, moment(s.BegunAt), moment(s.SeenAt), dash(on), dash(visited)}
}
