//go:build slow

package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"vernal/idp/idptest/binary"
)

// TestMakefileSetsVersion checks that the command prints the version that the Makefile has
// the linker set. The linker ignores an unknown variable without an error.
func TestMakefileSetsVersion(t *testing.T) {
	t.Parallel()
	const want = "v9.8.7-6-gabcdef0"
	bin := filepath.Join(t.TempDir(), "vernal")
	build := exec.CommandContext(t.Context(), binary.Need(t, "make"), "--directory", "../..", "build", "BIN="+bin, "VERSION="+want)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), bin, "version", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got buildVersion
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got.Version != want {
		t.Errorf("version is %q, want %q", got.Version, want)
	}
}
