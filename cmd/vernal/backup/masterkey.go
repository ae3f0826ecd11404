package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/idp/backup"
	"vernal/idp/durable"
	"vernal/idp/seal"
	"vernal/idp/secretfile"
)

// findMaster returns the master key; nil without one. It must be one of those that open the
// backup.
func (a *commands) findMaster(c *cobra.Command, f *restoreFlags, place Place, files *stagedFiles) (*seal.Master, error) {
	master, source, err := a.readMaster(c, f, place, files)
	if master == nil || err != nil {
		return nil, err
	}
	if slices.Contains(files.manifest.MasterKeys, master.ID()) {
		return master, nil
	}
	return nil, cli.Refuse("the master key %s (%s) does not open the backup, which needs %s: name the right one with --master-key",
		master.ID(), source, strings.Join(files.manifest.MasterKeys, " or "))
}

func (a *commands) readMaster(c *cobra.Command, f *restoreFlags, place Place, files *stagedFiles) (master *seal.Master, source string, err error) {
	if f.masterKey != "" {
		master, err = seal.LoadMaster(f.masterKey, "")
		return master, f.masterKey, err
	}
	if f.identity != "" || f.passphraseFile != "" || f.passphraseStdin {
		master, err = a.decryptMaster(c, f, files)
		return master, "in the backup", err
	}
	master, err = seal.LoadMaster(place.MasterKeyFile, place.MasterKey)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		source = place.MasterKeyFile
		if place.MasterKey != "" {
			source = "in the environment"
		}
		return master, source, err
	case files.manifest.Contains(backup.MasterKeyName) && a.Terminal() != nil:
		master, err = a.decryptMaster(c, f, files)
		return master, "in the backup", err
	}
	return nil, "", nil
}

// decryptMaster opens the master key in the backup.
func (a *commands) decryptMaster(c *cobra.Command, f *restoreFlags, files *stagedFiles) (*seal.Master, error) {
	if !files.manifest.Contains(backup.MasterKeyName) {
		return nil, cli.Refuse("the master key is not in the backup: name its file with --master-key")
	}
	encrypted, err := os.ReadFile(files.path(backup.MasterKeyName))
	if err != nil {
		return nil, err
	}
	var unlock backup.UnlockSecret
	if f.identity != "" {
		text, err := secretfile.Read(f.identity, maxSecret)
		if err != nil {
			return nil, fmt.Errorf("read the identity: %w", err)
		}
		unlock.Identities = string(text)
	} else if unlock.Passphrase, err = a.readPassphrase(c, f.passphraseFile, f.passphraseStdin, false); err != nil {
		return nil, err
	}
	master, err := backup.DecryptMaster(encrypted, unlock)
	if errors.Is(err, backup.ErrLocked) || errors.Is(err, backup.ErrIdentity) {
		return nil, cli.Refuse("%v", err)
	}
	return master, err
}

// placeMaster writes the master key to its configured place, unless it is there or in the
// environment.
func placeMaster(master *seal.Master, place Place) error {
	if master == nil || place.MasterKey != "" {
		return nil
	}
	err := durable.WriteNew(place.MasterKeyFile, []byte(master.FileText()))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	existingKey, err := seal.LoadMaster(place.MasterKeyFile, "")
	if err == nil && !existingKey.Equal(master) {
		err = cli.Refuse("%s holds another master key: move it away", place.MasterKeyFile)
	}
	return err
}
