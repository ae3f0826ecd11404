// Package metadata is the command "vernal metadata", which prints our metadata.
package metadata

import (
	"io"

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
	c := &cobra.Command{
		Use:     "metadata",
		Short:   "Our metadata",
		Example: `    vernal metadata show 2027`,
	}
	c.AddCommand(&cobra.Command{
		Use:   "show [YEAR|stable]",
		Short: "Print the metadata of a year, or the stable document",
		Long: `Print the signed metadata of a year, as the server gives it at
/api/saml/metadata{year}: the one to hand to a service provider that keeps a
file. Without a year, or with "stable", print the document at
/api/saml/metadata, which changes with the years.`,
		Example: `    vernal metadata show 2027 >vernal-2027.xml`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			year := idp.Year("")
			if len(args) > 0 && args[0] != "stable" {
				year = idp.Year(args[0])
			}
			if year != "" && !year.IsValid() {
				return cli.Usage(c, "%q is neither a year, such as 2027, nor stable", year)
			}
			return cli.Read(c.Context(), a.App, ops.ShowMetadata, ops.MetadataRequest{Year: year}, func(doc ops.Document) error {
				_, err := io.WriteString(a.Data(), doc.Document) // the same bytes as the URL returns
				return err
			})
		},
	})
	a.CompleteArg(c.Commands()[0], cli.FindYears)
	return c
}
