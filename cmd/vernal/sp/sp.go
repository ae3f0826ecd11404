// Package sp is the command "vernal sp", which registers service providers.
package sp

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/partnercert"
	"vernal/idp/sp"
)

// commands are the commands of this package.
type commands struct{ *cli.App }

// Command returns the command and its subcommands.
func Command(app *cli.App) *cobra.Command {
	a := &commands{app}
	c := &cobra.Command{
		Use:   "sp",
		Short: "The service providers that users sign in to",
		Example: `    vernal sp list
    vernal sp add --metadata https://app.example.gov/saml/metadata
    vernal sp show https://app.example.gov/saml`,
	}
	c.AddCommand(
		a.addCommand(),
		a.listCommand(),
		a.showCommand(),
		a.editCommand(),
		a.removeCommand(),
	)
	return c
}

// The orders of sp list.
const (
	sortEntityID = "entity-id"
	sortName     = "name"
	sortUpdatedAt  = "changed"
)

var orders = map[string]func(a, b *idp.ServiceProvider) int{
	sortEntityID: func(a, b *idp.ServiceProvider) int { return cmp.Compare(a.EntityID, b.EntityID) },
	sortName:     func(a, b *idp.ServiceProvider) int { return cmp.Compare(a.Name, b.Name) },
	sortUpdatedAt:  func(a, b *idp.ServiceProvider) int { return b.UpdatedAt.Compare(a.UpdatedAt) },
}

// listFlags select the service providers to list.
type listFlags struct {
	search, state, sort string
	inactive            bool
	limit               int
}

// selects reports whether the flags select a service provider.
func (f *listFlags) selects(p *idp.ServiceProvider) bool {
	search := strings.ToLower(f.search)
	if f.inactive && p.Active || f.state != "" && p.State != f.state {
		return false
	}
	return slices.ContainsFunc([]string{string(p.EntityID), p.Name, p.Agency, p.Team}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), search)
	})
}

func (a *commands) listCommand() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list [--search TEXT] [--state STATE] [--inactive] [--sort ORDER] [--limit N]",
		Short: "List service providers",
		Long: `List service providers: all, or those that match every option. --search
finds a part of the entity ID, name, agency or team, in any case.`,
		Example: `    vernal sp list
    vernal sp list --search agency.example --sort changed --limit 10`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			order := orders[f.sort]
			switch {
			case order == nil:
				return cli.Usage(c, "--sort is entity-id, name or changed")
			case f.state != "" && f.state != idp.StateSandbox && f.state != idp.StateApproved:
				return cli.Usage(c, "--state is sandbox or approved")
			case f.limit < 0:
				return cli.Usage(c, "--limit is under 0")
			}
			list, err := cli.Ask(c.Context(), a.App, ops.ListSPs, ops.Empty{})
			if err != nil {
				return err
			}
			if len(list.Tampered) > 0 {
				err = &idp.TamperedError{Providers: list.Tampered} // reported after the list of the others
			}
			found := slices.DeleteFunc(list.SPs, func(p *idp.ServiceProvider) bool { return !f.selects(p) })
			slices.SortStableFunc(found, order)
			found = cli.LimitList(a.App, found, f.limit)
			return errors.Join(a.Print(found, func() error { return a.printSPs(found) }), err)
		},
	}
	c.Flags().StringVar(&f.search, "search", "", "only those with this `TEXT` in entity ID, name, agency or team")
	c.Flags().StringVar(&f.state, "state", "", "only those in this `STATE`")
	c.Flags().BoolVar(&f.inactive, "inactive", false, "only those that are not active")
	c.Flags().StringVar(&f.sort, "sort", sortEntityID, "the `ORDER`; changed is latest change first")
	c.Flags().IntVar(&f.limit, "limit", 0, "list `N` at most (default all)")
	cli.SetValues(c, "sort", sortEntityID, sortName, sortUpdatedAt)
	cli.SetValues(c, "state", idp.StateSandbox, idp.StateApproved)
	return c
}

