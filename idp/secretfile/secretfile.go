// Package secretfile reads files that hold a secret: the master key, a PIN, a password. One rule
// applies to all of them: the file is regular, belongs to root or to the user of this process, and
// no one else can read or write it.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Errors of Check. For a missing file, Read returns fs.ErrNotExist.
var (
	// ErrOpen is returned for a file that group or others can read or write.
	ErrOpen = errors.New("open to group or others")
	// ErrOwner is returned for a file of another user, who could change it.
	ErrOwner = errors.New("belongs to another user")
)

// Read returns the content of the file at path, at most limit bytes. No error quotes it.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Check the open file, because the one at path may have been replaced.
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := Check(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, err
}

// Check applies the rule to the file at path. The error wraps ErrOpen or
// ErrOwner, or says that it is not a regular file.
func Check(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s %w (uid %d)", path, ErrOwner, stat.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is %w (mode %04o)", path, ErrOpen, mode)
	}
	return nil
}
