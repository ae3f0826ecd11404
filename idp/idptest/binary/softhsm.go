package binary

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SoftHSM is an empty PKCS#11 token in software: Debian's softhsm2.
type SoftHSM struct {
	// Module is the path of the PKCS#11 module.
	Module string
	// Token is the label of the token, PIN the user's.
	Token, PIN string
	// Conf is its configuration, to be named in SOFTHSM2_CONF.
	Conf string
}

// modulePatterns are the places where the module may be.
var modulePatterns = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/*/softhsm/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
}

// NewSoftHSM makes a token that ends with the test, and names it in this process's environment. A
// test that uses it cannot run in parallel with others.
func NewSoftHSM(t *testing.T) *SoftHSM {
	t.Helper()
	util := Need(t, "softhsm2-util")
	h := &SoftHSM{Token: "vernal test", PIN: "2580-quiet"}
	for _, pattern := range modulePatterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			h.Module = found[0]
		}
	}
	if h.Module == "" {
		ReportMissing(t, "the module of softhsm2 is not installed")
	}
	dir := t.TempDir()
	h.Conf = filepath.Join(dir, "softhsm2.conf")
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := os.WriteFile(h.Conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", h.Conf)
	cmd := exec.CommandContext(t.Context(), util, "--init-token", "--free", "--label", h.Token, "--so-pin", "13579-loud", "--pin", h.PIN)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util --init-token: %v\n%s", err, out)
	}
	return h
}
