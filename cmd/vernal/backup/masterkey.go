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
	m, from, err := a.readMaster(c, f, place, files)
	if m == nil || err != nil {
		return nil, err
	}
	if slices.Contains(files.manifest.MasterKeys, m.ID()) {
		return m, nil
	}
	return nil, cli.Refuse("the master key %s (%s) does not open the backup, which needs %s: name the right one with --master-key",
		m.ID(), from, strings.Join(files.manifest.MasterKeys, " or "))
}

func (a *commands) readMaster(c *cobra.Command, f *restoreFlags, place Place, files *stagedFiles) (m *seal.Master, from string, err error) {
	if f.masterKey != "" {
		m, err = seal.LoadMaster(f.masterKey, "")
		return m, f.masterKey, err
	}
	if f.identity != "" || f.passphraseFile != "" || f.passphraseStdin {
		m, err = a.decryptMaster(c, f, files)
		return m, "in the backup", err
	}
	m, err = seal.LoadMaster(place.MasterKeyFile, place.MasterKey)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		from = place.MasterKeyFile
		if place.MasterKey != "" {
			from = "in the environment"
		}
		return m, from, err
	case files.manifest.Contains(backup.MasterKeyName) && a.Terminal() != nil:
		m, err = a.decryptMaster(c, f, files)
		return m, "in the backup", err
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
	var u backup.UnlockSecret
	if f.identity != "" {
		text, err := secretfile.Read(f.identity, maxSecret)
		if err != nil {
			return nil, fmt.Errorf("read the identity: %w", err)
		}
		u.Identities = string(text)
	} else if u.Passphrase, err = a.readPassphrase(c, f.passphraseFile, f.passphraseStdin, false); err != nil {
		return nil, err
	}
	m, err := backup.DecryptMaster(encrypted, u)
	if errors.Is(err, backup.ErrLocked) || errors.Is(err, backup.ErrIdentity) {
		return nil, cli.Refuse("%v", err)
	}
	return m, err
}

// placeMaster writes the master key to its configured place, unless it is there or in the
// environment.
func placeMaster(m *seal.Master, place Place) error {
	if m == nil || place.MasterKey != "" {
		return nil
	}
	err := durable.WriteNew(place.MasterKeyFile, []byte(m.FileText()))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := seal.LoadMaster(place.MasterKeyFile, "")
	if err == nil && !there.Equal(m) {
		err = cli.Refuse("%s holds another master key: move it away", place.MasterKeyFile)
	}
	return err
}
