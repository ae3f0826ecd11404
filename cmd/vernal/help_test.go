package main

import (
	"bytes"
	"context"
	"io"
	"iter"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vernal/cmd/vernal/cli"
)

// maxUngrouped is how many options a command may list without headings.
const maxUngrouped = 10

// allCommands yields the commands that help shows.
func allCommands(c *cobra.Command) iter.Seq[*cobra.Command] {
	return func(yield func(*cobra.Command) bool) { walkCommands(c, yield) }
}

func walkCommands(c *cobra.Command, yield func(*cobra.Command) bool) bool {
	if c.Hidden {
		return true
	}
	if !yield(c) {
		return false
	}
	for _, sub := range c.Commands() {
		if !walkCommands(sub, yield) {
			return false
		}
	}
	return true
}

// helpOf runs `COMMAND --help` as a user does.
func helpOf(t *testing.T, c *cobra.Command) string {
	t.Helper()
	var out bytes.Buffer
	a := newProgram(strings.NewReader(""), &out, io.Discard, getNoEnv, time.Now)
	args := append(strings.Fields(c.CommandPath())[1:], "--help")
	if code := a.execute(context.Background(), args); code != cli.ExitDone {
		t.Fatalf("%v: exit code %d", args, code)
	}
	return out.String()
}

func TestHelpFitsTerminal(t *testing.T) {
	t.Parallel()
	n := 0
	for c := range allCommands(newCommandTree()) {
		n++
		for line := range strings.Lines(helpOf(t, c)) {
			if line = strings.TrimRight(line, "\n"); utf8.RuneCountInString(line) > cli.HelpWidth {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), utf8.RuneCountInString(line), line)
			}
		}
	}
	if n < 50 {
		t.Errorf("saw %d commands only", n)
	}
}

// valueName is how help calls the value of an option: URL, FILE|URL, LANGUAGE=TEXT.
var valueName = regexp.MustCompile(`^[A-Z][A-Z0-9_|:=]*$`)

func TestHelpNamesValuesAndGroups(t *testing.T) {
	t.Parallel()
	for c := range allCommands(newCommandTree()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if name := cli.ValueName(f); name != "" && !valueName.MatchString(name) {
				t.Errorf("%s --%s: the value is called %q", c.CommandPath(), f.Name, name)
			}
		})
		for _, g := range cli.FlagGroups(c) {
			if len(g.Flags) > maxUngrouped && g.Title == "Options" {
				t.Errorf("%s: %d options without headings", c.CommandPath(), len(g.Flags))
			}
		}
	}
}

// exampleLine is a command in an example, at its left edge or behind a pipe.
var exampleLine = regexp.MustCompile(`^    (?:[^ ].* \|\s*)?(vernal .*)$`)

// TestExamplesParse reads every command of every example as the program does, up to where
// it would run.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	for c := range allCommands(newCommandTree()) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
			continue
		}
		n := 0
		text := strings.ReplaceAll(c.Example, "\\\n", " ")
		text = strings.ReplaceAll(text, "|\n", "| ")
		for line := range strings.SplitSeq(text, "\n") {
			m := exampleLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			n++
			if err := parseLine(m[1]); err != nil {
				t.Errorf("%s: %s: %v", c.CommandPath(), m[1], err)
			}
		}
		if n == 0 {
			t.Errorf("%s: its example has no command:\n%s", c.CommandPath(), c.Example)
		}
	}
}

// parseLine reads a command line: the command, its options and the number of arguments.
func parseLine(line string) error {
	root := newCommandTree()
	c, rest, err := root.Find(shellWords(line)[1:])
	if err != nil {
		return err
	}
	if c == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return cli.Usage(c, "no such command")
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return cli.Usage(c, "no such command: %s", c.Flags().Arg(0))
	}
	return c.ValidateArgs(c.Flags().Args())
}

// shellWords splits a line as a shell does, as far as examples need it. A redirection and
// a comment end it.
func shellWords(line string) (words []string) {
	var word strings.Builder
	started := false
	quote := rune(0)
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case (r == '<' || r == '>' || r == '#' || r == '|') && !started:
			return words
		case r == ' ':
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	return words
}