func (a *commands) printSPs(list []*idp.ServiceProvider) error {
	header := []string{"ENTITY ID", "NAME", "AGENCY", "STATE", "ACTIVE", "CERT ENDS", "CHANGED"}
	return cli.PrintList(a.App, header, list, "no service provider found; add one with: vernal sp add", func(p *idp.ServiceProvider) []string {
		return []string{string(p.EntityID), p.Name, p.Agency, p.State, cli.FormatBool(p.Active), a.formatCertsEnd(p), cli.FormatDay(p.UpdatedAt)}
	})
}

// formatCertsEnd returns when the last of a service provider's request certificates ends.
func (a *commands) formatCertsEnd(p *idp.ServiceProvider) string {
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
	text := cli.FormatDay(end)
	if !end.IsZero() && end.Before(a.Clock.Now()) {
		text += " (past)"
	}
	return text
}

func (a *commands) showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "show ENTITY_ID",
		Short:   "Show one service provider",
		Example: `    vernal sp show https://app.example.gov/saml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return cli.Read(c.Context(), a.App, ops.ShowSP, ops.SPRequest{EntityID: idp.EntityID(args[0])}, a.printSP)
		},
	}
	a.CompleteArg(c, cli.FindEntityIDs)
	return c
}

func (a *commands) printSP(p *idp.ServiceProvider) error {
	if err := cli.WritePairs(a.Out, describeSP(p, a.Clock.Now())); err != nil {
		return err
	}
	warnings, suggestions := sp.ListWarnings(p, a.Clock.Now())
	for _, w := range warnings {
		a.Say("note: %s", w)
	}
	a.SaySuggestions(suggestions)
	return nil
}

// describeSP returns a registration in the order of its fields, without empty ones.
func describeSP(p *idp.ServiceProvider, now time.Time) [][2]string {
	list := [][2]string{{"entity_id", string(p.EntityID)}}
	for _, f := range sp.Fields() {
		values := f.Read(p)
		switch f.Kind {
		case sp.KindCert:
			values = formatCerts(values, f.Name == "encryption_certs", now)
		case sp.KindFile:
			if path := p.LogoPath(); path != "" {
				values = []string{path}
			}
		case sp.KindInts:
			continue // shown with acs_urls
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
		[2]string{"created_at", cli.FormatTime(p.CreatedAt)},
		[2]string{"updated_at", cli.FormatTime(p.UpdatedAt)})
}

// formatCerts returns a line for each certificate. If only one of them is used at a time, it marks
// the current one.
func formatCerts(list []string, one bool, now time.Time) []string {
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
		line := fmt.Sprintf("%s  %s, ends %s", certs.CertSHA256(c), c.Subject, cli.FormatDay(c.NotAfter))
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

func (a *commands) removeCommand() *cobra.Command {
	var yes string
	c := &cobra.Command{
		Use:   "remove ENTITY_ID --yes ENTITY_ID",
		Short: "Remove a service provider; no one can sign in to it any more",
		Long: `Remove a service provider. No one can sign in to it any more. The NameIDs it saw
stay taken; if it is added again, it sees new ones unless 'sp add --resume' says
otherwise. To close it for a while, use 'sp edit --active=false'.`,
		Example: `    vernal sp remove https://app.example.gov \
        --yes https://app.example.gov`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := args[0]
			if yes != id { // confirm only an existing one
				if _, err := cli.Ask(c.Context(), a.App, ops.ShowSP, ops.SPRequest{EntityID: idp.EntityID(id)}); errors.Is(err, idp.ErrNotFound) {
					return err
				}
			}
			if err := a.Confirm("remove the service provider "+id, id, yes); err != nil {
				return err
			}
			return cli.Change(c.Context(), a.App, ops.RemoveSP, ops.SPRequest{EntityID: idp.EntityID(id)}, func(ops.RemovedSP) {
				a.Say("removed %s; its NameIDs stay taken (sp add --resume gives them back to it)", id)
			})
		},
	}
	c.Flags().StringVar(&yes, "yes", "", "confirm, by the `ENTITY_ID`")
	a.CompleteArg(c, cli.FindEntityIDs)
	a.CompleteFlag(c, "yes", cli.FindEntityIDs)
	return c
}
