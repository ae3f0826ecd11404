// Package durable writes files so that a crash leaves them complete or absent. It is for the master
// key and the signing keys, which cannot be created again.
//
// The package assumes that the process or the machine can stop at any instruction, and that the
// file system keeps data that was fsynced.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteNew writes a new file with mode 0600 and makes its name durable. It flushes the data under
// another name first and then links it, because a link, unlike a rename, never replaces a file. The
// error matches fs.ErrExist if a file with this name exists.
func WriteNew(path string, data []byte) error {
	return WriteNewFrom(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteNewFrom works like WriteNew for data that is too large for memory. If write fails, no file
// remains.
func WriteNewFrom(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return publish(path, write, linkNew)
}

// Replace atomically replaces a file by one with mode 0600. A crash leaves the old or the new file.
func Replace(path string, data []byte) error {
	return publish(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, os.Rename)
}

// linkNew gives a file a name that must not exist. On file systems without links, such as that of a
// USB stick, it only checks the name first.
func linkNew(tempPath, path string) error {
	err := os.Link(tempPath, path)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return os.Rename(tempPath, path)
}

// publish writes a temporary file, flushes it, and renames it to path.
func publish(path string, write func(io.Writer) error, rename func(from, to string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-") // uses O_EXCL and 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := rename(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder survive a crash.
func SyncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
