package backup

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/seal"
)

// Store is the part of a store that a check reads.
type Store interface {
	idp.DocumentStore
	idp.AuditStore
	Ring() *seal.Ring
	Close() error
}

// checkResult is the result of a check.
type checkResult struct {
	File   string           `json:"file"`
	Backup *backup.Manifest `json:"backup"`
	SHA256 string           `json:"file_sha256"`
	// Authenticated reports that the master key proves that the installation made it.
	Authenticated bool          `json:"authenticated"`
	Years         []checkedYear `json:"years"`
	Problems      int           `json:"problems"`
}

// checkedYear reports whether a live year can sign: "ok", "failed" or "not_checked".
type checkedYear struct {
	Year   idp.Year `json:"year"`
	Result string   `json:"result"`
	Detail string   `json:"detail,omitempty"`
}

// The results of a year.
const (
	yearOK         = "ok"
	yearFailed     = "failed"
	yearNotChecked = "not_checked"
)

// check extracts a backup into a temporary folder and checks it there.
func (a *commands) check(c *cobra.Command, file string, f *restoreFlags, place Place) (err error) {
	ctx := c.Context()
	input, reader, err := a.openBackup(file)
	if err != nil {
		return err
	}
	defer input.Close()
	tempDir, err := os.MkdirTemp("", "vernal-check-") // 0700
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tempDir)) }()
	files, err := extractTo(ctx, filepath.Join(tempDir, "backup"), reader)
	if err != nil {
		return err
	}
	master, err := a.findMaster(c, f, place, files)
	if err != nil {
		return err
	}
	answer := &checkResult{File: file, Backup: reader.Manifest, SHA256: reader.SHA256(), Years: []checkedYear{}}
	if master != nil {
		if err := a.authenticate(ctx, files, reader, master); err != nil {
			return err
		}
		answer.Authenticated = true
		answer.Years = checkYears(files, master)
		for _, y := range answer.Years {
			if y.Result == yearFailed {
				answer.Problems++
			}
		}
	}
	a.reportCheck(answer)
	if err := a.Print(answer, nil); err != nil {
		return err
	}
	return cli.AttentionDue(answer.Problems)
}

// authenticate proves that the installation with the master key m made the backup, and that the
// store in it is the one that the manifest describes.
func (a *commands) authenticate(ctx context.Context, files *stagedFiles, reader *backup.Reader, master *seal.Master) (err error) {
	store, err := a.host.OpenStore(files.path(backup.StoreName), master)
	if err != nil {
		return fmt.Errorf("open the store in the backup: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := reader.Manifest.Verify(store.Ring()); err != nil {
		return refuseBackup(err)
	}
	id, err := backup.ReadInstallationID(ctx, store)
	if err != nil {
		return err
	}
	page, err := store.AuditPage(ctx, idp.AuditQuery{})
	if err != nil {
		return err
	}
	if id != reader.Manifest.Installation || page.Head.Seq != reader.Manifest.Head.Seq || page.Head.Hash != reader.Manifest.Head.Hash {
		return refuseBackup(&backup.Refusal{Code: backup.CodeForeign})
	}
	return nil
}

// checkYears signs a message with the key of each live year and verifies it with the year's
// certificate.
func checkYears(files *stagedFiles, m *seal.Master) []checkedYear {
	dir := certs.OpenDir(files.path(keysName), seal.NewMasters(m))
	years := []checkedYear{}
	for _, y := range files.manifest.Years {
		if !y.State.IsLive() {
			continue
		}
		got := checkedYear{Year: y.Year, Result: yearOK}
		switch y.Key {
		case backup.KeyInToken:
			got.Result, got.Detail = yearNotChecked, "its key is in a token"
		default:
			if err := trySigning(dir, y.Year); err != nil {
				got.Result, got.Detail = yearFailed, err.Error()
			}
		}
		years = append(years, got)
	}
	return years
}

// trySigning signs and verifies a message for a year.
func trySigning(dir *certs.Dir, y idp.Year) error {
	k, err := dir.LoadYear(y)
	switch {
	case err != nil:
		return err
	case k == nil || k.Signer == nil:
		return errors.New("its private key is missing")
	case k.Cert == nil:
		return errors.New("its certificate is missing")
	}
	message := []byte("vernal restore --check " + string(y))
	digest := sha256.Sum256(message)
	signature, err := k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return k.Cert.CheckSignature(x509.SHA256WithRSA, message, signature) // every year has an RSA key
}

// reportCheck prints the result of a check.
func (a *commands) reportCheck(r *checkResult) {
	a.Say("%s: a backup of %s, made %s by version %s", r.File, r.Backup.BaseURL, cli.FormatTime(r.Backup.CreatedAt), r.Backup.Version)
	a.Say("complete: every file has its digest")
	if !r.Authenticated {
		a.Say("not authenticated yet: name the master key %s with --master-key to prove that the backup opens and can sign", r.Backup.MasterKeys)
		return
	}
	a.Say("authenticated: the installation with this master key made it")
	a.Say("audit head: record %d, %s", r.Backup.Head.Seq, r.Backup.Head.Hash)
	for _, y := range r.Years {
		switch y.Result {
		case yearOK:
			a.Say("year %s: its key signs, and its certificate verifies the signature", y.Year)
		case yearNotChecked:
			a.Say("year %s: not checked, %s", y.Year, y.Detail)
		default:
			a.Say("year %s: cannot sign: %s", y.Year, y.Detail)
		}
	}
}
