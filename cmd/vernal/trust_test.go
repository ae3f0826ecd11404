package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp/admin"
)

// nobodyUID is the Unix user ID of an unprivileged user.
const nobodyUID = 65534

// needRoot skips a test that gives files away; CI runs as root and skips none.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root to act as another user")
}

// program returns a copy of the command where another user can run it, in a folder
// that all can enter.
func program(t *testing.T) (dir, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vernal-trust-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path = filepath.Join(dir, "vernal") // by this name TestMain runs the command
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close(), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// runAs runs the command as a user in a folder; input is its standard input.
func runAs(t *testing.T, uid uint32, path, dir, input string, args ...string) (code int, output string) {
	t.Helper()
	cmd := commandAs(t.Context(), uid, path, dir, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func commandAs(ctx context.Context, uid uint32, path, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "VERNAL_") })
	cmd.Env = append(cmd.Env, "PWD="+dir, "VERNAL_LISTEN=127.0.0.1:0", "VERNAL_ADMIN_LISTEN=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// impostor listens on the admin socket of an installation and counts the bytes
// that it gets.
func impostor(t *testing.T, dataDir string) *atomic.Int64 {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dataDir, admin.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	got := new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				n, _ := conn.Read(make([]byte, 4096))
				got.Add(int64(n))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}()
		}
	}()
	return got
}

