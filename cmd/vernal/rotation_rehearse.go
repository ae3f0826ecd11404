package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rehearsal"
	"vernal/idp/sp"
)

// rehearsed is how a rehearsal went, as JSON.
type rehearsed struct {
	Year  idp.Year           `json:"year"`
	State string             `json:"state"`
	At    time.Time          `json:"at"`
	OK    bool               `json:"ok"`
	Steps []rehearsal.Result `json:"steps"`
}

func (a *app) rotationRehearseCommand() *cobra.Command {
	var connect string
	c := &cobra.Command{
		Use:   "rehearse YEAR [--connect HOST:PORT]",
		Short: "Walk through a year with a built-in service provider",
		Long: `Walk through a year with a built-in service provider against the running server,
before or after it is published: its metadata and certificate, a sign-in by each
binding with an encrypted assertion, and what must be refused. The way is the
real one, through base_url with its TLS and its proxy; --connect goes to another
address instead and keeps the names, as curl's --connect-to does. Nobody signs
in: the person and the service provider exist for this command, for a minute,
and for one another. It counts as use of no year and is on no board, and is on
record in the audit trail. The exit code is 1 if a step fails.`,
		Example: `    vernal rotation rehearse 2027
    STEP                RESULT  WHAT
    reach               ok      https://login.example.gov answers
    metadata            ok      loaded by a preview link of our own, as it is not published
    metadata_signature  ok      its signature verifies with the certificate in it
    …`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			year, err := yearArg(c, args[0])
			if err != nil {
				return err
			}
			if connect != "" {
				if _, _, err := net.SplitHostPort(connect); err != nil {
					return usage(c, "--connect %q is not HOST:PORT", connect)
				}
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				return a.rehearse(ctx, client, year, connect)
			})
		},
	}
	c.Flags().StringVar(&connect, "connect", "", "connect to `HOST:PORT`, whatever base_url says")
	return c
}

func (a *app) rehearse(ctx context.Context, client *admin.Client, year idp.Year, connect string) error {
	pong, err := client.Ping(ctx)
	if err != nil {
		return err
	}
	if pong.Address == "" {
		return fmt.Errorf("no server runs here, and a rehearsal walks through a running one: vernal serve")
	}
	key, cert, err := rehearsal.NewKey(a.clock.Now())
	if err != nil {
		return err
	}
	terms, err := client.BeginRehearsal(ctx, admin.RehearsalRequest{Year: year, Cert: sp.PEM(cert)})
	if err != nil {
		return err
	}
	walk := &rehearsal.Walk{Terms: terms, Key: key, Cert: cert, Client: rehearsal.NewClient(connect), Clock: a.clock}
	results := walk.Run(ctx)
	failed := []string{}
	for _, r := range results {
		if !r.OK {
			failed = append(failed, r.Step)
		}
	}
	// Interrupted or not, the server is told that it is over.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingWait)
	defer cancel()
	if err := client.EndRehearsal(end, admin.RehearsalEnd{ID: terms.ID, Failed: failed}); err != nil {
		a.say("vernal: end the rehearsal: %v", err)
	}
	if err := a.printRehearsal(terms, results, len(failed) == 0); err != nil {
		return err
	}
	if len(failed) == 0 {
		a.say("%s is rehearsed: %s, all ok", year, plural(len(results), "step"))
		return nil
	}
	if !results[0].OK && connect == "" {
		a.say("the server itself listens on %s: --connect %s leaves out what is in front of it", pong.Address, pong.Address)
	}
	return fmt.Errorf("%d of %s failed", len(failed), plural(len(results), "step"))
}

func (a *app) printRehearsal(terms *rehearsal.Terms, results []rehearsal.Result, ok bool) error {
	if a.json {
		return a.printJSON(rehearsed{Year: terms.Year, State: terms.State, At: terms.At, OK: ok, Steps: results})
	}
	var rows [][]string
	for _, r := range results {
		result := "ok"
		if !r.OK {
			result = "FAILED"
		}
		rows = append(rows, []string{r.Step, result, r.Text})
	}
	return table(a.out, []string{"STEP", "RESULT", "WHAT"}, rows)
}
