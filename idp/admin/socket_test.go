package admin_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vernal/idp/admin"
)

// TestSocketPathMayBeLong puts the socket into folders around and beyond the maximum length
// of a socket path (108 bytes).
func TestSocketPathMayBeLong(t *testing.T) {
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
		if _, err := ping(t, overSocket(t, dir)); err != nil {
			t.Errorf("folder of %d bytes: %v", len(dir), err)
		}
		info, err := os.Lstat(filepath.Join(dir, admin.SocketName))
		if err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("folder of %d bytes: mode %v, %v", len(dir), info.Mode(), err)
		}
	}
}

// TestSocketModeIgnoresUmask is not parallel, because the umask belongs to the whole
// process.
func TestSocketModeIgnoresUmask(t *testing.T) {
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
		if _, err := ping(t, overSocket(t, dir)); err != nil {
			t.Error(err)
		}
	})
	t.Run("live socket", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		c := overSocket(t, dir)
		if _, err := admin.Listen(t.Context(), dir); !errors.Is(err, admin.ErrInUse) {
			t.Errorf("got %v", err)
		}
		if _, err := ping(t, c); err != nil {
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
	t.Run("link to a socket in another folder", func(t *testing.T) {
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

// TestDialRefusesAnotherUsersServer checks that the server proves its identity before it
// gets a command: a password must not go to another user's program that put a socket there.
func TestDialRefusesAnotherUsersServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root to give a folder away")
	}
	dir := t.TempDir()
	client := overSocket(t, dir)
	if _, err := ping(t, client); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := ping(t, client); !errors.Is(err, admin.ErrImpostor) {
		t.Errorf("got %v, want ErrImpostor", err)
	}
}

// greet is the only operation of the tests. It returns the caller's name.
var greet = admin.Op[string, struct{}, string]{Path: "greet", Do: func(s string, _ context.Context, by admin.Caller, _ struct{}) (string, error) {
	return s + by.Actor(), nil
}}

// overSocket serves the operation on a socket in dir and returns a client of it.
func overSocket(t *testing.T, dir string) *admin.Client {
	t.Helper()
	l, err := admin.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	endpoint := admin.NewEndpoint("hello ", os.Geteuid(), slog.New(slog.DiscardHandler), admin.Route[string](greet))
	go func() { served <- endpoint.Serve(ctx, l) }()
	client := admin.NewSocketClient(dir)
	t.Cleanup(func() {
		client.Close()
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, admin.SocketName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return client
}

// ping asks the server, which must name the caller.
func ping(t *testing.T, c *admin.Client) (string, error) {
	t.Helper()
	answer, err := admin.Call(t.Context(), c, greet, struct{}{})
	if want := "hello " + admin.Self().Actor(); err == nil && answer != want {
		t.Errorf("the answer is %q, want %q", answer, want)
	}
	return answer, err
}
