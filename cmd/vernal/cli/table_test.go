package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vernal/idp/admin"
)

// openScreen opens a terminal of a width, and returns a function that writes by an App
// with the environment and reads what the screen got.
func openScreen(t *testing.T, columns uint16, env map[string]string) func(func(*App)) string {
	t.Helper()
	tty, screen := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return func(write func(*App)) string {
		a := &App{Out: tty, Err: tty, Getenv: func(name string) string { return env[name] }}
		a.FilterOutput()
		write(a)
		a.Say("%s", endOfScreen)
		return readScreen(t, screen)
	}
}

// endOfScreen ends what a test writes: a terminal may pass it on in pieces.
const endOfScreen = "<end>"

func readScreen(t *testing.T, screen *os.File) string {
	t.Helper()
	var all []byte
	for buf := make([]byte, 4096); !bytes.Contains(all, []byte(endOfScreen)); {
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buf[:n]...)
	}
	text, _, _ := strings.Cut(string(all), endOfScreen)
	return strings.ReplaceAll(text, "\r\n", "\n")
}

var wide = [][]string{{"https://application.example.gov/saml/metadata", strings.Repeat("é", 70), "yes"}, {"short", "", "no"}}

func TestTableFitsTerminalOnly(t *testing.T) {
	t.Parallel()
	widths := columnWidths(append([][]string{{"ENTITY ID", "NAME", "ACTIVE"}}, wide...))
	fitWidths(widths, 60)
	if sum := sumWidths(widths) + 2*columnGap; sum != 60 || widths[2] != len("ACTIVE") {
		t.Errorf("widths %v", widths)
	}
	for _, many := range [][]int{make([]int, 20), {5, 6, 7}, {1}} {
		for i := range many {
			many[i] += minColumn
		}
		fitWidths(many, 10) // ends, although it cannot fit
	}
	var piped bytes.Buffer
	if err := WriteTable(&piped, []string{"ENTITY ID", "NAME", "ACTIVE"}, wide); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(piped.String(), wide[0][0]) || !strings.Contains(piped.String(), wide[0][1]) || strings.Contains(piped.String(), ellipsis) {
		t.Errorf("cut without a terminal:\n%s", piped.String())
	}
	if got := strings.Split(piped.String(), "\n")[2]; strings.HasSuffix(got, " ") || !strings.HasPrefix(got, "short ") {
		t.Errorf("row %q", got)
	}
}

func TestTableOnTerminalIsCut(t *testing.T) {
	t.Parallel()
	show := openScreen(t, 50, nil)
	got := show(func(a *App) {
		if err := WriteTable(a.Out, []string{"ENTITY ID", "NAME", "ACTIVE"}, wide); err != nil {
			t.Fatal(err)
		}
	})
	for line := range strings.SplitSeq(got, "\n") {
		if utf8.RuneCountInString(line) > 50 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	if !strings.Contains(got, ellipsis) || !strings.Contains(got, "yes\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestTextTableCutsNoText checks that no text is cut, such as a command with a long entity
// ID.
func TestTextTableCutsNoText(t *testing.T) {
	t.Parallel()
	const command = "vernal sp show https://application.example.gov/saml/metadata/that/is/long"
	show := openScreen(t, 50, nil)
	got := show(func(a *App) {
		row := []string{"metadata", "FAILED", "look at it: " + command}
		if err := WriteTextTable(a.Out, []string{"STEP", "RESULT", "WHAT"}, [][]string{row}, slices.Clone[[]string]); err != nil {
			t.Fatal(err)
		}
	})
	if words := strings.Fields(got); !strings.HasSuffix(strings.Join(words, " "), command) {
		t.Errorf("got\n%s", got)
	}
}

func TestTextColumnWraps(t *testing.T) {
	t.Parallel()
	rows := splitText([][]string{{"2027", "the quick brown fox jumps over the lazy dog"}}, 20)
	if len(rows) != 3 || rows[0][0] != "2027" || rows[1][0] != "" {
		t.Fatalf("%q", rows)
	}
	for _, row := range rows {
		if utf8.RuneCountInString(row[1]) > 20 || strings.HasPrefix(row[1], " ") {
			t.Errorf("%q", row[1])
		}
	}
}

func TestVerdictIsColoredOnTerminalsThatAllowIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		env   map[string]string
		color bool
	}{
		{"terminal", map[string]string{"TERM": "xterm"}, true},
		{"NO_COLOR", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{"dumb", map[string]string{"TERM": "dumb"}, false},
		{"no TERM", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			show := openScreen(t, 80, tt.env)
			got := show(func(a *App) { _ = WriteVerdict(a.Out, "REFUSED") })
			if strings.Contains(got, colorRed) != tt.color || !strings.Contains(got, "REFUSED") {
				t.Errorf("%q", got)
			}
		})
	}
	var piped bytes.Buffer
	a := &App{Out: &piped, Getenv: func(string) string { return "xterm" }}
	a.FilterOutput()
	if err := WriteVerdict(a.Out, "REFUSED: x"); err != nil || piped.String() != "REFUSED: x" {
		t.Errorf("%q, %v", piped.String(), err)
	}
}

// TestVerdictFiltersTheRest checks that a text that begins with a verdict cannot add colors.
func TestVerdictFiltersTheRest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &terminalWriter{w: &out, color: true}
	if err := WriteVerdict(w, "ok \x1b[31mred"); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != colorGreen+"ok"+colorReset+" \ufffd[31mred" {
		t.Errorf("%q", got)
	}
}

