package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vernal/idp/shellquote"
)

// maxKeep bounds backup.keep.
const maxKeep = 10000

func (v *validator) checkBackup() {
	b := &v.config.Backup
	switch {
	case b.Every < 0 || b.Every > 0 && b.Every < time.Minute:
		v.add("backup.every", "%s is under a minute: set 1m or more, or 0 to turn automatic backups off", b.Every)
	case b.Every > 0 && b.Dir == "":
		v.add("backup.dir", "is empty: set the folder for automatic backups")
	}
	if b.Keep < 1 || b.Keep > maxKeep {
		v.add("backup.keep", "%d is not between 1 and %d", b.Keep, maxKeep)
	}
}

// ErrBackupDir is returned for a backup folder in which nothing can be written now. The server
// starts anyway.
var ErrBackupDir = errors.New("no backup can be written")

// CheckBackupDir checks the folder for automatic backups. With an *Error, backups must not be
// written there.
func (c *Config) CheckBackupDir() error {
	if c.Backup.Every == 0 {
		return nil
	}
	v, dir := &validator{config: c}, c.Backup.Dir
	if keys := filepath.Join(c.DataDir, "keys"); dir == keys || strings.HasPrefix(dir, keys+string(filepath.Separator)) {
		v.add("backup.dir", "%s is in the folder of the signing keys: use another one", dir)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
	case !info.IsDir():
		v.add("backup.dir", "%s is not a folder", dir)
	case info.Mode().Perm()&0o007 != 0:
		v.add("backup.dir", "%s is open to others (mode %04o): run chmod o-rwx %s", dir, info.Mode().Perm(), shellquote.Quote(dir))
	}
	if len(v.problems) > 0 {
		return &Error{Problems: v.problems, Refused: true}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: backup.dir %s does not exist: create it, closed to others, or mount its disk", ErrBackupDir, dir)
	}
	if err == nil {
		err = tryToWrite(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: backup.dir %s: %w", ErrBackupDir, dir, err)
	}
	return nil
}

// tryToWrite makes a file and removes it.
func tryToWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".vernal-check-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
