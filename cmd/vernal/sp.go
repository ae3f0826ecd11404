package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/partnercert"
	"vernal/idp/sp"
)

func (a *app) spCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sp",
		Short: "The service providers that people sign in to",
	}
	c.AddCommand(
		a.spAddCommand(),
		a.spListCommand(),
		a.spShowCommand(),
		a.spEditCommand(),
		a.spRemoveCommand(),
	)
	return c
}

func (a *app) spListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all service providers",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				list, err := client.SPs(ctx)
				if err != nil && !errors.Is(err, idp.ErrTampered) {
					return err
				}
				tampered := err // reported after the list of the others
				if a.json {
					return errors.Join(a.printJSON(list), tampered)
				}
				var rows [][]string
				for _, p := range list {
					rows = append(rows, []string{string(p.EntityID), p.Name, p.Agency, p.State, yesNo(p.Active), a.certsEnd(p), day(p.UpdatedAt)})
				}
				return errors.Join(table(a.out, []string{"ENTITY ID", "NAME", "AGENCY", "STATE", "ACTIVE", "CERT ENDS", "CHANGED"}, rows), tampered)
			})
		},
	}
}

// certsEnd is when the last of a provider's request certificates ends.
func (a *app) certsEnd(p *idp.ServiceProvider) string {
	parsed, err := sp.Parse(p)
	if err != nil {
		return "?"
	}
	var end time.Time
	for _, cert := range parsed.RequestCerts {
		if cert.NotAfter.After(end) {
			end = cert.NotAfter
		}
	}
	text := day(end)
	if !end.IsZero() && end.Before(a.clock.Now()) {
		text += " (past)"
	}
	return text
}

func (a *app) spShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ENTITY_ID",
		Short:   "Show one service provider",
		Example: `    vernal sp show https://app.example.gov/saml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				p, err := client.SP(ctx, idp.EntityID(args[0]))
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(p)
				}
				if err := pairs(a.out, spPairs(p, a.clock.Now())); err != nil {
					return err
				}
				warnings, suggestions := sp.Warnings(p, a.clock.Now())
				for _, w := range warnings {
					a.say("note: %s", w)
				}
				a.saySuggestions(suggestions)
				return nil
			})
		},
	}
}

// spPairs is a registration in the order of its fields; empty ones are left out.
func spPairs(p *idp.ServiceProvider, now time.Time) [][2]string {
	list := [][2]string{{"entity_id", string(p.EntityID)}}
	for _, f := range sp.Fields() {
		values := f.Read(p)
		switch f.Kind {
		case sp.KindCert:
			values = certLines(values, f.Name == "encryption_certs", now)
		case sp.KindInts:
			continue // beside the addresses
		}
		if f.Name == "acs_urls" && len(p.ACSIndexes) == len(values) {
			for i := range values {
				values[i] += " (index " + strconv.Itoa(p.ACSIndexes[i]) + ")"
			}
		}
		list = append(list, [2]string{f.Name, strings.Join(values, "\n")})
	}
	return append(list,
		[2]string{"name_id_scope", string(p.NameIDScope)},
		[2]string{"created_at", moment(p.CreatedAt)},
		[2]string{"updated_at", moment(p.UpdatedAt)})
}

// certLines says in a line each which certificates are there and, if only one of
// them is used at a time, which one is now.
func certLines(list []string, one bool, now time.Time) []string {
	var all []*x509.Certificate
	for _, text := range list {
		certs, err := partnercert.Read([]byte(text))
		if err != nil {
			return []string{"unreadable: " + err.Error()}
		}
		all = append(all, certs...)
	}
	used := partnercert.Choose(all, now)
	var out []string
	for _, c := range all {
		line := fmt.Sprintf("%s  %s, ends %s", certs.CertSHA256(c), c.Subject, day(c.NotAfter))
		switch {
		case one && c == used:
			line += ", used now"
		case one:
			line += ", not used now"
		}
		out = append(out, line)
	}
	return out
}

func (a *app) spRemoveCommand() *cobra.Command {
	var yes string
	c := &cobra.Command{
		Use:   "remove ENTITY_ID --yes ENTITY_ID",
		Short: "Remove a service provider; nobody can sign in to it any more",
		Long: `Remove a service provider. Nobody can sign in to it any more. The NameIDs it saw
stay taken; if it is added again, it sees new ones unless 'sp add --resume' says
otherwise. To close it for a while, use 'sp edit --active=false'.`,
		Example: `    vernal sp remove https://app.example.gov/saml --yes https://app.example.gov/saml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := args[0]
			if err := a.confirm("remove the service provider "+id, id, yes); err != nil {
				return err
			}
			return a.withClient(c.Context(), func(ctx context.Context, client *admin.Client) error {
				if err := client.RemoveSP(ctx, idp.EntityID(id)); err != nil {
					return err
				}
				a.say("removed %s; its NameIDs stay taken (sp add --resume gives them back to it)", id)
				if a.json {
					return a.printJSON(map[string]string{"removed": id})
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&yes, "yes", "", "confirm, by the `ENTITY_ID`")
	return c
}
