package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/idptest/fixture"
)

// A disk that is read-only or full at the start is named with what to do about it.
func TestStartNamesTheDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, folder string, fill func())
	}{
		{"read-only", func(t *testing.T, folder string, _ func()) {
			if err := syscall.Mount("", folder, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}},
		{"full", func(_ *testing.T, _ string, fill func()) { fill() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder, fill, _ := fixture.MountSmallDisk(t)
			errOut := new(bytes.Buffer)
			a := newProgram(strings.NewReader(""), new(bytes.Buffer), errOut, getNoEnv, testClock)
			file := filepath.Join(t.TempDir(), "vernal.yaml")
			if code := call(t, a, "--config", file, "init", "--data-dir", folder); code != cli.ExitDone {
				t.Fatalf("init: %d, %s", code, errOut)
			}
			tt.spoil(t, folder, fill)
			args := []string{"sp", "add", "--entity-id", "urn:a", "--acs-url", "https://a.example.gov/acs", "--sign-requests", "optional", "--json"}
			for range 30 { // pages that are free within the file are used up
				errOut.Reset()
				args[3] += "a"
				if code := call(t, a, append([]string{"--config", file}, args...)...); code != cli.ExitDone {
					break
				}
			}
			got := reportedError(t, errOut.String())
			if got.Code != admin.CodeStoreDisk || !strings.Contains(got.Message, folder) {
				t.Errorf("code %q in\n%s", got.Code, errOut)
			}
		})
	}
}
