package admin_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vernal/idp/admin"
)

// TestLongPath puts the socket into folders around and beyond the length that a
// socket's address takes (108 bytes).
func TestLongPath(t *testing.T) {
	t.Parallel()
	for _, length := range []int{80, 86, 87, 88, 95, 96, 97, 107, 108, 150, 1000} {
		base := t.TempDir()
		dir := base
		for len(dir) < length {
			dir = filepath.Join(dir, strings.Repeat("d", max(1, min(200, length-len(dir)-1))))
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s, _ := newService(t)
		if _, err := overSocket(t, s, dir).Ping(t.Context()); err != nil {
			t.Errorf("folder of %d bytes: %v", len(dir), err)
		}
		info, err := os.Lstat(filepath.Join(dir, admin.SocketName))
		if err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("folder of %d bytes: mode %v, %v", len(dir), info.Mode(), err)
		}
	}
}

// TestUmask is not parallel: the umask is the whole process's.
func TestUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	l, err := admin.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(filepath.Join(dir, admin.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("more than the socket is there: %v, %v", entries, err)
	}
}

func TestListenOverWhatIsThere(t *testing.T) {
	t.Parallel()
	t.Run("dead socket", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, admin.SocketName)})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		s, _ := newService(t)
		if _, err := overSocket(t, s, dir).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("live socket", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, _ := newService(t)
		c := overSocket(t, s, dir)
		if _, err := admin.Listen(t.Context(), dir); !errors.Is(err, admin.ErrInUse) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Ping(t.Context()); err != nil {
			t.Errorf("the first one no longer answers: %v", err)
		}
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, admin.SocketName)
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Listen(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("got %v", err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
			t.Errorf("the file is gone: %q, %v", data, err)
		}
	})
	t.Run("link to a socket elsewhere", func(t *testing.T) {
		t.Parallel()
		dir, other := t.TempDir(), t.TempDir()
		if err := os.Symlink(filepath.Join(other, "x"), filepath.Join(dir, admin.SocketName)); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Listen(t.Context(), dir); err == nil {
			t.Error("a symbolic link was replaced")
		}
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		if _, err := admin.Dial(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

// The server proves who it is before it gets a command: a password must not go
// to the program that put a socket there.
func TestDialRefusesAnotherUsersServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root to give a folder away")
	}
	dir := t.TempDir()
	s, _ := newService(t)
	client := overSocket(t, s, dir)
	if _, err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Ping(t.Context()); !errors.Is(err, admin.ErrImpostor) {
		t.Errorf("got %v, want ErrImpostor", err)
	}
}
