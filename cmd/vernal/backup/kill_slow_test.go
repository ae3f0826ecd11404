//go:build slow

package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/idp/idptest/binary"
)

// TestKilledProcesses kills the commands with SIGKILL at any moment, with and without a server.
// A backup is there and whole, or not there; the installation goes on; and an interrupted restore
// can be repeated.
func TestKilledProcesses(t *testing.T) {
	t.Parallel()
	v := binary.New(t, t.TempDir(), "idp.localhost")
	v.AddUser(t, "ana@example.org")
	v.Run(t, "", "backup", "whole.tar.gz")
	whole, absent, repeated := 0, 0, 0
	backups := func(kind string) {
		for n := range 15 {
			name := fmt.Sprintf("%s-%d.tar.gz", kind, n)
			killed(t, v, "backup", name)
			if _, err := os.Stat(filepath.Join(v.Dir, name)); errors.Is(err, fs.ErrNotExist) {
				absent++
				continue
			}
			v.Run(t, "", "restore", "--check", name)
			whole++
		}
	}
	backups("offline")
	for n := range 15 {
		dir := fmt.Sprintf("restored-%d", n)
		args := []string{"restore", "whole.tar.gz", "--data-dir", dir, "--master-key", "vernal-data/master.key"}
		killed(t, v, args...)
		_, marked := os.Stat(filepath.Join(v.Dir, dir, "restore.json"))
		_, placed := os.Stat(filepath.Join(v.Dir, dir, "vernal.db"))
		if placed != nil || marked == nil { // it was not finished
			v.Run(t, "", args...)
			repeated++
		}
		if list := users(t, v, dir); !strings.Contains(list, "ana@example.org") {
			t.Errorf("restore %d: users %q", n, list)
		}
	}
	server := v.Serve(t)
	backups("online")
	for n := range 15 {
		interrupted(t, v, fmt.Sprintf("interrupted-%d.tar.gz", n))
	}
	v.Run(t, "", "backup", "last.tar.gz")
	v.Run(t, "", "restore", "--check", "last.tar.gz")
	if server.HasEnded() {
		t.Error("the server ended")
	}
	t.Logf("%d backups whole, %d absent, %d restores repeated", whole, absent, repeated)
}

// killed runs a command and kills it at any moment.
func killed(t *testing.T, v *binary.Vernal, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mathrand.N(120*time.Millisecond))
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(v.Dir, "vernal"), args...)
	c.Dir = v.Dir
	if out, err := c.CombinedOutput(); err != nil && ctx.Err() == nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
}

// interrupted begins a backup and interrupts it with SIGINT at any moment: nothing unfinished is
// left, under no name.
func interrupted(t *testing.T, v *binary.Vernal, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mathrand.N(120*time.Millisecond))
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(v.Dir, "vernal"), "backup", name)
	c.Dir, c.Cancel = v.Dir, func() error { return c.Process.Signal(os.Interrupt) }
	err := c.Run()
	if c.ProcessState != nil && !c.ProcessState.Exited() {
		return // it had not begun to catch signals
	}
	left, globErr := filepath.Glob(filepath.Join(v.Dir, "."+name+".tmp-*"))
	if globErr != nil || len(left) > 0 {
		t.Errorf("%s: %v is left, %v", name, left, globErr)
	}
	if _, statErr := os.Stat(filepath.Join(v.Dir, name)); err == nil && statErr != nil {
		t.Errorf("%s: the command reports success: %v", name, statErr)
	} else if statErr == nil {
		v.Run(t, "", "restore", "--check", name)
	}
}

// users lists the users of a restored installation.
func users(t *testing.T, v *binary.Vernal, dir string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(v.Dir, "vernal"), "user", "list")
	c.Dir, c.Env = v.Dir, append(os.Environ(), "VERNAL_DATA_DIR="+dir)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}
