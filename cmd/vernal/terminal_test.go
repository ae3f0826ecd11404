package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vernal/cmd/vernal/cli"
)

// wantHarmless fails if text has a character that a terminal acts on.
func wantHarmless(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\t' && (r < 0x20 || r >= 0x7f && r <= 0x9f ||
			strings.ContainsRune("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r)) {
			t.Errorf("%s has %U:\n%q", what, r, text)
			return
		}
	}
}

// hostileCert returns a certificate that expired, with the common name.
func hostileCert(t *testing.T, name string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: testClock().Add(-2 * time.Hour), NotAfter: testClock().Add(-time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sp.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// hostileServer answers every request with a reason phrase that clears the
// screen.
func hostileServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 404 \x1b[2J\u009b\u202e\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/metadata"
}

// TestCommandsKeepControlsAway checks that text chosen by strangers cannot act on the
// terminal through the output of commands.
func TestCommandsKeepControlsAway(t *testing.T) {
	t.Parallel()
	a, out, errOut := newApp(t)
	const id = "https://sp.example.gov/"
	entityID := "https://evil.example.gov/\u009b\u202e\u2066x"
	dir := t.TempDir()
	document := filepath.Join(dir, "sp.xml")
	entities := `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` +
		strings.Repeat(`<EntityDescriptor entityID="`+entityID+`"><SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>`, 2) +
		`</EntitiesDescriptor>`
	if err := os.WriteFile(document, []byte(entities), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		seen string // in the output: the value was there
	}{
		{[]string{"sp", "add", "--entity-id", id, "--acs-url", id + "acs", "--cert", hostileCert(t, "\x1b]0;owned\x07\x1b[2K\u202e")}, "owned"},
		{[]string{"sp", "show", id}, "owned"},
		{[]string{"sp", "list"}, id},
		{[]string{"sp", "show", id, "--json"}, id},
		{[]string{"sp", "show", entityID}, "evil.example.gov"},
		{[]string{"sp", "add", "--metadata", hostileServer(t)}, "404"},
		{[]string{"sp", "add", "--metadata", document}, "evil.example.gov"},
		{[]string{"sp", "x\x1b[2J\u200f"}, "unknown command"},
		{[]string{"user", "show", "a\u009b@\u061cb"}, ""},
		{[]string{"inspect", "\x1b[2J\u202e"}, ""},
		{[]string{"audit", "tail"}, id},
	} {
		out.Reset()
		errOut.Reset()
		call(t, a, tt.args...)
		all := out.String() + errOut.String()
		wantHarmless(t, fmt.Sprintf("%q", tt.args), all)
		if !strings.Contains(all, tt.seen) {
			t.Errorf("%q: %q is not in\n%q", tt.args, tt.seen, all)
		}
	}
}

// TestCompletionIsNotFiltered checks that completion scripts, which are data for a shell,
// are not filtered.
func TestCompletionIsNotFiltered(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out bytes.Buffer
		a := newProgram(strings.NewReader(""), &out, io.Discard, getNoEnv, testClock)
		if code := call(t, a, "completion", shell); code != cli.ExitDone || out.Len() == 0 {
			t.Errorf("%s: %d", shell, code)
		}
		if strings.Contains(out.String(), "\ufffd") {
			t.Errorf("%s: the filter changed the script", shell)
		}
	}
}
