package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vernal/idp/account"
	"vernal/idp/shellquote"
)

// maxPassword bounds what is read as a password; the account service knows how
// long one may be.
const maxPassword = 4096

// confirm makes sure that the operator means the thing named: by --yes NAME or,
// at a terminal, by typing the name.
func (a *app) confirm(what, name, yes string) error {
	switch {
	case yes == name:
		return nil
	case yes != "":
		return refuse("--yes names %q, not %q; nothing was changed", yes, name)
	case a.terminal() == nil:
		return refuse("this would %s; confirm it with --yes %s", what, shellquote.Quote(name))
	}
	fmt.Fprintf(a.err, "this will %s\ntype %s to confirm: ", what, name)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" {
		return refuse("not confirmed; nothing was changed")
	}
	if strings.TrimSpace(line) != name {
		return refuse("that is not %q; nothing was changed", name)
	}
	return nil
}

// terminal is standard input if a person sits there, else nil.
func (a *app) terminal() *os.File {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// password reads a new password: all of standard input with --password-stdin,
// or twice from a terminal.
func (a *app) password(c *cobra.Command, fromStdin bool) (string, error) {
	text, err := a.readPassword(c, fromStdin)
	if err == nil && account.WeakPassword(text) {
		a.say("warning: this password is one of those that are tried first")
	}
	return text, err
}

func (a *app) readPassword(c *cobra.Command, fromStdin bool) (string, error) {
	if fromStdin {
		data, err := io.ReadAll(io.LimitReader(a.in, maxPassword+1))
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if len(data) > maxPassword {
			return "", refuse("the password is longer than %d bytes", maxPassword)
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if strings.ContainsAny(text, "\r\n") {
			return "", refuse("the password has more than one line")
		}
		return text, nil
	}
	tty := a.terminal()
	if tty == nil {
		return "", usage(c, "give the password with --password-stdin")
	}
	first, err := a.hidden(tty, "new password: ")
	if err != nil {
		return "", err
	}
	second, err := a.hidden(tty, "the same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", refuse("the two are not the same; nothing was changed")
	}
	return first, nil
}

func (a *app) hidden(tty *os.File, prompt string) (string, error) {
	fmt.Fprint(a.err, prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}
