package rotation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
)

// Exported is what an export wrote.
type Exported struct {
	Year  idp.Year `json:"year"`
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
}

func (a *commands) exportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "export YEAR [--out DIR]",
		Short: "Write what proves a year's certificate to people who know an older one",
		Long: `Write a folder for a second web site, paper or mail: the certificate as PEM and
DER, the metadata as it is or will be served, the fingerprints, and a statement
about them. The statement is signed with the key of each live older year and of
the year itself, so that whoever trusts an older certificate can check the new
one by it, with openssl alone; the statement says how. Nothing is overwritten.`,
		Example: `    vernal rotation export 2027
    vernal-2027/2027.pem
    vernal-2027/2027.der
    vernal-2027/metadata2027.xml
    vernal-2027/fingerprints.txt
    vernal-2027/statement.txt
    vernal-2027/statement.txt.2026.sig
    vernal-2027/statement.txt.2027.sig`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			y, err := yearArg(c, args[0])
			if err != nil {
				return err
			}
			if out == "" {
				out = "vernal-" + string(y)
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.ExportYear, ops.YearRequest{Year: y}, func(export ops.Export) error {
				return a.writeExport(export, out)
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "the `DIR` to write to; made if it is not there (default vernal-YEAR)")
	return c
}

// writeExport writes all files, or none where one of their names is taken.
func (a *commands) writeExport(export ops.Export, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder: %w", err)
	}
	done := Exported{Year: export.Year, Dir: dir, Files: []string{}}
	for _, f := range export.Files {
		path := filepath.Join(dir, filepath.Base(f.Name))
		if err := isFree(path); err != nil {
			return err
		}
		done.Files = append(done.Files, path)
	}
	for i, f := range export.Files {
		if err := cli.WriteNew(done.Files[i], f.Content); err != nil {
			return err
		}
	}
	return a.Print(done, func() error {
		_, err := fmt.Fprintln(a.Out, strings.Join(done.Files, "\n"))
		return err
	})
}