// makeInstallation makes a folder with a configuration and a data folder.
func makeInstallation(t *testing.T, base, name string) (dir, data string) {
	t.Helper()
	dir = filepath.Join(base, name)
	data = filepath.Join(dir, "vernal-data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, config.DefaultFile), []byte("log: {level: info}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir, data
}

func changeOwner(t *testing.T, uid int, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Lchown(p, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCommandsDoNotTrustThePlace checks that a command that root gives in a stranger's
// folder sends nothing to the stranger's socket.
func TestCommandsDoNotTrustThePlace(t *testing.T) {
	t.Parallel()
	needRoot(t)
	base, path := program(t)
	setPassword := []string{"user", "set-password", "ana@example.gov", "--password-stdin"}
	named := func(dir string) []string {
		return append(slices.Clone(setPassword), "--config", filepath.Join(dir, config.DefaultFile))
	}
	tests := []struct {
		name    string
		prepare func(dir, data string)
		named   bool // by --config
		code    int
		want    string
	}{
		{"everything is theirs", func(dir, data string) {
			changeOwner(t, nobodyUID, dir, data, filepath.Join(dir, config.DefaultFile), filepath.Join(data, admin.SocketName))
		}, false, cli.ExitError, "vernal.yaml is not trusted: it belongs to uid 65534"},
		{"their data folder, no configuration", func(dir, data string) {
			if err := os.Remove(filepath.Join(dir, config.DefaultFile)); err != nil {
				t.Fatal(err)
			}
			changeOwner(t, nobodyUID, dir, data)
		}, false, cli.ExitRefused, "vernal-data belongs to uid 65534, you are root: name the configuration with --config"},
		{"a link of theirs to root's file", func(dir, data string) {
			file := filepath.Join(dir, config.DefaultFile)
			if err := errors.Join(os.Rename(file, file+".root"), os.Symlink(file+".root", file)); err != nil {
				t.Fatal(err)
			}
			changeOwner(t, nobodyUID, file, data)
		}, false, cli.ExitError, "vernal.yaml is not trusted: it belongs to uid 65534"},
		{"a folder that others can write", func(dir, _ string) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, false, cli.ExitError, "is not trusted: group or others can write it (mode 0777)"},
		{"a file that the group can write", func(dir, _ string) {
			if err := os.Chmod(filepath.Join(dir, config.DefaultFile), 0o664); err != nil {
				t.Fatal(err)
			}
		}, true, cli.ExitError, "vernal.yaml is not trusted: group or others can write it (mode 0664)"},
		{"a data folder that the group can write", func(_, data string) {
			if err := os.Chmod(data, 0o770); err != nil {
				t.Fatal(err)
			}
		}, true, cli.ExitRefused, "vernal-data is not trusted: group or others can write it (mode 0770)"},
		{"a socket that others can write", func(_, data string) {
			if err := os.Chmod(filepath.Join(data, admin.SocketName), 0o666); err != nil {
				t.Fatal(err)
			}
		}, true, cli.ExitRefused, "admin.sock is not trusted: group or others can write it (mode 0666)"},
		{"a configuration of a third user", func(dir, data string) {
			changeOwner(t, nobodyUID, data)
			changeOwner(t, 12345, filepath.Join(dir, config.DefaultFile))
		}, true, cli.ExitError, "vernal.yaml is not trusted: it belongs to uid 12345, who is not the owner of the data folder"},
		{"an impostor on their socket", func(dir, data string) {
			changeOwner(t, nobodyUID, dir, data, filepath.Join(dir, config.DefaultFile))
		}, true, cli.ExitRefused, "the program that answers is run by uid 0, and the folder belongs to uid 65534"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, data := makeInstallation(t, base, "case"+string(rune('a'+i)))
			got := impostor(t, data)
			if err := os.Chmod(filepath.Join(data, admin.SocketName), 0o600); err != nil {
				t.Fatal(err)
			}
			tt.prepare(dir, data)
			args := setPassword
			if tt.named {
				args = named(dir)
			}
			code, out := runAs(t, 0, path, dir, "a new password for ana", args...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d, want %d; %q is not in\n%s", code, tt.code, tt.want, out)
			}
			if n := got.Load(); n > 0 {
				t.Errorf("the socket got %d bytes", n)
			}
		})
	}
}

// TestRootNamesAnotherUsersInstallation checks that root works on another user's
// installation only if --config names it and the server runs, and only through the socket.
func TestRootNamesAnotherUsersInstallation(t *testing.T) {
	t.Parallel()
	needRoot(t)
	base, path := program(t)
	home := filepath.Join(base, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	changeOwner(t, nobodyUID, home)
	file := filepath.Join(home, config.DefaultFile)
	if code, out := runAs(t, nobodyUID, path, home, "", "init"); code != cli.ExitDone {
		t.Fatalf("init: %d\n%s", code, out)
	}
	if code, out := runAs(t, 0, path, base, "", "sp", "list", "--config", file); code != cli.ExitRefused || !strings.Contains(out, "no server runs there") {
		t.Errorf("without a server: %d\n%s", code, out)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	server := commandAs(ctx, nobodyUID, path, home, "serve")
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	wait, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err := listenAddress(wait, filepath.Join(home, "vernal-data")); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-wait.Done():
			t.Fatalf("the server does not answer\n%s", &log)
		}
	}
	if code, out := runAs(t, 0, path, base, "", "sp", "list", "--json", "--config", file); code != cli.ExitDone || !strings.Contains(out, "[]") {
		t.Errorf("root with --config: %d\n%s", code, out)
	}
	if code, out := runAs(t, nobodyUID, path, home, "", "sp", "list"); code != cli.ExitDone {
		t.Errorf("the owner: %d\n%s", code, out)
	}
	if code, out := runAs(t, 0, path, home, "", "sp", "list"); code != cli.ExitError || !strings.Contains(out, "not trusted") {
		t.Errorf("root by place: %d\n%s", code, out)
	}
	if code, out := runAs(t, 12345, path, base, "", "sp", "list", "--config", file); code != cli.ExitError || !strings.Contains(out, "not trusted") {
		t.Errorf("a third user: %d\n%s", code, out)
	}
	stop()
	_ = server.Wait()
}

// TestStickyFolderAndDeviceAreTrusted checks that a folder with the sticky bit, such as
// /tmp, and a device are trusted.
func TestStickyFolderAndDeviceAreTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.WriteFile(filepath.Join(dir, "v.yaml"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "v.yaml"), os.DevNull} {
		if _, err := config.Load(file, getNoEnv); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestNothingThatOthersCanWriteIsOpened checks the same rule for the files that a command
// opens itself while no server runs.
func TestNothingThatOthersCanWriteIsOpened(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path string
		mode os.FileMode
		want string
	}{
		{"", 0o750, "chmod 700"},
		{"", 0o770, "(mode 0770)"},
		{storeName, 0o620, "not trusted"},
		{keysName, 0o770, "not trusted"},
		{filepath.Join(keysName, "2031.key"), 0o602, "not trusted"},
		{filepath.Join(keysName, "2031.crt"), 0o664, "not trusted"},
		{"master.key", 0o620, "master_key_file"},
	} {
		t.Run(tt.path+" "+tt.mode.String(), func(t *testing.T) {
			t.Parallel()
			a, _, errOut := newApp(t)
			if code := call(t, a, "sp", "list"); code != cli.ExitDone {
				t.Fatal(code, errOut)
			}
			errOut.Reset()
			if err := os.Chmod(filepath.Join(filepath.Dir(a.ConfigFile), "vernal-data", tt.path), tt.mode); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"sp list", "serve"} {
				errOut.Reset()
				if code := call(t, a, strings.Fields(command)...); code != cli.ExitRefused || !strings.Contains(errOut.String(), tt.want) {
					t.Errorf("%s: %d, %q is not in\n%s", command, code, tt.want, errOut)
				}
			}
		})
	}
}
