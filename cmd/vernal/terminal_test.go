package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
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

	"golang.org/x/sys/unix"
)

// everyHostile has one of each kind that the filter keeps away.
const everyHostile = "\x00\x07\b\r\x1b]0;x\x07\x1b[2J\x7f\u0085\u009b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"

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

func TestTerminalWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &terminalWriter{w: &out}
	// One byte at a time: characters come in pieces.
	for _, b := range []byte("a\tb\n é€😀 " + everyHostile + " \x9b \xff.") {
		if n, err := w.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	wantHarmless(t, "output", out.String())
	if !strings.HasPrefix(out.String(), "a\tb\n é€😀 \ufffd") || !strings.HasSuffix(out.String(), " \ufffd \ufffd.") {
		t.Errorf("got %q", out.String())
	}
}

func TestJSONKeepsValues(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out}
	a.filterOutput()
	if err := a.printJSON(map[string]string{"name": everyHostile}); err != nil {
		t.Fatal(err)
	}
	wantHarmless(t, "JSON", out.String())
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["name"] != everyHostile {
		t.Errorf("%q, %v", got, err)
	}
}

// hostileCert is a certificate that expired, with the common name.
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

// What strangers choose reaches the terminal through commands: it must not act
// on it.
func TestCommandsKeepControlsAway(t *testing.T) {
	t.Parallel()
	a, out, errOut := newApp(t)
	const id = "https://sp.example.gov/"
	hostile := "https://evil.example.gov/\u009b\u202e\u2066x"
	dir := t.TempDir()
	document := filepath.Join(dir, "sp.xml")
	entities := `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` +
		strings.Repeat(`<EntityDescriptor entityID="`+hostile+`"><SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>`, 2) +
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
		{[]string{"sp", "show", hostile}, "evil.example.gov"},
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

// Data for programs is not touched, unless a person would see it.
func TestDataIsByteExact(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out}
	a.filterOutput()
	for _, w := range []io.Writer{a.data(), a.jsonData()} {
		out.Reset()
		if _, err := io.WriteString(w, everyHostile); err != nil || out.String() != everyHostile {
			t.Errorf("%q, %v", out.String(), err)
		}
	}
	tty, screen := openTerminal(t)
	a = &app{out: tty}
	a.filterOutput()
	for _, w := range []io.Writer{a.data(), a.jsonData()} {
		if _, err := io.WriteString(w, everyHostile+"\n"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		// The terminal itself ends lines with \r\n.
		wantHarmless(t, "terminal", strings.TrimSuffix(string(buf[:n]), "\r\n"))
	}
}

// openTerminal opens a pseudo terminal: what is written to it is read from
// screen.
func openTerminal(t *testing.T) (tty, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return tty, screen
}

// Completion scripts are data for a shell and have nothing to filter.
func TestCompletionIsNotFiltered(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: io.Discard, getenv: noEnv, clock: testClock}
		if code := call(t, a, "completion", shell); code != exitDone || out.Len() == 0 {
			t.Errorf("%s: %d", shell, code)
		}
		if strings.Contains(out.String(), "\ufffd") {
			t.Errorf("%s: the filter changed the script", shell)
		}
	}
}
