package backup

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vernal/cmd/vernal/cli"
	"vernal/idp/admin"
	"vernal/idp/idptest/binary"
)

// TestBackupRefusesBeforeConnecting checks what is refused before the installation is asked for
// anything.
func TestBackupRefusesBeforeConnecting(t *testing.T) {
	t.Parallel()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		binary.ReportMissing(t, "needs pseudo-terminals: "+err.Error())
	}
	defer terminal.Close()
	existing := filepath.Join(t.TempDir(), "b.tar.gz")
	if err := os.WriteFile(existing, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "b.tar.gz")
	tests := []struct {
		name    string
		out     io.Writer
		json    bool
		args    []string
		refused bool // otherwise it is wrong usage
	}{
		{"terminal", terminal, false, []string{"-"}, true},
		{"JSON and the backup on standard output", io.Discard, true, []string{"-"}, false},
		{"existing file", io.Discard, false, []string{existing}, true},
		{"recipient without the master key", io.Discard, false, []string{fresh, "--recipient", "age1x"}, false},
		{"two protections", io.Discard, false, []string{fresh, "--with-master-key", "--recipient", "age1x", "--passphrase-stdin"}, false},
		{"no protection", io.Discard, false, []string{fresh, "--with-master-key"}, false},
		{"wrong recipient", io.Discard, false, []string{fresh, "--with-master-key", "--recipient", "age1x"}, true},
		{"short passphrase", io.Discard, false, []string{fresh, "--with-master-key", "--passphrase-stdin"}, true},
	}
	for _, tt := range tests {
		c := Command(&cli.App{In: strings.NewReader("short"), Out: tt.out, Err: io.Discard, JSON: tt.json,
			Connect: func(context.Context) (*admin.Client, func(), error) {
				t.Errorf("%s: the installation was asked", tt.name)
				return nil, nil, errors.New("no")
			}})
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(tt.args)
		var coded interface{ ExitCode() int }
		err := c.ExecuteContext(t.Context())
		if !errors.As(err, &coded) || (coded.ExitCode() == cli.ExitRefused) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a file was made")
	}
}
