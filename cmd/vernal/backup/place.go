package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"vernal/cmd/vernal/cli"
	"vernal/idp/backup"
	"vernal/idp/durable"
	"vernal/idp/restore"
	"vernal/idp/shellquote"
)

// The names in a data folder.
const (
	keysName       = "keys"
	masterKeyName  = "master.key"
	configName     = "vernal.yaml"
	stagingName    = ".restore"             // the folder of the extracted files
	restoredConfig = "vernal.yaml.restored" // the configuration of the backup
)

// target is the data folder that a backup is restored into:
//
//	extract   .restore/…        every file, complete and durable, in a folder of its own
//	put       restore.json      from here on, the installation does not open unfinished
//	          keys/             moved
//	          vernal.db         moved last: without it, nothing opens
//	Finish    restore.json      removed, see package restore
//
// After a crash the same backup can be restored again, from the beginning.
type target struct {
	dir     string
	marker *restore.Marker // of an interrupted restore; nil without one
	lock    *os.File        // the folder; its lock ends with it
}

// close lets other restores use the folder.
func (t *target) close() { t.lock.Close() }

// lockFolder keeps other restores out of the folder. File systems without locks are used without
// one.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, cli.Refuse("another restore into %s is running: wait for its end", dir)
	}
	return f, nil
}

// openTarget makes the folder if it is missing, locks it, and checks that it is empty.
func openTarget(dir string) (*target, error) {
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, cli.Refuse("%s is open to others (mode %04o): run 'chmod 700 %s' first", dir, info.Mode().Perm(), shellquote.Quote(dir))
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, lock: lock}
	if err := t.checkEmpty(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// checkEmpty refuses a folder with other files than those that a new or interrupted restore may
// find.
func (t *target) checkEmpty() (err error) {
	if t.marker, err = restore.ReadMarker(t.dir); err != nil {
		return err
	}
	allowed := []string{masterKeyName, configName, restoredConfig, stagingName, restore.SinceName}
	if t.marker != nil {
		allowed = append(allowed, restore.MarkerName, keysName, backup.StoreName)
	}
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) && !isLeftover(e.Name()) {
			return cli.Refuse("%s is not empty: it has %s; name an empty folder with --data-dir, or move what is there away", t.dir, e.Name())
		}
	}
	return nil
}

// makeFolder makes the data folder, and folders above it, if they are missing.
func makeFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// isLeftover reports whether a process that was killed while it wrote a file left this name.
func isLeftover(name string) bool {
	for _, base := range []string{restore.MarkerName, restore.SinceName, masterKeyName, configName, restoredConfig} {
		if ok, _ := filepath.Match("."+base+".tmp-*", name); ok {
			return true
		}
	}
	return false
}

// checkMarker refuses a backup other than the one whose restore was interrupted.
func (t *target) checkMarker(sha256 string) error {
	if t.marker != nil && t.marker.FileSHA256 != sha256 {
		return cli.Refuse("in %s the restore of another backup was interrupted: restore that one again, or name an empty folder with --data-dir", t.dir)
	}
	return nil
}

// stagedFiles is a backup whose files are extracted into a folder.
type stagedFiles struct {
	dir      string
	manifest *backup.Manifest
}

func (s *stagedFiles) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// extract extracts the backup into the staging folder.
func (t *target) extract(ctx context.Context, r *backup.Reader) (*stagedFiles, error) {
	if err := t.clean(); err != nil {
		return nil, err
	}
	return extractTo(ctx, filepath.Join(t.dir, stagingName), r)
}

// clean removes the staging folder.
func (t *target) clean() error { return os.RemoveAll(filepath.Join(t.dir, stagingName)) }

// extractTo extracts every file of a backup into a new folder. Without an error, the backup was
// read to its end and every file is durable.
func extractTo(ctx context.Context, dir string, r *backup.Reader) (*stagedFiles, error) {
	s := &stagedFiles{dir: dir, manifest: r.Manifest}
	if err := checkSpace(filepath.Dir(dir), r.Manifest); err != nil {
		return nil, err
	}
	for _, d := range []string{dir, filepath.Join(dir, keysName)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, content, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = writeFile(ctx, s.path(m.Name), content)
		}
		if err != nil {
			return nil, refuseBackup(err)
		}
	}
	for _, d := range []string{filepath.Join(dir, keysName), dir} {
		if err := durable.SyncDir(d); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checkSpace refuses a backup that does not fit, before the disk is full.
func checkSpace(dir string, m *backup.Manifest) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return nil // a full disk then fails the write
	}
	need, free := uint64(0), uint64(st.Bavail)*uint64(st.Bsize)
	for _, member := range m.Members {
		need += uint64(member.Size)
	}
	if need > free {
		return fmt.Errorf("the backup needs %s in %s, where %s are free: make room, or use another disk (for --check: TMPDIR)",
			formatSize(int64(min(need, 1<<62))), dir, formatSize(int64(min(free, 1<<62))))
	}
	return nil
}

// writeFile writes a new file and flushes it.
func writeFile(ctx context.Context, path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &contextReader{ctx, content})
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// planPlacement returns the steps that put the files in place.
func (t *target) planPlacement(files *stagedFiles, m restore.Marker) []step {
	move := func(name string) func() error {
		return func() error {
			if err := os.Rename(files.path(name), filepath.Join(t.dir, name)); err != nil {
				return fmt.Errorf("put %s in place: %w", name, err)
			}
			return durable.SyncDir(t.dir)
		}
	}
	return []step{
		{"marker", func() error { return restore.WriteMarker(t.dir, m) }},
		{"keys", move(keysName)},
		{"store", move(backup.StoreName)},
		{"clean", t.clean},
	}
}

// planRemoval returns the steps that remove the files of an interrupted restore of the same
// backup: the store first, so that it never exists beside the marker of another attempt.
func (t *target) planRemoval() (steps []step) {
	if t.marker == nil {
		return nil
	}
	for _, name := range []string{backup.StoreName, keysName, restore.MarkerName} {
		steps = append(steps, step{"forget " + name, func() error {
			if err := os.RemoveAll(filepath.Join(t.dir, name)); err != nil {
				return err
			}
			return durable.SyncDir(t.dir)
		}})
	}
	return steps
}

// copySince copies the export of the audit trail into the folder; "" for none.
func (t *target) copySince(file string) error {
	path := filepath.Join(t.dir, restore.SinceName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if file == "" {
		return nil
	}
	in, err := openExport(file)
	if err != nil {
		return err
	}
	defer in.Close()
	return durable.WriteNewFrom(path, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
