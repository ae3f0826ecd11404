package main

import (
	"os"
	"path/filepath"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp/admin"
)

// trustDataDir checks the data folder before anything is sent to its socket. A
// missing one is left to what needs it.
func (a *app) trustDataDir(c *Config) error {
	dir := c.DataDir
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	self := os.Geteuid()
	owner, ok := config.UIDOf(info)
	switch {
	case !ok:
		return nil
	case owner != self && self == 0 && !c.Explicit:
		return cli.Refuse("%s belongs to uid %d, you are root: name the configuration with --config to work on another user's installation", dir, owner)
	case owner != self && self != 0:
		return cli.Refuse("%s belongs to uid %d, you are uid %d; run this as that user, or as root with --config", dir, owner, self)
	}
	for _, err := range []error{config.CheckTrust(dir, info, self, owner), config.CheckFolderTrust(dir, self, owner), checkInside(c, self, owner)} {
		if err != nil {
			return cli.Refuse("%v", err)
		}
	}
	return nil
}

// checkInside checks what the data folder holds, and the master key: no one
// but the owners and root may have written it.
func checkInside(c *Config, owners ...int) error {
	names := []string{c.MasterKeyFile}
	for _, name := range []string{storeName, admin.SocketName, keysName} {
		names = append(names, filepath.Join(c.DataDir, name))
	}
	keys, err := filepath.Glob(filepath.Join(c.DataDir, keysName, "*"))
	if err != nil {
		return err
	}
	for _, name := range append(names, keys...) {
		info, err := os.Stat(name)
		if err != nil {
			continue // what needs it says so
		}
		if err := config.CheckTrust(name, info, owners...); err != nil {
			return err
		}
	}
	return nil
}
