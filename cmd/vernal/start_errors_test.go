package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
)

// reportedError returns the JSON error at the end of what a command printed.
func reportedError(t *testing.T, printed string) cli.ReportedError {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	var report struct{ Error cli.ReportedError }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil {
		t.Fatalf("%v in\n%s", err, printed)
	}
	return report.Error
}

// changeFile replaces the content of a file.
func changeFile(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is wrong with an installation is named at its start with a code and the way to fix it,
// for the server and for commands without one. Nothing panics, and nothing takes the place of
// what is lost.
func TestStartNamesTheFix(t *testing.T) {
	t.Parallel()
	const restore = "vernal restore FILE"
	const year = "2031" // that of testClock
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		code   admin.Code
		fix    string
		// serveOnly: commands work still.
		serveOnly bool
	}{
		{"store cut short", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, storeName), func(b []byte) []byte { return b[:20_000] })
		}, admin.CodeStoreDamaged, restore, false},
		{"store empty", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, storeName), func([]byte) []byte { return nil })
		}, admin.CodeStoreDamaged, restore, false},
		{"heads of the store zeroed", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, storeName), func(b []byte) []byte { clear(b[:8192]); return b })
		}, admin.CodeStoreDamaged, restore, false},
		{"pages of the store zeroed", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, storeName), func(b []byte) []byte { clear(b[8192:]); return b })
		}, admin.CodeStoreDamaged, restore, false},
		{"store of garbage", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, storeName), func(b []byte) []byte { return bytes.Repeat([]byte("garbage "), 10_000) })
		}, admin.CodeStoreDamaged, restore, false},
		{"store missing", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, storeName)) }, codeStoreMissing, restore, false},
		{"store is a folder", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, storeName))
			if err := os.Mkdir(filepath.Join(dir, storeName), 0o700); err != nil {
				t.Fatal(err)
			}
		}, admin.CodeStoreDamaged, restore, false},
		{"master key missing", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "master.key")) }, codeMasterMissing, "master.key", false},
		{"master key of another installation", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, "master.key"), func([]byte) []byte { return bytes.Repeat([]byte("ab"), 32) })
		}, codeMasterOther, "vernal rekey", false},
		{"master key cut short", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, "master.key"), func(b []byte) []byte { return b[:20] })
		}, codeMasterUnreadable, "VERNAL_MASTER_KEY", false},
		{"master key open to others", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "master.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, admin.CodeRefused, "chmod 600", false},
		{"folder open to others", func(t *testing.T, dir string) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}, admin.CodeRefused, "chmod 700", false},
		{"keys missing", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, keysName)); err != nil {
				t.Fatal(err)
			}
		}, codeNoSigner, "restore", true},
		{"key missing", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, keysName, year+".key")) }, codeNoSigner, "restore", true},
		{"certificate missing", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, keysName, year+".crt")) }, codeNoSigner, "restore", true},
		{"key cut short", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, keysName, year+".key"), func(b []byte) []byte { return b[:len(b)/2] })
		}, codeNoSigner, "restore", true},
		{"certificate of garbage", func(t *testing.T, dir string) {
			changeFile(t, filepath.Join(dir, keysName, year+".crt"), func([]byte) []byte { return []byte("garbage") })
		}, codeNoSigner, "restore", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, _, errOut := newApp(t)
			dir := filepath.Join(filepath.Dir(a.ConfigFile), "vernal-data")
			tt.damage(t, dir)
			for _, args := range [][]string{{"serve", "--json"}, {"sp", "list", "--json"}} {
				errOut.Reset()
				code := call(t, a, args...)
				if tt.serveOnly && args[0] != "serve" {
					if code != cli.ExitDone {
						t.Errorf("%v: exit code %d\n%s", args, code, errOut)
					}
					continue
				}
				if code != cli.ExitError && code != cli.ExitRefused {
					t.Fatalf("%v: exit code %d\n%s", args, code, errOut)
				}
				got := reportedError(t, errOut.String())
				if got.Code != tt.code || !strings.Contains(errOut.String(), tt.fix) || strings.Contains(errOut.String(), "goroutine") {
					t.Errorf("%v: code %q, want %q and %q in\n%s", args, got.Code, tt.code, tt.fix, errOut)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, storeName)); tt.code == codeStoreMissing && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a new store was made: %v", err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
