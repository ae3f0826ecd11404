// Package backup is the commands "vernal backup" and "vernal restore".
//
// The server makes the content of a backup, and the command writes the file, as the user who runs
// it. A restore needs no server: it puts the files of a backup into a data folder (place.go) and
// opens the installation, which finishes the restore (package restore).
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin/ops"
	"vernal/idp/backup"
	"vernal/idp/durable"
	"vernal/idp/secretfile"
	"vernal/idp/shellquote"
)

// commands are the commands of this package.
type commands struct {
	*cli.App
	host Host
	// afterStep is called after each step of a restore. Its error ends the command, as a crash
	// would. Only tests set it.
	afterStep func(step string) error
}

// standardOutput is the file name that means standard output.
const standardOutput = "-"

// maxSecret bounds files with a passphrase or with keys.
const maxSecret = 64 << 10

// backupFlags are the flags of "vernal backup".
type backupFlags struct {
	withMasterKey   bool
	passphraseFile  string
	passphraseStdin bool
	recipient       string
}

// Command returns the command "vernal backup".
func Command(app *cli.App) *cobra.Command {
	a := &commands{App: app}
	var f backupFlags
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the installation to a file",
		Long: `Write a backup of the installation to FILE, or with - to standard output: the
store, the sealed signing keys and the configuration without secrets, as they are
at one moment. The server keeps running. The file is a gzip-compressed tar
archive. FILE must not exist.

A backup can only be read and restored with the master key. The master key is not
in it, unless --with-master-key adds it, encrypted to a passphrase or to an age
public key. Keep a copy of the master key apart from the backups.`,
		Example: `    vernal backup /mnt/backups/vernal-2027-03-01.tar.gz
    wrote /mnt/backups/vernal-2027-03-01.tar.gz (1.3 MB)
    vernal backup vernal.tar.gz --with-master-key --recipient age1q…
    vernal backup - | ssh vault 'cat >vernal.tar.gz'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.backup(c, args[0], &f)
		},
	}
	c.Flags().BoolVar(&f.withMasterKey, "with-master-key", false, "add the master key, encrypted")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "the `FILE` with the passphrase for the master key (default: asked at the terminal)")
	c.Flags().BoolVar(&f.passphraseStdin, "passphrase-stdin", false, "read the passphrase from standard input")
	c.Flags().StringVar(&f.recipient, "recipient", "", "encrypt the master key to the age public key `AGE_RECIPIENT` instead")
	return c
}

// result is a finished backup.
type result struct {
	File string `json:"file"`
	*backup.Summary
	// MasterKey reports whether it contains the master key.
	MasterKey bool `json:"master_key_included"`
}

func (a *commands) backup(c *cobra.Command, file string, f *backupFlags) error {
	req := ops.BackupRequest{File: file}
	if file != standardOutput {
		abs, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		req.File = abs
		if _, err := os.Lstat(file); err == nil {
			return cli.Refuse("%s exists already: name a new file, because a backup never replaces another one", file)
		}
	}
	switch {
	case file == standardOutput && cli.IsTerminal(a.Out):
		return cli.Refuse("standard output is a terminal: name a file, or send the backup to a program, such as 'vernal backup - | ssh HOST …'")
	case file == standardOutput && a.JSON:
		return cli.Usage(c, "--json needs a FILE, because standard output is the backup: name one")
	}
	if err := a.readProtection(c, f, &req); err != nil {
		return err
	}
	s, err := a.receive(c.Context(), file, req)
	if errors.Is(err, fs.ErrExist) {
		return cli.Refuse("%s exists already: name a new file, because a backup never replaces another one", file)
	}
	done := ops.BackupResult{File: req.File}
	if err != nil {
		done.Error = err.Error()
		if c.Context().Err() == nil {
			_, _ = cli.Ask(c.Context(), a.App, ops.RecordBackup, done) // keep the first error
		}
		return err
	}
	done.MasterKeys, done.Bytes, done.SHA256 = s.MasterKeys, s.Bytes, s.SHA256
	if _, err := cli.Ask(c.Context(), a.App, ops.RecordBackup, done); err != nil {
		return fmt.Errorf("the backup is complete, but could not be recorded: %w", err)
	}
	r := result{File: req.File, Summary: s, MasterKey: s.Contains(backup.MasterKeyName)}
	a.sayBackup(r)
	return a.Print(r, nil)
}

// receive writes the backup. If it fails, or if the process is killed, the file does not exist.
func (a *commands) receive(ctx context.Context, file string, req ops.BackupRequest) (s *backup.Summary, err error) {
	if file == standardOutput {
		return cli.Receive(ctx, a.App, ops.WriteBackup, req, cli.UnwrapWriter(a.Out))
	}
	if _, err := cli.Ask(ctx, a.App, ops.Ping, ops.Empty{}); err != nil {
		return nil, err // before the file is created
	}
	err = durable.WriteNewFrom(file, func(w io.Writer) (err error) {
		s, err = cli.Receive(ctx, a.App, ops.WriteBackup, req, w)
		return err
	})
	return s, err
}

// readProtection reads the passphrase or the public key that encrypts the master key.
func (a *commands) readProtection(c *cobra.Command, f *backupFlags, req *ops.BackupRequest) error {
	given := 0
	for _, set := range []bool{f.passphraseFile != "", f.passphraseStdin, f.recipient != ""} {
		if set {
			given++
		}
	}
	switch {
	case !f.withMasterKey && given > 0:
		return cli.Usage(c, "--passphrase-file, --passphrase-stdin and --recipient need --with-master-key: add it")
	case !f.withMasterKey:
		return nil
	case given > 1:
		return cli.Usage(c, "give only one of --passphrase-file, --passphrase-stdin and --recipient")
	case f.recipient != "":
		req.Recipients = f.recipient
	default:
		passphrase, err := a.readPassphrase(c, f.passphraseFile, f.passphraseStdin, true)
		if err != nil {
			return err
		}
		req.Passphrase = passphrase
	}
	p := backup.Protection{Passphrase: req.Passphrase, Recipients: req.Recipients}
	if err := p.Check(); err != nil {
		return cli.Refuse("%v", err)
	}
	return nil
}

// readPassphrase reads a passphrase from a file, standard input or the terminal. It asks for a
// new one twice.
func (a *commands) readPassphrase(c *cobra.Command, file string, stdin, isNew bool) (string, error) {
	if file != "" {
		data, err := secretfile.Read(file, maxSecret)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	}
	return a.Passphrase(c, stdin, isNew)
}

// sayBackup prints the content of a backup, and the next command.
func (a *commands) sayBackup(r result) {
	if r.File == standardOutput {
		a.Say("wrote the backup to standard output (%s)", formatSize(r.Bytes))
	} else {
		a.Say("wrote %s (%s)", r.File, formatSize(r.Bytes))
	}
	a.Say("audit head: record %d, %s", r.Head.Seq, r.Head.Hash)
	for _, y := range r.Years {
		a.Say("year %s: %s, %s", y.Year, y.State, keyTexts[y.Key])
	}
	a.Say("opens with master key %s", strings.Join(r.MasterKeys, " or "))
	if r.MasterKey {
		a.Say("the master key is in it, encrypted")
	} else {
		a.Say("the master key is not in it: keep a copy of it apart from the backups")
	}
	if r.File != standardOutput {
		a.Say("to check it: vernal restore --check %s", shellquote.Quote(r.File))
	}
}

var keyTexts = map[backup.KeyPlace]string{
	backup.KeyInFile:  "its key is in the backup, sealed",
	backup.KeyInToken: "its key is in the token, and not in the backup",
	backup.NoKey:      "without a private key",
}

// formatSize returns a number of bytes for the terminal.
func formatSize(n int64) string {
	switch {
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
