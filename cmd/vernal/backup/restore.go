package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/backup"
	"vernal/idp/durable"
	"vernal/idp/restore"
	"vernal/idp/seal"
)

// Host gives this package access to the configuration and the store, which only the program knows.
type Host struct {
	// Place returns the place that the configuration gives an installation. dataDir replaces the
	// configured folder unless it is "".
	Place func(dataDir string) (Place, error)
	// Schema is the schema of the stores that OpenStore opens.
	Schema int
	// OpenStore opens a store in a folder without changing it.
	OpenStore func(path string, m *seal.Master) (Store, error)
	// Finish opens the installation in the folder, which finishes its restore.
	Finish func(ctx context.Context, dataDir string) (*restore.Report, error)
	// ConfigFor returns a configuration for another data folder.
	ConfigFor func(text, dataDir string) (string, error)
}

// Place has the paths of an installation.
type Place struct {
	DataDir       string
	MasterKeyFile string
	// MasterKey is the key in the environment, "" without one.
	MasterKey string
	// ConfigFile is the file of the configuration. It may be missing.
	ConfigFile string
}

// restoreFlags are the flags of "vernal restore".
type restoreFlags struct {
	check           bool
	dataDir         string
	masterKey       string
	identity        string
	passphraseFile  string
	passphraseStdin bool
	since           string
}

// RestoreCommand returns the command "vernal restore".
func RestoreCommand(app *cli.App, host Host) *cobra.Command {
	return (&commands{App: app, host: host}).restoreCommand()
}