func TestJSONTimesAreInSeconds(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 1, 9, 0, 0, 123456789, time.UTC)
	text := `x", "made_at": "2027-03-01T09:00:00.5Z"`
	data, err := MarshalJSON(map[string]any{"begun_at": at, "at": at, "since": at, "name": at.Format(time.RFC3339Nano), "text": text}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"begun_at": "2027-03-01T09:00:00Z"`, `"at": "2027-03-01T09:00:00Z"`, `"since": "2027-03-01T09:00:00Z"`,
		`"name": "2027-03-01T09:00:00.123456789Z"`, `\"2027-03-01T09:00:00.5Z\"`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in\n%s", want, data)
		}
	}
}

func TestWrapTextKeepsIndentedLines(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("word ", 30) + "\nend\n\n    email, or emails      " + strings.Repeat("text ", 20) + "\n    next line"
	for line := range strings.SplitSeq(WrapText(text, 40), "\n") {
		if len(line) > 40 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if got := WrapText(text, 200); !strings.Contains(got, "\n\n    email, or emails      text") || !strings.Contains(got, "\n    next line") {
		t.Errorf("%q", got)
	}
	if got := WrapText(strings.Repeat("x", 100), 40); len(got) != 100 {
		t.Errorf("a long word was broken: %q", got)
	}
}

// TestCompletionIsQuietWithoutInstallation checks that completion is bounded and prints no
// error.
func TestCompletionIsQuietWithoutInstallation(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	a := &App{Err: &errOut, Connect: func(context.Context) (*admin.Client, func(), error) {
		return nil, nil, errors.New("no installation")
	}}
	for _, find := range []finder{FindEntityIDs, FindYears, FindEmails} {
		got, _ := a.newCompletion(find, 1)(&cobra.Command{}, nil, "")
		if len(got) != 0 || errOut.Len() != 0 {
			t.Errorf("%q, %q", got, errOut.String())
		}
	}
	many := func(_ context.Context, _ *App, _ string) (all []string) {
		for range 3 * maxCompletions {
			all = append(all, "https://a.example/", "other", "https://\x1b[2J")
		}
		return all
	}
	got, _ := a.newCompletion(many, 1)(&cobra.Command{}, nil, "https://")
	if len(got) != maxCompletions || got[0] != "https://a.example/" || got[1] != got[0] {
		t.Errorf("%d offers: %.3q", len(got), got)
	}
	if got, _ := a.newCompletion(many, 1)(&cobra.Command{}, []string{"x"}, ""); len(got) != 0 {
		t.Errorf("a second argument is completed: %q", got)
	}
}
