package rotation

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/rotation"
)

func (a *commands) csrCommand() *cobra.Command {
	var req ops.YearRequest
	var out string
	c := &cobra.Command{
		Use:   "csr YEAR [--out FILE] [--dry-run]",
		Short: "Make a key, and the request for its certificate from an authority",
		Long: `Make the key of a year, and print the certification request (PKCS#10)
for which an authority makes a certificate. The private key stays in the data
folder, sealed, or in the token. Given again, it prints the request of the same
key. When the certificate arrives, give it to import. A year that waits for its
certificate is not published; revoke ends it if you no longer need it.`,
		Example: `    vernal rotation csr 2027 --out 2027.csr
    2027 is created (was planned)
    unchanged: 2026 is preferred
    its certificate must be valid from 2027-02-01 or before until 2028-04-01, with the key usage digitalSignature, signed with RSA and SHA-256
    wrote 2027.csr
    next: vernal rotation import 2027 --cert FILE`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if req.Year, err = parseYearArg(c, args[0]); err != nil {
				return err
			}
			if err := checkNewFile(out); err != nil { // before a key is made
				return err
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.RequestCertificate, req, func(csr ops.CSR) error {
				return a.reportCSR(req, csr, out)
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "write the request to this new `FILE`, not to standard output")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, print what would change")
	a.CompleteArg(c, cli.FindYears)
	return c
}

// reportCSR prints the request and the next steps.
func (a *commands) reportCSR(req ops.YearRequest, csr ops.CSR, out string) error {
	if req.DryRun {
		return a.reportDryRun(csr.RotationChange, csr)
	}
	a.reportStates(csr.RotationChange)
	if !csr.MadeKey {
		a.Say("this is the request of the key that waits already")
	}
	a.Say("its certificate must be valid from %s or before until %s, with the key usage digitalSignature, signed with RSA and SHA-256",
		cli.FormatDay(csr.Certificate.LatestBeginAt), cli.FormatDay(csr.Certificate.EndAt))
	if out != "" {
		if err := cli.WriteNew(out, []byte(csr.Request)); err != nil {
			return fmt.Errorf("%w; the key is made: give the command again with another file", err)
		}
		a.Say("wrote %s", out)
	}
	a.Say("next: vernal rotation import %s --cert FILE", req.Year)
	return a.Print(csr, func() (err error) {
		if out == "" {
			_, err = io.WriteString(a.Data(), csr.Request)
		}
		return err
	})
}

func (a *commands) importCommand() *cobra.Command {
	var req ops.ImportRequest
	var cert, key string
	c := &cobra.Command{
		Use:   "import YEAR --cert FILE [--key FILE] [--dry-run]",
		Short: "Take a certificate that an authority made",
		Long: `Take the certificate of a year that an authority made: for the key that waits
since csr or, with --key, for an external key. Files are PEM; the
private key is PKCS#8 or PKCS#1, RSA and not encrypted, and is kept sealed. Of a
file with a chain, the certificate of the key is taken.

It is refused if key and certificate do not match, the key is not RSA of 2048 to
8192 bits or is another year's, or the certificate does not last from the year's
publishing until service providers have had time to move to the next year. A
property that old or strict service providers refuse is a warning.`,
		Example: `    vernal rotation import 2027 --cert from-our-ca.pem
    2027, which is created, has its certificate; it ends on 2028-04-01
    unchanged: 2026 is preferred
    warning: it is signed with SHA-1 (SHA1-RSA): strict software refuses such certificates; ask for one that is signed with RSA and SHA-256
    next: vernal rotation publish 2027; the server does it on 2027-02-01`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if req.Year, err = parseYearArg(c, args[0]); err != nil {
				return err
			}
			if cert == "" {
				return cli.Usage(c, "--cert is missing")
			}
			if req.Cert, err = cli.ReadFile(cert, certs.MaxExternalFile); err != nil {
				return fmt.Errorf("read the certificate: %w", err)
			}
			if key != "" {
				if req.Key, err = cli.ReadFile(key, certs.MaxExternalFile); err != nil {
					return fmt.Errorf("read the private key: %w", err)
				}
				a.warnReadable(key)
			}
			return cli.ReportAnswer(c.Context(), a.App, ops.ImportCertificate, req, func(done ops.ImportedCertificate) error {
				return a.reportImport(req, done, key)
			})
		},
	}
	c.Flags().StringVar(&cert, "cert", "", "the `FILE` with the certificate, and perhaps its chain")
	c.Flags().StringVar(&key, "key", "", "the `FILE` with its private key, if the key is external")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "change nothing, print what would change")
	a.CompleteArg(c, cli.FindYears)
	return c
}

// reportImport reports the imported certificate, its properties that service providers may
// reject, and the next step.
func (a *commands) reportImport(req ops.ImportRequest, done ops.ImportedCertificate, key string) error {
	for _, w := range done.Warnings {
		a.Say("warning: %s", idp.ReplaceControls(w.String()))
	}
	for _, what := range done.Ignored {
		a.Say("ignored, as it is not of this key: %s", idp.ReplaceControls(what))
	}
	if req.DryRun {
		return a.reportDryRun(done.RotationChange, done)
	}
	a.reportStates(done.RotationChange)
	if key != "" {
		a.Say("the private key is kept sealed now; remove %s, and what was copied of it", key)
	}
	a.Say("next: %s", describeNextStep(done.Status, req.Year, rotation.StepPublish))
	return a.Print(done, nil)
}

// warnReadable warns if other users can read a file with a private key.
func (a *commands) warnReadable(path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		a.Say("warning: %s, a private key, is open to others (mode %04o)", path, info.Mode().Perm())
	}
}

// checkNewFile returns an error if the file exists. "" means no file.
func checkNewFile(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return cli.Refuse("%s already exists; nothing was changed", path)
	}
	return nil
}

// ExportResult is the result of an export.
type ExportResult struct {
	Year  idp.Year `json:"year"`
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
}

func (a *commands) exportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "export YEAR [--out DIR]",
		Short: "Write files that prove a year's certificate by an older one",
		Long: `Write a folder for a second web site, paper or mail: the certificate as PEM and
DER, the metadata as it is or will be served, the fingerprints, and a statement
about them. The statement is signed with the key of each live older year and of
the year itself, so that anyone who trusts an older certificate can check the
new one by it, with openssl alone; the statement says how. Nothing is overwritten.`,
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
			y, err := parseYearArg(c, args[0])
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
	c.Flags().StringVar(&out, "out", "", "the `DIR` to write to; made if it does not exist (default vernal-YEAR)")
	a.CompleteArg(c, cli.FindYears)
	return c
}

// writeExport writes all files, or none if one of their names is taken.
func (a *commands) writeExport(export ops.Export, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder: %w", err)
	}
	done := ExportResult{Year: export.Year, Dir: dir, Files: []string{}}
	for _, f := range export.Files {
		path := filepath.Join(dir, filepath.Base(f.Name))
		if err := checkNewFile(path); err != nil {
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
