package main

import (
	"io"

	"github.com/spf13/cobra"

	"vernal/idp"
)

func (a *app) metadataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "metadata",
		Short: "Our metadata",
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
			if year != "" && !year.Valid() {
				return usage(c, "%q is neither a year, such as 2027, nor stable", year)
			}
			client, _, done, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer done()
			doc, err := client.Metadata(c.Context(), year)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(doc)
			}
			_, err = io.WriteString(a.data(), doc.Document) // to the byte what the address gives
			return err
		},
	})
	return c
}
