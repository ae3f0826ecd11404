// Package durable writes files that a crash leaves whole or absent: master key
// and signing keys, which nothing can make again.
//
// The failure model is a process killed, or a machine that stops, at any
// instruction; the file system is believed to keep what was fsynced.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteNew makes a file with mode 0600 and makes its name durable. The bytes
// are flushed under another name first, and a link, unlike a rename, never
// replaces: an error that matches fs.ErrExist if the name is taken.
func WriteNew(path string, data []byte) error {
	return WriteNewFrom(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteNewFrom is WriteNew for what is too large for memory. If write fails,
// there is no file.
func WriteNewFrom(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return publish(path, write, linkNew)
}

// Replace puts a file with mode 0600 in the place of another one, in one step: a
// crash leaves the old or the new one.
func Replace(path string, data []byte) error {
	return publish(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, os.Rename)
}

// linkNew gives a file a name that must not exist. On file systems without links, such as that
// of a USB stick, it only looks first.
func linkNew(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

// publish writes a file under another name, flushes it, and gives it its name.
func publish(path string, write func(io.Writer) error, name func(from, to string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-") // uses O_EXCL and 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := name(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder survive a crash.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
