package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"vernal/idp"
)

// The rule for output:
//
//   - Text, on standard output and standard error, goes through a
//     terminalWriter, whatever its source: certificates, metadata, HTTP reason
//     phrases, file names and errors all contain text that strangers chose.
//   - JSON that the program writes (--json, log.format json) goes through one
//     that escapes the same characters instead. A reader gets the same values.
//   - Data that programs use as it is (audit and user exports, metadata, PEM,
//     CSV, deploy files, completion scripts) stays byte-exact unless standard
//     output is a terminal.

// terminalWriter keeps control characters and characters that reorder or hide
// text away from a terminal. Safe for concurrent use.
type terminalWriter struct {
	w io.Writer
	// escape writes such characters as \uXXXX, for JSON. Otherwise U+FFFD takes their place,
	// which shows that a character was removed.
	escape bool
	// color lets WriteVerdict color verdicts.
	color bool

	mu   sync.Mutex
	partial []byte // the beginning of a character that the next Write completes
}

func (t *terminalWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := append(t.partial, p...)
	out := make([]byte, 0, len(in))
	for len(in) > 0 && utf8.FullRune(in) {
		r, size := utf8.DecodeRune(in)
		switch {
		// A byte that is not UTF-8 can be a C1 control on an 8-bit terminal.
		case r == utf8.RuneError && size == 1:
			out = utf8.AppendRune(out, utf8.RuneError)
		case r == '\n' || r == '\t' || !idp.IsControl(r):
			out = append(out, in[:size]...)
		case t.escape:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = utf8.AppendRune(out, utf8.RuneError)
		}
		in = in[size:]
	}
	t.partial = append([]byte(nil), in...)
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// FilterOutput puts the filter in front of both standard streams, once.
func (a *App) FilterOutput() {
	for _, w := range []*io.Writer{&a.Out, &a.Err} {
		if _, ok := (*w).(*terminalWriter); !ok {
			*w = &terminalWriter{w: *w, color: a.allowsColor(*w)}
		}
	}
}

// UnwrapWriter returns the stream behind the filter.
func UnwrapWriter(w io.Writer) io.Writer {
	if t, ok := w.(*terminalWriter); ok {
		return t.w
	}
	return w
}

// NewJSONWriter returns w for JSON that the program writes.
func NewJSONWriter(w io.Writer) io.Writer { return &terminalWriter{w: UnwrapWriter(w), escape: true} }

// Data returns standard output for data that programs read unchanged.
func (a *App) Data() io.Writer {
	if IsTerminal(a.Out) {
		return a.Out
	}
	return UnwrapWriter(a.Out)
}

// JSONData is Data for JSON that must not change in a single byte, because it is hashed.
func (a *App) JSONData() io.Writer {
	if IsTerminal(a.Out) {
		return NewJSONWriter(a.Out)
	}
	return UnwrapWriter(a.Out)
}

// IsTerminal reports whether w writes to a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := UnwrapWriter(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
