package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

func testClock() time.Time { return time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC) }

// newApp returns a program with an installation in a folder of its own. Its
// output is in out and err.
func newApp(t *testing.T) (a *app, out, errOut *bytes.Buffer) {
	t.Helper()
	return newAppAt(t, testClock)
}

// newAppAt is newApp with another clock.
func newAppAt(t *testing.T, clock idp.Clock) (a *app, out, errOut *bytes.Buffer) {
	t.Helper()
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	a = newProgram(strings.NewReader(""), out, errOut, getNoEnv, clock)
	a.lockWait = 300 * time.Millisecond
	if code := call(t, a, "--config", filepath.Join(t.TempDir(), "vernal.yaml"), "init"); code != cli.ExitDone {
		t.Fatalf("init: %d, %s", code, errOut)
	}
	errOut.Reset()
	return a, out, errOut
}

// call runs a command and gives its exit code.
func call(t *testing.T, a *app, args ...string) int {
	t.Helper()
	if a.ConfigFile != "" {
		args = append(args, "--config", a.ConfigFile)
	}
	return a.execute(t.Context(), args)
}

// TestCommandGivesUpOnHeldStore locks the store, as a hanging server or another command does.
// Commands must wait for it, but not without limit.
func TestCommandGivesUpOnHeldStore(t *testing.T) {
	t.Parallel()
	a, _, errOut := newApp(t)
	dir := filepath.Join(filepath.Dir(a.ConfigFile), "vernal-data")
	key, err := seal.LoadMaster(filepath.Join(dir, "master.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(dir, storeName), bolt.Options{Masters: seal.NewMasters(key), Clock: testClock})
	if err != nil {
		t.Fatal(err)
	}
	if code := call(t, a, "sp", "list"); code != cli.ExitError || !strings.Contains(errOut.String(), "another process holds the store") {
		t.Errorf("sp list: %d, %s", code, errOut)
	}
	errOut.Reset()
	if code := call(t, a, "serve"); code != cli.ExitError || !strings.Contains(errOut.String(), "another process holds the store") {
		t.Errorf("serve: %d, %s", code, errOut)
	}

	// When the lock is released, the waiting command continues.
	a.lockWait = time.Minute
	errOut.Reset()
	done := make(chan int)
	go func() { done <- call(t, a, "sp", "list") }()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != cli.ExitDone {
		t.Errorf("after the lock is free: %d, %s", code, errOut)
	}
}

// TestInitMakesYearsForTheDate runs init on days when the calendar asks for different years.
func TestInitMakesYearsForTheDate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		now  time.Time
		want []string
	}{
		{"autumn", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), []string{"(2026) is preferred and ends 2027-04-01"}},
		{"january", time.Date(2027, 1, 20, 0, 0, 0, 0, time.UTC), []string{"(2026) is preferred", "(2027) is created and ends 2028-04-01"}},
		{"spring", time.Date(2027, 3, 15, 0, 0, 0, 0, time.UTC), []string{"(2027) is preferred"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			errOut := new(bytes.Buffer)
			a := newProgram(strings.NewReader(""), new(bytes.Buffer), errOut, getNoEnv, func() time.Time { return tt.now })
			if code := call(t, a, "init", "--config", filepath.Join(t.TempDir(), "vernal.yaml")); code != cli.ExitDone {
				t.Fatalf("%d, %s", code, errOut)
			}
			for _, want := range tt.want {
				if !strings.Contains(errOut.String(), want) {
					t.Errorf("%q is not in\n%s", want, errOut)
				}
			}
			if n := strings.Count(errOut.String(), "our signing certificate"); n != len(tt.want) {
				t.Errorf("%d years, want %d\n%s", n, len(tt.want), errOut)
			}
		})
	}
}
