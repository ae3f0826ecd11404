package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	piped        = regexp.MustCompile(`^echo '([^']*)' \| (.*)$`)
)

// TestReadmeCommandsRun runs the README's console blocks, one after the other, as an
// operator would type them in an empty folder that holds sp.crt.
func TestReadmeCommandsRun(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	// Files of the script follow its commands (txtar).
	var commands, files strings.Builder
	n := 0
	for _, block := range consoleBlock.FindAllSubmatch(readme, -1) {
		for line := range strings.Lines(string(block[1])) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !ok {
				continue
			}
			n++
			if m := piped.FindStringSubmatch(command); m != nil {
				fmt.Fprintf(&commands, "stdin typed%d\n", n)
				fmt.Fprintf(&files, "-- typed%d --\n%s\n", n, m[1])
				command = m[2]
			}
			fmt.Fprintf(&commands, "exec %s\n", command)
		}
	}
	if n < 8 {
		t.Fatalf("found %d command lines in the README, want more", n)
	}
	cert, err := os.ReadFile("../../testdata/keys/sp1.crt")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&files, "-- sp.crt --\n%s", cert)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "readme.txt"), []byte(commands.String()+files.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: dir})
}
