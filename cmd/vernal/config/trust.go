package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"vernal/idp/shellquote"
)

// The rule for files: no file is trusted only because of its place. Otherwise a command that
// root gives in an untrusted user's folder would read that user's configuration and send
// passwords to that user's socket.
//
//   - The configuration belongs to root or the caller, and so does its folder.
//     A file named by --config may also belong to the owner of the data folder,
//     for root, who then works through the socket only.
//   - The data folder belongs to the caller. For root with --config it may belong
//     to another user, and the server that answers must run as that user
//     (package admin checks this).
//   - Group and others can write none of it, nor the files in the data folder, nor
//     the folder around it. A folder with the sticky bit, such as /tmp, is allowed:
//     no other user can replace files there.
//
// The machine's administrator must protect the folders above those.

// ErrUntrusted is returned for a file that another user could have written.
var ErrUntrusted = errors.New("not trusted")

// maxFile bounds vernal.yaml, in bytes.
const maxFile = 1 << 20

// CheckTrust returns ErrUntrusted unless path, which info describes, belongs to
// root or one of the owners, and no one else can write it.
func CheckTrust(path string, info fs.FileInfo, owners ...int) error {
	if uid, ok := UIDOf(info); ok && uid != 0 && !slices.Contains(owners, uid) {
		return fmt.Errorf("%s is %w: it belongs to uid %d, you are uid %d", path, ErrUntrusted, uid, os.Geteuid())
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeCharDevice != 0: // --config /dev/null
	case mode.IsDir() && mode&fs.ModeSticky != 0:
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("%s is %w: group or others can write it (mode %04o); run: chmod go-w %s",
			path, ErrUntrusted, mode.Perm(), shellquote.Quote(path))
	}
	return nil
}

// CheckFolderTrust is CheckTrust for the folder that path is in.
func CheckFolderTrust(path string, owners ...int) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return CheckTrust(dir, info, owners...)
}

// readTrusted reads the configuration at path, if it can be trusted. It sets foreign
// for one of another user that root named with --config; see trustForeign.
func (c *Config) readTrusted(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	self := os.Geteuid()
	owners := []int{self}
	// Stat the open file, so that the checked file is the one that is read. A link to it
	// must be trusted too.
	for _, stat := range []func() (fs.FileInfo, error){f.Stat, func() (fs.FileInfo, error) { return os.Lstat(path) }} {
		info, err := stat()
		if err != nil {
			return nil, err
		}
		if owner, ok := UIDOf(info); ok && self == 0 && c.Explicit && owner != 0 {
			if c.foreignUID == 0 {
				c.foreignUID = owner
			}
			owners = append(owners[:1], c.foreignUID)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			info = linkInfo{info}
		}
		if err := CheckTrust(path, info, owners...); err != nil {
			return nil, err
		}
	}
	if err := CheckFolderTrust(path, owners...); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, err
}

// linkInfo is a symbolic link. Its mode has no meaning, because only the mode of its folder
// protects it from replacement.
type linkInfo struct{ fs.FileInfo }

func (linkInfo) Mode() fs.FileMode { return fs.ModeSymlink }

// trustForeign accepts a configuration of another user that root named only if that user also
// owns the data folder.
func (c *Config) trustForeign() error {
	if c.foreignUID == 0 {
		return nil
	}
	if owner, ok := OwnerOf(c.DataDir); !ok || owner != c.foreignUID {
		return fmt.Errorf("%s is %w: it belongs to uid %d, who is not the owner of the data folder %s", c.File, ErrUntrusted, c.foreignUID, c.DataDir)
	}
	return nil
}

// OwnerOf returns the user that a path belongs to, and false if that is unknown.
func OwnerOf(path string) (int, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return UIDOf(info)
}

// UIDOf returns the user that a file belongs to, and false if that is unknown.
func UIDOf(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
