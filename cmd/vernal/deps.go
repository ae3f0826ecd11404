package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"vernal/certs"
	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin/ops"
	"vernal/idp/backup"
	"vernal/idp/installation"
	"vernal/idp/keyring"
	"vernal/idp/restore"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/idp/seal"
	"vernal/idp/shellquote"
	"vernal/idp/store/bolt"
	"vernal/metadata"
	"vernal/templates"
)

// Names in the data folder.
const (
	storeName = "vernal.db"
	keysName  = "keys"
)

// deps is an opened installation: what the server and, without one, the
// commands work with. Close lets go of the store.
type deps struct {
	*installation.Installation
	config *Config
	store  *bolt.Store
	// signErr is why nothing can be signed; nil if the preferred year can.
	signErr error
	// mailErr is why notices cannot be sent as configured; nil if they can.
	mailErr error
	// restored is what a restore did that was finished at this opening; nil without one.
	restored *restore.Report
	// adminAddr is where the admin listener listens, "" while it does not.
	adminAddr string
}

// openDeps opens the installation that c describes. Where there is none, the
// error says to run `vernal init`. If another process holds the store, it waits
// for lockWait, then returns idp.ErrLocked. first is for a new installation, whose
// keys were just made: it makes the store, if there is none, and records them.
func openDeps(c *Config, log *slog.Logger, clock idp.Clock, getenv func(string) string, lockWait time.Duration, first bool) (*deps, error) {
	if err := checkFolder(c); err != nil {
		return nil, err
	}
	master, err := seal.LoadMaster(c.MasterKeyFile, getenv(config.MasterKeyEnv))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingMaster(c)
	}
	if err != nil {
		return nil, err
	}
	policy := c.Policy()
	vault, err := openVault(c, getenv)
	if err != nil {
		return nil, err
	}
	if !first {
		if err := checkStore(c); err != nil {
			return nil, err
		}
	}
	masters := seal.NewMasters(master)
	parts := installation.Config{
		IdP: metadataIdP(c), Brand: c.Branding.Name.Text, Branding: c.Brand(), Languages: c.Langs(), CommandLine: commandLine,
		Policy: policy, KeySpec: c.KeySpec(), DataDir: c.DataDir, Keys: keysDir(c, masters, vault), Vault: vault,
		Master:     func() (*seal.Master, error) { return seal.LoadMaster(c.MasterKeyFile, getenv(config.MasterKeyEnv)) },
		Backup:     backup.Policy{Every: c.Backup.Every, Dir: c.Backup.Dir, Keep: c.Backup.Keep},
		ConfigText: []byte(c.WithoutSecrets()), Version: currentVersion().Version,
		Log: log, Clock: clock,
	}
	mailErr := setNotices(c, &parts, getenv)
	store, err := bolt.Open(filepath.Join(c.DataDir, storeName), bolt.Options{
		Masters: masters, Clock: clock, Log: log, LockWait: lockWait,
	})
	if errors.Is(err, bolt.ErrMaster) {
		return nil, fmt.Errorf("%w: restore the key that was in use last (while a 'vernal rekey --begin' has not ended, the old one, and after '--finish' the new one)", err)
	}
	if isDamage(err) {
		return nil, fmt.Errorf("%w: the file is damaged or no store; restore it from a backup", err)
	}
	if err != nil {
		return nil, err
	}
	d := &deps{Installation: installation.Build(parts, store), config: c, store: store, mailErr: mailErr}
	if d.restored, err = d.Restore.Finish(context.Background()); err == nil {
		err = d.start(first)
	}
	if err == nil { // an older installation gets its ID now
		_, err = backup.InstallationID(context.Background(), store)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return d, nil
}

// isDamage reports whether a store could not be opened because its file is damaged.
func isDamage(err error) bool {
	if err == nil {
		return false
	}
	var path *fs.PathError
	var number syscall.Errno
	for _, known := range []error{idp.ErrLocked, idp.ErrSchema, idp.ErrTampered, bolt.ErrMaster} {
		if errors.Is(err, known) {
			return false
		}
	}
	return !errors.As(err, &path) && !errors.As(err, &number)
}

// loadKeys reads the keys of an installation without a store. A damaged year could
// be the preferred one there, so none is left out.
func loadKeys(dir *certs.Dir) ([]*certs.Key, error) {
	keys, err := dir.Load()
	var damaged *certs.DamagedError
	if errors.As(err, &damaged) {
		err = fmt.Errorf("%w; restore keys/ from a backup, or move the files of that year away", err)
	}
	return keys, err
}

