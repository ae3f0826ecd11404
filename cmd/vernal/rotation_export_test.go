package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vernal/cmd/vernal/cli"
	rotationcmd "vernal/cmd/vernal/rotation"
	"vernal/idp/guide"
	"vernal/idp/idptest/binary"
)

// opensslLine matches an openssl command that the guide or a statement asks the partner to run.
var opensslLine = regexp.MustCompile(`(?m)^ *(openssl .*)$`)

// TestPartnerCanVerifyExport verifies an export as a partner does: with openssl, by the
// commands in the guide and those in the statement. It also checks that a changed file is
// detected.
func TestPartnerCanVerifyExport(t *testing.T) {
	t.Parallel()
	binary.Need(t, "openssl")
	a, out, errOut := newAppAt(t, clockAt("2026-11-22 12:00:00"))
	dir := filepath.Join(t.TempDir(), "proof")
	for _, args := range [][]string{
		{"rotation", "create", "2027"},
		{"rotation", "export", "2026", "--out", filepath.Join(t.TempDir(), "old")},
		{"rotation", "export", "2027", "--out", dir, "--json"},
	} {
		out.Reset()
		if code := call(t, a, args...); code != cli.ExitDone {
			t.Fatalf("%v: %d, %s", args, code, errOut)
		}
	}
	var done rotationcmd.ExportResult
	if err := json.Unmarshal(out.Bytes(), &done); err != nil {
		t.Fatal(err)
	}
	want := []string{"2027.pem", "2027.der", "metadata2027.xml", "fingerprints.txt", "statement.txt", "statement.txt.2026.sig", "statement.txt.2027.sig"}
	for i, name := range want {
		want[i] = filepath.Join(dir, name)
	}
	if !slices.Equal(done.Files, want) {
		t.Errorf("wrote %q, want %q", done.Files, want)
	}
	// The partner already has the certificate of the old year, so it is not part of the export.
	old, err := os.ReadFile(filepath.Join(filepath.Dir(a.ConfigFile), "vernal-data", "keys", "2026.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "2026.pem"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	statement, err := os.ReadFile(filepath.Join(dir, "statement.txt"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := readGuides(t).Lookup("external-keys").Markdown(guide.Example())
	if err != nil {
		t.Fatal(err)
	}
	shown := runLines(t, dir, []byte(text), 3)
	if strings.Count(shown, "Verified OK") != 1 {
		t.Errorf("the guide's lines say:\n%s", shown)
	}
	_, fingerprint, _ := strings.Cut(strings.TrimSpace(shown), "=")
	if !strings.Contains(string(statement), "\nSHA-256:             "+fingerprint+"\n") {
		t.Errorf("%q is not in\n%s", fingerprint, statement)
	}
	if shown := runLines(t, dir, statement, 4); strings.Count(shown, "Verified OK") != 2 {
		t.Errorf("the statement's lines say:\n%s", shown)
	}
	forged := strings.Replace(string(statement), "auth2027", "auth2028", 1)
	if err := os.WriteFile(filepath.Join(dir, "statement.txt"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if shown := runLines(t, dir, statement, 4); strings.Contains(shown, "Verified OK") {
		t.Errorf("a changed statement is believed:\n%s", shown)
	}
}

// runLines runs the openssl lines of a text in a folder and returns all that
// they say.
func runLines(t *testing.T, dir string, text []byte, n int) string {
	t.Helper()
	var shown strings.Builder
	lines := opensslLine.FindAllSubmatch(text, -1)
	if len(lines) != n {
		t.Fatalf("found %d openssl lines, want %d", len(lines), n)
	}
	for _, line := range lines {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", string(line[1]))
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // openssl dgst says and exits with how it went
		shown.Write(out)
	}
	return shown.String()
}
