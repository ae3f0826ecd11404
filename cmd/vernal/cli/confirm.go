package cli

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

// maxPassword bounds the bytes read as a password. The account service checks the real
// limit.
const maxPassword = 4096

// Confirm makes sure that the operator means the thing named: by --yes NAME or,
// at a terminal, by typing the name.
func (a *App) Confirm(what, name, yes string) error {
	switch {
	case yes == name:
		return nil
	case yes != "":
		return Refuse("--yes names %q, not %q; nothing was changed", yes, name)
	case a.Terminal() == nil:
		return Refuse("this would %s; confirm it with --yes %s", what, shellquote.Quote(name))
	}
	fmt.Fprintf(a.Err, "this will %s\ntype %s to confirm: ", what, name)
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && line == "" {
		return Refuse("not confirmed; nothing was changed")
	}
	if strings.TrimSpace(line) != name {
		return Refuse("that is not %q; nothing was changed", name)
	}
	return nil
}

// Terminal returns standard input if it is a terminal, and nil otherwise.
func (a *App) Terminal() *os.File {
	f, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// Password reads a new password: all of standard input with --password-stdin,
// or twice from a terminal.
func (a *App) Password(c *cobra.Command, fromStdin bool) (string, error) {
	text, err := a.readPassword(c, fromStdin)
	if err == nil && account.IsWeakPassword(text) {
		a.Say("warning: this password is one of those that are tried first")
	}
	return text, err
}

func (a *App) readPassword(c *cobra.Command, fromStdin bool) (string, error) {
	if fromStdin {
		data, err := io.ReadAll(io.LimitReader(a.In, maxPassword+1))
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if len(data) > maxPassword {
			return "", Refuse("the password is longer than %d bytes", maxPassword)
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if strings.ContainsAny(text, "\r\n") {
			return "", Refuse("the password has more than one line")
		}
		return text, nil
	}
	tty := a.Terminal()
	if tty == nil {
		return "", Usage(c, "give the password with --password-stdin")
	}
	first, err := a.readHidden(tty, "new password: ")
	if err != nil {
		return "", err
	}
	second, err := a.readHidden(tty, "the same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", Refuse("the two are not the same; nothing was changed")
	}
	return first, nil
}

func (a *App) readHidden(tty *os.File, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.Err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}
