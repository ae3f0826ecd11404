package rotation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rehearsal"
)

// rehearsalResult is the result of a rehearsal as JSON.
type rehearsalResult struct {
	Year  idp.Year  `json:"year"`
	State string    `json:"state"`
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	// Failed and NotTried count the steps.
	Failed   int                `json:"failed"`
	NotTried int                `json:"not_tried"`
	Steps    []rehearsal.Result `json:"steps"`
}

func (a *commands) rehearseCommand() *cobra.Command {
	var connect string
	c := &cobra.Command{
		Use:   "rehearse YEAR [--connect [http://]HOST:PORT]",
		Short: "Walk through a year with a built-in service provider",
		Long: `Walk through a year with a built-in service provider against the
running server, before or after it is published: its metadata and certificate, a
sign-in by each binding with an encrypted assertion, and messages that must be
refused. The path is the real one, through base_url with its TLS and its proxy;
--connect goes to another host and port instead and keeps the names, as curl's
--connect-to does. With http:// in front it speaks plain http there, as the
proxy does; for the host and port where this server listens, that is automatic.
No one signs in: the user and the service provider exist for this command alone.
It never counts as use of a year, is not on the migration board, and is recorded
in the audit trail. A step for which an earlier one did not find what it needs
is not tried. The exit code is 1 if a step fails.`,
		Example: `    vernal rotation rehearse 2027
    STEP                RESULT  WHAT
    reach               ok      https://login.example.gov answers
    metadata            ok      loaded by a preview link of our own, as it is not published
    metadata_signature  ok      its signature verifies with the certificate in it
    …`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			year, err := parseYearArg(c, args[0])
			if err != nil {
				return err
			}
			way, err := parseConnectFlag(c, connect)
			if err != nil {
				return err
			}
			return a.rehearse(c.Context(), year, way)
		},
	}
	c.Flags().StringVar(&connect, "connect", "", "connect to `HOST:PORT`, whatever base_url says; with http:// in front without TLS")
	a.CompleteArg(c, cli.FindYears)
	return c
}

// parseConnectFlag parses HOST:PORT, or http://HOST:PORT for a listener without TLS.
func parseConnectFlag(c *cobra.Command, text string) (way rehearsal.Connection, err error) {
	if text == "" {
		return way, nil
	}
	way.HostPort, way.Plain = strings.CutPrefix(text, plainScheme)
	host, port, err := net.SplitHostPort(way.HostPort)
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || strings.ContainsAny(host, "/@") {
		return way, cli.Usage(c, "--connect %q is not HOST:PORT or http://HOST:PORT", text)
	}
	return way, nil
}

const (
	plainScheme = "http://"
	// endWait bounds the report of a rehearsal that was interrupted.
	endWait = 3 * time.Second
)

func (a *commands) rehearse(ctx context.Context, year idp.Year, way rehearsal.Connection) error {
	pong, err := cli.Ask(ctx, a.App, ops.Ping, ops.Empty{})
	if err != nil {
		return err
	}
	if pong.Address == "" {
		return fmt.Errorf("no server runs here, and a rehearsal walks through a running one: vernal serve")
	}
	if way.HostPort == pong.Address && !pong.TLS {
		way.Plain = true // our own server says so
	}
	now := a.Clock.Now()
	key, cert, err := rehearsal.NewKey("rehearsal", now, now.Add(time.Hour))
	if err != nil {
		return err
	}
	terms, err := cli.Ask(ctx, a.App, ops.BeginRehearsal, ops.RehearsalRequest{Year: year, Cert: certs.EncodePEM(cert)})
	if err != nil {
		return err
	}
	walk := &rehearsal.Walk{Terms: terms, Key: key, Cert: cert, Client: rehearsal.NewClient(way), Clock: a.Clock}
	results := walk.Run(ctx)
	failed := []string{}
	for _, r := range results {
		if r.Outcome == rehearsal.OutcomeFailed {
			failed = append(failed, r.Step)
		}
	}
	// End the rehearsal on the server even if this command was interrupted.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	if _, err := cli.Ask(end, a.App, ops.EndRehearsal, ops.RehearsalEndRequest{ID: terms.ID, Failed: failed}); err != nil {
		a.Say("vernal: end the rehearsal: %v", err)
	}
	if err := a.printRehearsal(terms, results); err != nil {
		return err
	}
	if rehearsal.Count(results, rehearsal.OutcomeOK) == len(results) {
		a.Say("%s is rehearsed: %s, all ok", year, cli.FormatCount(len(results), "step"))
		return nil
	}
	if !results[0].OK && way.HostPort == "" {
		direct := idp.Suggest(idp.DoRotationRehearse, string(year)).WithOption(idp.OptionConnect, formatConnect(pong))
		a.Say("the server itself listens on %s; to leave out what is in front of it: %s", pong.Address, a.CommandLine(direct))
	}
	text := fmt.Sprintf("%d of %s failed", len(failed), cli.FormatCount(len(results), "step"))
	if n := rehearsal.Count(results, rehearsal.OutcomeNotTried); n > 0 {
		text += fmt.Sprintf(", %d not tried", n)
	}
	return errors.New(text)
}

// formatConnect returns where the server listens, in the form of --connect.
func formatConnect(pong ops.Pong) string {
	if pong.TLS {
		return pong.Address
	}
	return plainScheme + pong.Address
}

func (a *commands) printRehearsal(terms *rehearsal.Terms, results []rehearsal.Result) error {
	data := rehearsalResult{
		Year: terms.Year, State: terms.State, At: terms.At, OK: rehearsal.Count(results, rehearsal.OutcomeOK) == len(results),
		Failed: rehearsal.Count(results, rehearsal.OutcomeFailed), NotTried: rehearsal.Count(results, rehearsal.OutcomeNotTried), Steps: results,
	}
	return a.Print(data, func() error {
		return cli.WriteTextTable(a.Out, []string{"STEP", "RESULT", "WHAT"}, results, a.formatResult)
	})
}

func (a *commands) formatResult(r rehearsal.Result) []string {
	result := map[rehearsal.Outcome]string{
		rehearsal.OutcomeOK: "ok", rehearsal.OutcomeFailed: "FAILED", rehearsal.OutcomeNotTried: "not tried",
	}[r.Outcome]
	text := r.Text
	for _, s := range r.Suggestions {
		text += ": " + a.CommandLine(s)
	}
	return []string{r.Step, result, text}
}