func (a *commands) restoreCommand() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Restore an installation from a backup, or check a backup",
		Long: `Restore an installation from the backup FILE into an empty data folder. The folder
may hold master.key and vernal.yaml. An existing configuration is kept.

The master key comes from --master-key, the configured file or VERNAL_MASTER_KEY,
or from the backup if that has it: --identity or a passphrase opens it there.
Without a master key the files are put in place, and the installation checks
them when it first opens.

A restored installation is held: it takes no automatic step of the rotation until
'vernal rotation resume'. All sessions, pending requests, links and one-time codes
end. With --since and a newer export of the audit trail, revoked years, locked and
deleted users and removed service providers end again.

--check changes nothing. With the master key it proves that the backup opens, is
complete and can sign for each live year.`,
		Example: `    vernal restore --check vernal-2027-03-01.tar.gz
    vernal restore vernal.tar.gz --data-dir restored --master-key master.key
    vernal restore vernal-2027-03-01.tar.gz --since audit-2027.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.restore(c, args[0], &f) },
	}
	c.Flags().BoolVar(&f.check, "check", false, "check the backup and change nothing")
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "restore into this `DIR` (default: the configured data_dir)")
	c.Flags().StringVar(&f.masterKey, "master-key", "", "the `FILE` with the master key")
	c.Flags().StringVar(&f.identity, "identity", "", "the `FILE` with the age private key that opens the master key in the backup")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "the `FILE` with the passphrase that opens the master key in the backup")
	c.Flags().BoolVar(&f.passphraseStdin, "passphrase-stdin", false, "read that passphrase from standard input")
	c.Flags().StringVar(&f.since, "since", "", "end again what the export of the audit trail, `AUDIT_EXPORT`, shows as ended since the backup")
	return c
}

// restoreResult is the result of a restore.
type restoreResult struct {
	DataDir  string           `json:"data_dir"`
	Backup   *backup.Manifest `json:"backup"`
	SHA256   string           `json:"file_sha256"`
	Verified bool             `json:"authenticated"`
	// Config is the file with the configuration of the backup.
	Config string `json:"config"`
	// Report describes the restore. It is missing without the master key.
	Report *restore.Report `json:"report,omitempty"`
}

func (a *commands) restore(c *cobra.Command, file string, f *restoreFlags) error {
	place, err := a.host.Place(f.dataDir)
	if err != nil {
		return err
	}
	if f.check {
		if f.since != "" {
			return cli.Usage(c, "--since does not go with --check, which changes nothing: omit one of them")
		}
		return a.check(c, file, f, place)
	}
	return a.install(c, file, f, place)
}

// install restores a backup into the data folder.
func (a *commands) install(c *cobra.Command, file string, f *restoreFlags, place Place) error {
	ctx := c.Context()
	if conn, err := admin.Dial(ctx, place.DataDir); err == nil {
		conn.Close()
		return cli.Refuse("a server is running in %s: stop it, and restore into an empty folder", place.DataDir)
	}
	t, err := openTarget(place.DataDir)
	if err != nil {
		return err
	}
	defer t.close()
	in, r, err := a.openBackup(file)
	if err != nil {
		return err
	}
	defer in.Close()
	files, err := t.extract(ctx, r)
	if err != nil {
		return errors.Join(err, t.clean())
	}
	if err := t.checkMarker(r.SHA256()); err != nil {
		return errors.Join(err, t.clean())
	}
	master, err := a.findMaster(c, f, place, files)
	if err == nil && master != nil {
		err = a.authenticate(ctx, files, r, master)
	}
	if err == nil {
		err = checkSince(f.since, r.Manifest.Head)
	}
	if err != nil {
		return errors.Join(err, t.clean())
	}
	done := &restoreResult{DataDir: place.DataDir, Backup: r.Manifest, SHA256: r.SHA256(), Verified: master != nil}
	m := restore.Marker{Manifest: r.ManifestJSON, FileSHA256: r.SHA256(), Actor: admin.Self().Actor(), HasSince: f.since != ""}
	err = a.takeSteps(slices.Concat(t.planRemoval(), []step{
		{"master key", func() error { return placeMaster(master, place) }},
		{"configuration", func() (err error) { done.Config, err = a.placeConfig(files, place, done.Verified); return err }},
		{"trail", func() error { return t.copySince(f.since) }},
	}, t.planPlacement(files, m)))
	if err != nil {
		return err
	}
	if master != nil {
		if done.Report, err = a.host.Finish(ctx, place.DataDir); err != nil {
			return err
		}
	}
	a.reportRestore(done, place)
	return a.Print(done, nil)
}

// step is a step of a restore: at most one change that a crash can leave behind.
type step struct {
	name string
	do   func() error
}

// takeSteps takes steps in order.
func (a *commands) takeSteps(steps []step) error {
	for _, s := range steps {
		if err := s.do(); err != nil {
			return err
		}
		if a.afterStep == nil {
			continue
		}
		if err := a.afterStep(s.name); err != nil {
			return err
		}
	}
	return nil
}

// openBackup opens a backup file and reads its manifest.
func (a *commands) openBackup(file string) (io.Closer, *backup.Reader, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: name the file of a backup", file)
	}
	var r *backup.Reader
	if err == nil {
		r, err = backup.Open(in, backup.DefaultLimits)
	}
	if err == nil && r.Manifest.Schema != a.host.Schema {
		err = &backup.Refusal{Code: backup.CodeOtherSchema, Detail: r.Manifest.Version}
	}
	if err != nil {
		in.Close()
		return nil, nil, refuseBackup(err)
	}
	return in, r, nil
}

// refuseBackup turns an error about the content of a backup into a refusal.
func refuseBackup(err error) error {
	if r, ok := errors.AsType[*backup.Refusal](err); ok {
		return &backupRefusal{r}
	}
	return err
}

// backupRefusal is a refusal with its exit code.
type backupRefusal struct{ *backup.Refusal }

// ExitCode returns 3.
func (*backupRefusal) ExitCode() int { return cli.ExitRefused }

func (r *backupRefusal) Unwrap() error { return r.Refusal }

// reportRestore prints the result of a restore, and the next command.
func (a *commands) reportRestore(r *restoreResult, place Place) {
	a.Say("restored the backup of %s into %s", cli.FormatTime(r.Backup.CreatedAt), r.DataDir)
	_, err := os.Lstat(place.ConfigFile)
	switch {
	case r.Config == place.ConfigFile:
		a.Say("the configuration is in %s, without secrets", r.Config)
	case err != nil:
		a.Say("the configuration of the backup is in %s: read it before you copy it to %s", r.Config, place.ConfigFile)
	default:
		a.Say("%s is kept; the configuration of the backup is in %s", place.ConfigFile, r.Config)
	}
	if !r.Verified {
		a.Say("not authenticated yet: the master key at %s is missing", place.MasterKeyFile)
		a.Say("the installation checks the backup when it first opens")
		a.Say("next: put the master key %s there, then 'vernal serve'", strings.Join(r.Backup.MasterKeys, " or "))
		return
	}
	if e := r.Report; e != nil {
		a.Say("recorded as a restore at %s: earlier messages are refused", cli.FormatTime(e.RestoredAt))
		a.reportSince(e.Since)
	}
	a.Say("no automatic step is taken before 'vernal rotation resume'")
	a.Say("next: vernal serve")
}

// placeConfig writes the configuration of the backup to ConfigFile if that is missing, and
// otherwise into the data folder. It returns the path. An unverified configuration also goes into
// the data folder, because a server reads its configuration before it checks the backup, and the
// file would stay for the next restore.
func (a *commands) placeConfig(files *stagedFiles, place Place, verified bool) (string, error) {
	text, err := os.ReadFile(files.path(backup.ConfigName))
	if err != nil {
		return "", err
	}
	aside := filepath.Join(place.DataDir, restoredConfig)
	if _, err := os.Lstat(place.ConfigFile); err == nil {
		return aside, durable.Replace(aside, text)
	}
	moved, err := a.host.ConfigFor(string(text), place.DataDir)
	if err != nil {
		a.Say("the configuration of the backup is not valid here, so it is not used: %v", err)
		return aside, durable.Replace(aside, text)
	}
	if !verified {
		return aside, durable.Replace(aside, []byte(moved))
	}
	return place.ConfigFile, durable.WriteNew(place.ConfigFile, []byte(moved))
}
