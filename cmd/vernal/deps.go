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
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/backup"
	"vernal/idp/doctor"
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

// deps is an opened installation, for the server or, without one, for a command. Close closes the
// store.
type deps struct {
	*installation.Installation
	config *Config
	store  *bolt.Store
	// signErr is the fault that keeps the preferred year from signing; nil without one.
	signErr error
	// mailErr is the fault of the mail settings; nil without one.
	mailErr error
	doctor  *doctor.Service
	// restored is the report of a restore that this opening finished; nil without one.
	restored *restore.Report
	// adminAddr is the HOST:PORT of the admin listener, "" while it does not listen.
	adminAddr string
}

// openDeps opens the installation that c describes. If it is missing, the error
// says to run `vernal init`. If another process holds the store, openDeps waits
// for lockWait, then returns idp.ErrLocked. first is true for a new installation,
// whose keys were just made. openDeps then makes a missing store and records them.
func openDeps(c *Config, log *slog.Logger, clock idp.Clock, getenv func(string) string, lockWait time.Duration, isFirst bool) (*deps, error) {
	if err := checkFolder(c); err != nil {
		return nil, err
	}
	master, err := seal.LoadMaster(c.MasterKeyFile, getenv(config.MasterKeyEnv))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &startError{code: codeMasterMissing, err: explainMaster(c)}
	}
	if err != nil {
		return nil, &startError{codeMasterUnreadable, err, "restore the file from your copy, or give the key as " + config.MasterKeyEnv}
	}
	policy := c.Policy()
	vault, err := openVault(c, getenv)
	if err != nil {
		return nil, err
	}
	if !isFirst {
		if err := checkStore(c); err != nil {
			return nil, err
		}
	}
	masters := seal.NewMasters(master)
	settings := installation.Config{
		IdP: metadataIdP(c), Brand: c.Branding.Name.Text, Branding: c.Brand(), Languages: c.Langs(), CommandLine: commandLine,
		Policy: policy, KeySpec: c.KeySpec(), DataDir: c.DataDir, Keys: keysDir(c, masters, vault), Vault: vault,
		Master:     func() (*seal.Master, error) { return seal.LoadMaster(c.MasterKeyFile, getenv(config.MasterKeyEnv)) },
		Backup:     backup.Policy{Every: c.Backup.Every, Dir: c.Backup.Dir, Keep: c.Backup.Keep},
		ConfigText: []byte(c.WithoutSecrets()), Version: currentVersion().Version,
		Users: c.AccountSettings(), Outbound: c.OutboundClient(), Log: log, Clock: clock,
	}
	mailErr := setNotices(c, &settings, getenv)
	store, err := bolt.Open(filepath.Join(c.DataDir, storeName), bolt.Options{
		Masters: masters, Clock: clock, Log: log, LockWait: lockWait, MustExist: !isFirst,
	})
	if err != nil {
		return nil, explainStore(c, err)
	}
	d := &deps{Installation: installation.Build(settings, store), config: c, store: store, mailErr: mailErr}
	d.doctor = doctor.New(d.Installation, c.DoctorSettings(storeName, keysName, getenv), store)
	d.doctor.MailErr = mailErr
	if d.restored, err = d.Restore.Finish(context.Background()); err == nil {
		err = d.start(isFirst)
	}
	if err == nil { // an older installation gets its ID now
		_, err = backup.EnsureInstallationID(context.Background(), store)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return d, nil
}

// The codes of an installation that cannot be opened.
const (
	codeStoreMissing     admin.Code = "store_missing"
	codeStoreSchema      admin.Code = "store_schema"
	codeMasterMissing    admin.Code = "master_key_missing"
	codeMasterUnreadable admin.Code = "master_key_unreadable"
	codeMasterOther      admin.Code = "master_key_other"
	codeNoSigner         admin.Code = "no_signing_key"
)

// startError is the error of an installation that cannot be opened or served, with the fix.
type startError struct {
	code admin.Code
	err  error
	fix  string // "" if err contains it
}

func (e *startError) Error() string {
	if e.fix == "" {
		return e.err.Error()
	}
	return e.err.Error() + "\n  " + e.fix
}

func (e *startError) Unwrap() error { return e.err }

// ReportedCode implements cli.Coded.
func (e *startError) ReportedCode() admin.Code { return e.code }

// explainStore adds the fix to an error of opening the store.
func explainStore(c *Config, err error) error {
	var path *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, idp.ErrDamaged), errors.Is(err, idp.ErrTampered):
		return &startError{admin.CodeStoreDamaged, err, restoreFix(c)}
	case errors.Is(err, bolt.ErrMaster):
		return &startError{codeMasterOther, err,
			"restore the key that was in use last (while a 'vernal rekey --begin' has not ended, the old one, and after '--finish' the new one)"}
	case errors.Is(err, idp.ErrSchema):
		return &startError{code: codeStoreSchema, err: err}
	case errors.Is(err, idp.ErrLocked):
		return err
	case errors.As(err, &path), errors.As(err, &errno):
		return &startError{admin.CodeStoreDisk, err,
			fmt.Sprintf("make sure that the user that runs Vernal can write to %s, and that its disk has space and is mounted for writing. The kernel's log shows disk errors", shellquote.Quote(c.DataDir))}
	}
	return err
}

