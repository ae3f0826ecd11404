package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/sp"
)

// TestErrorTextNamesOptions checks that the text of an error names the options that allow
// the step anyway, even if the error is wrapped.
func TestErrorTextNamesOptions(t *testing.T) {
	t.Parallel()
	insecure := sp.Problem{Field: "acs_urls", Value: "http://a.example/", Text: "is http", Option: idp.Option{Name: string(sp.PermitInsecureURL)}}
	other := sp.Problem{Field: "name", Text: "is missing"}
	err := fmt.Errorf("wrapped: %w", &admin.Error{
		Code: admin.CodeInvalid, Message: "not valid", Problems: []sp.Problem{insecure, other},
		Permissions: []sp.Permission{sp.PermitKeepNameIDs, sp.PermitNewNameIDs},
	})
	lines := strings.Split(errorText(err), "\n")
	for i, flag := range []string{"", "--allow-insecure-url", "", "--keep-name-ids", "--new-name-ids"} {
		if i >= len(lines) || strings.Contains(lines[i], "--") != (flag != "") || !strings.Contains(lines[i], flag) {
			t.Fatalf("line %d has no %q, or more:\n%s", i, flag, strings.Join(lines, "\n"))
		}
	}
	if plain := errors.New("plain"); errorText(plain) != "plain" {
		t.Errorf("a plain error: %q", errorText(plain))
	}
	if got := OptionFlag(idp.Option{Name: "encryption", Value: "none"}); got != "--encryption none" {
		t.Errorf("an option with a value: %q", got)
	}
}

func TestTerminalOutputHoldsNoControlCharacters(t *testing.T) {
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
	a := &App{Out: &out}
	a.FilterOutput()
	if err := a.PrintJSON(map[string]string{"name": everyHostile}); err != nil {
		t.Fatal(err)
	}
	wantHarmless(t, "JSON", out.String())
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["name"] != everyHostile {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDataIsByteExact checks that data for programs is not filtered, unless it goes to a
// terminal.
func TestDataIsByteExact(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &App{Out: &out}
	a.FilterOutput()
	for _, w := range []io.Writer{a.Data(), a.JSONData()} {
		out.Reset()
		if _, err := io.WriteString(w, everyHostile); err != nil || out.String() != everyHostile {
			t.Errorf("%q, %v", out.String(), err)
		}
	}
	tty, screen := openTerminal(t)
	a = &App{Out: tty}
	a.FilterOutput()
	for _, w := range []io.Writer{a.Data(), a.JSONData()} {
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

func TestTableReplacesControlCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteTable(&out, []string{"NAME"}, [][]string{{"a\x1b[2J\tb\u202ec"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\t\u202e") {
		t.Errorf("got %q", out.String())
	}
}

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
