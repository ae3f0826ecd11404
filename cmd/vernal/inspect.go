package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/idp/admin"
	"vernal/idp/inspect"
	"vernal/templates"
)

// maxInspected bounds what is read: far more than the server takes.
const maxInspected = 1 << 20

func (a *app) inspectCommand() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "inspect [TEXT|-]",
		Short: "Take a SAML message apart: what is right, what is wrong, how to mend it",
		Long: `Decode a SAMLRequest or SAMLResponse and hold it against every rule of the
server, one by one. TEXT is an address with the message in it, its query, a form,
the value in base64, or XML; without it, or with "-", it is read from the input.

A request is good for five minutes: with --at, the rules are applied as if it had
arrived then. Whether its ID was seen before is not asked, and nothing is kept.

The exit code is 0 if the server would take the message, 3 if it would refuse it,
and 1 if that cannot be said because there is no registry to ask.`,
		Example: `    vernal inspect 'https://login.example.gov/api/saml/auth2027?SAMLRequest=...'
    AuthnRequest from https://app.example.gov (Orchard Desk)
    ok       Issuer         https://app.example.gov
    REFUSED  Signature
    ...`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req := admin.InspectRequest{}
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usage(c, "--at %q is no time such as 2027-03-01T09:00:00Z", at)
				}
				req.At = t
			}
			req.Text = "-"
			if len(args) > 0 {
				req.Text = args[0]
			}
			if req.Text == "-" {
				b, err := io.ReadAll(io.LimitReader(a.in, maxInspected+1))
				if err != nil {
					return fmt.Errorf("read the message: %w", err)
				}
				if len(b) > maxInspected {
					return fmt.Errorf("the message is over %d bytes", maxInspected)
				}
				req.Text = string(b)
			}
			return a.inspect(c.Context(), req)
		},
	}
	c.Flags().StringVar(&at, "at", "", "apply the rules as at this `TIME`, such as 2027-03-01T09:00:00Z")
	return c
}

func (a *app) inspect(ctx context.Context, req admin.InspectRequest) error {
	report, err := a.inspected(ctx, req)
	if err != nil {
		return err
	}
	set, err := templates.New()
	if err != nil {
		return err
	}
	report.Explain(set)
	if a.json {
		err = a.printJSON(report)
	} else {
		err = a.printReport(report)
	}
	switch {
	case err != nil:
		return err
	case report.Refused:
		return refuse("the message would be refused")
	case report.Unknown:
		return errors.New("whether the message would be taken cannot be said: it was not verified")
	}
	return nil
}

// inspected asks the installation or, where there is none, decodes alone.
func (a *app) inspected(ctx context.Context, req admin.InspectRequest) (*inspect.Report, error) {
	client, _, done, err := a.connect(ctx)
	if err == nil {
		defer done()
		return client.Inspect(ctx, req)
	}
	c, configErr := a.config()
	if configErr != nil {
		return nil, err
	}
	a.say("vernal: no registry to ask: %v", err)
	if req.At.IsZero() {
		req.At = a.clock.Now()
	}
	return (&inspect.Service{IdP: metadataIdP(c)}).Inspect(ctx, req.Text, req.At)
}

// printReport writes a report for people: the rules, what the request comes to,
// and the message.
func (a *app) printReport(r *inspect.Report) error {
	what := r.Kind
	if what == "" {
		what = "unreadable message"
	}
	if r.SP != "" {
		what += ": " + printable(string(r.SP))
	}
	if r.SPName != "" {
		what += " (" + printable(r.SPName) + ")"
	}
	fmt.Fprintln(a.out, what+", at "+moment(r.At))
	for _, c := range r.Checks {
		a.printCheck(c)
	}
	if r.Cert != nil {
		fmt.Fprintf(a.out, "\nverified by the certificate with SHA-256 %s, which ends %s\n", r.Cert.SHA256, day(r.Cert.EndAt))
	}
	if l := r.Levels; l != nil {
		fmt.Fprintln(a.out)
		if err := a.printLevels(l); err != nil {
			return err
		}
	}
	for i, attr := range r.Attributes {
		if i == 0 {
			fmt.Fprintln(a.out, "\nattributes:")
		}
		fmt.Fprintf(a.out, "  %s = %s\n", printable(attr.Name), printable(strings.Join(attr.Values, ", ")))
	}
	if r.XML != "" {
		fmt.Fprintln(a.out)
		for line := range strings.SplitSeq(r.XML, "\n") {
			fmt.Fprintln(a.out, printable(line))
		}
	}
	return nil
}

var outcomes = map[inspect.Outcome]string{inspect.OK: "ok", inspect.Refused: "REFUSED", inspect.Skipped: "-"}

func (a *app) printCheck(c inspect.Check) {
	line := fmt.Sprintf("%-8s %s", outcomes[c.Outcome], printable(c.Field))
	if c.Seen != "" {
		line += "  " + printable(c.Seen)
	}
	if c.Note != "" {
		line += "  (" + printable(c.Note) + ")"
	}
	fmt.Fprintln(a.out, strings.TrimRight(line, " "))
	for _, text := range [][2]string{{"", c.Reason}, {"expected: ", c.Expected}, {"mend it:  ", c.Remedy}, {"code:     ", string(c.Code)}} {
		if text[1] != "" {
			fmt.Fprintln(a.out, "         "+text[0]+printable(text[1]))
		}
	}
}

func (a *app) printLevels(l *inspect.Levels) error {
	second := "a second factor in this session"
	if l.RememberedDevice {
		second = "a second factor, or a remembered device"
	}
	list := [][2]string{
		{"identity", l.IAL}, {"sign-in", l.AAL + ": " + second}, {"stated", l.ClassRef}, {"attributes", strings.Join(l.Attributes, ", ")},
	}
	for _, d := range l.Dropped {
		list = append(list, [2]string{"dropped", d.Name + ": " + string(d.Reason)})
	}
	for _, u := range l.Unknown {
		list = append(list, [2]string{"unknown", u})
	}
	return pairs(a.out, list)
}