// restoreFix describes how to restore the installation.
func restoreFix(c *Config) string {
	dir := shellquote.Quote(c.DataDir)
	return fmt.Sprintf("move %s away, and restore a backup in its place: vernal restore FILE --data-dir %s", dir, dir)
}

// loadKeys reads the keys of an installation without a store. A damaged year could
// be the preferred one there, so none is left out.
func loadKeys(dir *certs.Dir) ([]*certs.Key, error) {
	keys, err := dir.Load()
	var damagedErr *certs.DamagedError
	if errors.As(err, &damagedErr) {
		err = fmt.Errorf("%w: restore keys/ from a backup, or move the files of that year away", err)
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

// checkStore refuses a missing store, with the fix. Only init makes one: keys do not show
// which of their certificates service providers trust.
func checkStore(c *Config) error {
	isUsed, err := hasStore(c)
	if isUsed || err != nil {
		return err
	}
	name := filepath.Join(c.DataDir, storeName)
	if _, err := os.Lstat(filepath.Join(c.DataDir, keysName)); err == nil {
		return &startError{codeStoreMissing, fmt.Errorf("no store at %s beside the signing keys: restore it from a backup, or run 'vernal init' again if an init was interrupted", name), restoreFix(c)}
	}
	return &startError{code: codeStoreMissing, err: fmt.Errorf("no store at %s: run 'vernal init' first", name)}
}

// explainMaster returns the error for a missing master key, with the fix. If data is sealed
// with it, a new master key would hide the loss until the old one cannot be found any more.
func explainMaster(c *Config) error {
	for _, name := range []string{keysName, storeName} {
		if _, err := os.Lstat(filepath.Join(c.DataDir, name)); err == nil {
			return &sealedError{text: fmt.Sprintf("%s exists, but the master key that it is sealed with is missing: restore %s from a backup",
				filepath.Join(c.DataDir, name), c.MasterKeyFile)}
		}
	}
	return fmt.Errorf("no master key at %s: run 'vernal init' first", c.MasterKeyFile)
}

// sealedError is the error for data that is sealed with a missing master key.
type sealedError struct{ text string }

func (e *sealedError) Error() string { return e.text }

// start completes interrupted steps and fills the ring. Without a signer, commands can still fix
// the installation, but the server cannot run. first means to record the keys of a new
// installation.
func (d *deps) start(isFirst bool) error {
	start := d.Rotation.Start
	if isFirst {
		start = d.Rotation.Begin
	}
	err := start(context.Background())
	if errors.Is(err, rotator.ErrNoHistory) {
		err = fmt.Errorf("%w\n  restore %s and keys/ from a backup\n  or, if an init was cut short, run 'vernal init' again\n"+
			"  or make a year with 'vernal rotation create YEAR'", err, filepath.Join(d.config.DataDir, storeName))
	}
	if errors.Is(err, keyring.ErrNoSigner) {
		d.signErr = err
		var keyErr *keyring.UnusableKeyError
		if errors.As(err, &keyErr) {
			d.signErr = &unusableYearError{keyErr}
		}
		st, statusErr := d.Rotation.Status(context.Background(), nil)
		if statusErr == nil && st.Preferred == "" && d.Rotation.Policy.KeySource == rotation.SourceImport {
			// Until the first key is imported, this is not a fault.
			d.signErr = idp.Advise(errors.New(templates.TerminalPhrases().Attention(st.Attention[0])), st.Attention[0].Suggestions...)
			return nil
		}
		d.Log.Error("nothing can be signed", "error", err.Error())
		return nil
	}
	return err
}

// Close closes the store.
func (d *deps) Close() error {
	d.Rekey.Stop()
	return d.store.Close()
}

// checkFolder makes sure that the data folder exists, is closed to others, and contains no file
// that they can write.
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
	if err := errors.Join(config.CheckFolderTrust(dir, self), checkDataFiles(c, self)); err != nil {
		return cli.Refuse("%v", err)
	}
	return nil
}

// unusableYearError is a keyring.UnusableKeyError with the text of its fault.
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

// service returns the service that answers the commands. address is the HOST:PORT of the server,
// "" without one.
func (d *deps) service(address string) *ops.Service {
	return &ops.Service{
		Installation: d.Installation,
		MailErr:      d.mailErr,
		AdminURL:     d.adminURL(),
		Version:      currentVersion().Version,
		Address:      address,
		TLS:          d.config.TLS.Cert != "",
		Doctor:       d.doctor,
	}
}

// adminURL returns the base of the secret URLs of the admin listener, "" while it does not
// listen.
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
