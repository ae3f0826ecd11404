package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/shellquote"
)

// The rule for files: nothing is trusted for the place where it is. A command
// that root gives in a stranger's folder would otherwise read the stranger's
// configuration and send passwords to the stranger's socket.
//
//   - The configuration belongs to root or the caller, and so does its folder.
//     One that --config names may also belong to the owner of the data folder,
//     for root, who then works through the socket only.
//   - The data folder belongs to the caller. For root with --config it may belong
//     to another user, and the server that answers must run as that user
//     (package admin checks this).
//   - Group and others can write none of it, nor what is in the data folder, nor
//     the folder around it. A folder with the sticky bit, such as /tmp, is fine:
//     no one can replace what belongs to others there.
//
// Folders above those are for the machine's administrator to protect.

// errUntrusted is a file that someone else could have written.
var errUntrusted = errors.New("not trusted")

// checkTrust returns errUntrusted unless path, which info describes, belongs to
// root or one of the owners, and no one else can write it.
func checkTrust(path string, info fs.FileInfo, owners ...int) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && !slices.Contains(owners, int(st.Uid)) {
		return fmt.Errorf("%s is %w: it belongs to uid %d, you are uid %d", path, errUntrusted, st.Uid, os.Geteuid())
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeCharDevice != 0: // --config /dev/null
	case mode.IsDir() && mode&fs.ModeSticky != 0:
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("%s is %w: group or others can write it (mode %04o); run: chmod go-w %s",
			path, errUntrusted, mode.Perm(), shellquote.Quote(path))
	}
	return nil
}

// checkFolderTrust is checkTrust for the folder that path is in.
func checkFolderTrust(path string, owners ...int) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return checkTrust(dir, info, owners...)
}

// readConfig reads the configuration at path, if it can be trusted. foreign is
// set for one of another user that root named with --config; see trustForeign.
func (c *Config) readConfig(path string, explicit bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	self := os.Geteuid()
	owners := []int{self}
	// The open file is asked, so that what was checked is what is read. A link to
	// it must be trusted too.
	for _, stat := range []func() (fs.FileInfo, error){f.Stat, func() (fs.FileInfo, error) { return os.Lstat(path) }} {
		info, err := stat()
		if err != nil {
			return nil, err
		}
		if owner, ok := uidOf(info); ok && self == 0 && explicit && owner != 0 {
			if c.foreign == 0 {
				c.foreign = owner
			}
			owners = append(owners[:1], c.foreign)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			info = linkInfo{info}
		}
		if err := checkTrust(path, info, owners...); err != nil {
			return nil, err
		}
	}
	if err := checkFolderTrust(path, owners...); err != nil {
		return nil, err
	}
	return cli.ReadAll(f, path, maxConfig)
}

// linkInfo is a symbolic link, whose mode says nothing: only its folder decides
// who can replace it.
type linkInfo struct{ fs.FileInfo }

func (linkInfo) Mode() fs.FileMode { return fs.ModeSymlink }

// trustForeign decides about a configuration of another user that root named:
// it must be that of the data folder's owner.
func (c *Config) trustForeign() error {
	if c.foreign == 0 {
		return nil
	}
	if owner, ok := ownerOf(c.dataDir()); !ok || owner != c.foreign {
		return fmt.Errorf("%s is %w: it belongs to uid %d, who is not the owner of the data folder %s", c.file, errUntrusted, c.foreign, c.dataDir())
	}
	return nil
}

// trustDataDir checks the data folder before anything is sent to its socket. A
// missing one is left to what needs it.
func (a *app) trustDataDir(c *Config) error {
	dir := c.dataDir()
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	self := os.Geteuid()
	owner, ok := uidOf(info)
	switch {
	case !ok:
		return nil
	case owner != self && self == 0 && !c.explicit:
		return cli.Refuse("%s belongs to uid %d, you are root: name the configuration with --config to work on another user's installation", dir, owner)
	case owner != self && self != 0:
		return cli.Refuse("%s belongs to uid %d, you are uid %d; run this as that user, or as root with --config", dir, owner, self)
	}
	for _, err := range []error{checkTrust(dir, info, self, owner), checkFolderTrust(dir, self, owner), checkInside(c, self, owner)} {
		if err != nil {
			return cli.Refuse("%v", err)
		}
	}
	return nil
}

// checkInside checks what the data folder holds, and the master key: no one
// but the owners and root may have written it.
func checkInside(c *Config, owners ...int) error {
	names := []string{c.masterKeyFile()}
	for _, name := range []string{storeName, admin.SocketName, keysName} {
		names = append(names, filepath.Join(c.dataDir(), name))
	}
	keys, err := filepath.Glob(filepath.Join(c.dataDir(), keysName, "*"))
	if err != nil {
		return err
	}
	for _, name := range append(names, keys...) {
		info, err := os.Stat(name)
		if err != nil {
			continue // what needs it says so
		}
		if err := checkTrust(name, info, owners...); err != nil {
			return err
		}
	}
	return nil
}

// ownerOf is the user that a path belongs to; false if that is not known.
func ownerOf(path string) (int, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return uidOf(info)
}

func uidOf(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