// hasStore reports whether the installation has been used.
func hasStore(c *Config) (bool, error) {
	_, err := os.Lstat(filepath.Join(c.DataDir, storeName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// checkStore says what to do without a store. Only init makes one: keys say nothing
// about which of their certificates service providers trust.
func checkStore(c *Config) error {
	used, err := hasStore(c)
	if used || err != nil {
		return err
	}
	name := filepath.Join(c.DataDir, storeName)
	if _, err := os.Lstat(filepath.Join(c.DataDir, keysName)); err == nil {
		return fmt.Errorf("no store at %s, and there are signing keys: restore it from a backup; if an init was cut short, run 'vernal init' again", name)
	}
	return fmt.Errorf("no store at %s; run 'vernal init' first", name)
}

// missingMaster says what to do without a master key. Where something is sealed
// with it, a new one would hide the loss until the old one cannot be found any
// more.
func missingMaster(c *Config) error {
	for _, name := range []string{keysName, storeName} {
		if _, err := os.Lstat(filepath.Join(c.DataDir, name)); err == nil {
			return &sealedError{text: fmt.Sprintf("%s exists, but the master key that it is sealed with is missing: restore %s from a backup",
				filepath.Join(c.DataDir, name), c.MasterKeyFile)}
		}
	}
	return fmt.Errorf("no master key at %s; run 'vernal init' first", c.MasterKeyFile)
}

// sealedError is returned where something is sealed with a missing master key.
type sealedError struct{ text string }

func (e *sealedError) Error() string { return e.text }

// start completes interrupted steps and fills the ring. Without a signer, commands can still
// fix the installation, but nothing can be served. first means to record the keys of a new
// installation.
func (d *deps) start(first bool) error {
	start := d.Rotation.Start
	if first {
		start = d.Rotation.Begin
	}
	err := start(context.Background())
	if errors.Is(err, rotator.ErrNoHistory) {
		err = fmt.Errorf("%w\n  restore %s and keys/ from a backup; if an init was cut short, run 'vernal init' again; "+
			"else make a year with 'vernal rotation create YEAR'", err, filepath.Join(d.config.DataDir, storeName))
	}
	if errors.Is(err, keyring.ErrNoSigner) {
		d.signErr = err
		var unusable *keyring.UnusableKeyError
		if errors.As(err, &unusable) {
			d.signErr = &unusableYearError{unusable}
		}
		st, statusErr := d.Rotation.Status(context.Background(), nil)
		if statusErr == nil && st.Preferred == "" && d.Rotation.Policy.KeySource == rotation.SourceImport {
			// It is on its way, and nothing went wrong.
			d.signErr = idp.Advise(errors.New(templates.TerminalPhrases().Attention(st.Attention[0])), st.Attention[0].Suggestions...)
			return nil
		}
		d.Log.Error("nothing can be signed", "error", err.Error())
		return nil
	}
	return err
}

// Close lets go of the store.
func (d *deps) Close() error {
	d.Rekey.Stop()
	return d.store.Close()
}

// checkFolder makes sure that the data folder exists, is closed to others, and
// holds nothing that they can write.
func checkFolder(c *Config) error {
	dir := c.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if c.File == "" {
			return fmt.Errorf("no %s in this folder, and no data folder at %s: name the configuration with --config FILE, or run 'vernal init' first",
				config.DefaultFile, dir)
		}
		return fmt.Errorf("no data folder at %s: run 'vernal init' first", dir)
	case err != nil:
		return fmt.Errorf("open the data folder: %w", err)
	case !info.IsDir():
		return fmt.Errorf("data_dir %s is not a folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return cli.Refuse("%s is open to others (mode %04o): run 'chmod 700 %s' first", dir, info.Mode().Perm(), shellquote.Quote(dir))
	}
	self := os.Geteuid()
	if err := errors.Join(config.CheckFolderTrust(dir, self), checkInside(c, self)); err != nil {
		return cli.Refuse("%v", err)
	}
	return nil
}

// unusableYearError is a keyring.UnusableKeyError in words.
type unusableYearError struct{ *keyring.UnusableKeyError }

func (e *unusableYearError) Error() string {
	return fmt.Sprintf("the preferred year %s cannot sign: %s", e.Year, templates.TerminalPhrases().Reason(e.Fault.Reason(e.Year)))
}

func (e *unusableYearError) Unwrap() error { return e.UnusableKeyError }

// faultText describes the fault of a year's key, and how to fix it.
func faultText(f rotation.KeyFault, y idp.Year) string {
	suggestion := f.Suggestion(y)
	return fmt.Sprintf("%s; %s: %s", templates.TerminalPhrases().Reason(f.Reason(y)), templates.SuggestionLabel("en", suggestion.Label), commandLine(suggestion))
}

// metadataIdP returns the content of our metadata apart from keys.
func metadataIdP(c *Config) metadata.IdP {
	b := c.Branding
	return metadata.IdP{BaseURL: c.BaseURL, Organization: b.Organization.Text, OrganizationURL: b.OrganizationURL.Text, Contact: b.Contact}
}

// service returns the service that answers the commands. address is where the server
// listens, "" without one.
func (d *deps) service(address string) *ops.Service {
	return &ops.Service{
		Installation: d.Installation,
		MailErr:      d.mailErr,
		AdminURL:     d.adminURL(),
		Version:      currentVersion().Version,
		Address:      address,
		TLS:          d.config.TLS.Cert != "",
	}
}

// adminURL returns the base of the secret URLs of the admin listener, "" if nothing listens.
func (d *deps) adminURL() string {
	c := d.config
	switch {
	case c.AdminListen == "":
		return ""
	case c.AdminURL != "":
		return c.AdminURL
	case d.adminAddr != "":
		return "http://" + d.adminAddr
	}
	return "http://" + c.AdminListen
}
