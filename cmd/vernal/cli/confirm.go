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

// Confirm makes sure that the operator means the named object: by --yes NAME or,
// at a terminal, by typing the name.
func (a *App) Confirm(effect, name, yes string) error {
	switch {
	case yes == name:
		return nil
	case yes != "":
		return Refuse("nothing was changed, because --yes is %q and not %q", yes, name)
	case a.Terminal() == nil:
		return Refuse("this would %s: confirm it with --yes %s", effect, shellquote.Quote(name))
	}
	fmt.Fprintf(a.Err, "this will %s\ntype %s to confirm: ", effect, name)
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && line == "" {
		return Refuse("nothing was changed, because it was not confirmed")
	}
	if strings.TrimSpace(line) != name {
		return Refuse("nothing was changed, because the answer is not %q", name)
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
		a.Say("warning: this is one of the passwords that attackers try first")
	}
	return text, err
}

func (a *App) readPassword(c *cobra.Command, fromStdin bool) (string, error) {
	if fromStdin {
		return a.readSecretLine("password")
	}
	tty := a.Terminal()
	if tty == nil {
		return "", Usage(c, "give the password with --password-stdin")
	}
	return a.readTwice(tty, "new password: ")
}

// Passphrase reads a passphrase: all of standard input, or from a terminal, twice if it is new.
func (a *App) Passphrase(c *cobra.Command, fromStdin, isNew bool) (string, error) {
	tty := a.Terminal()
	switch {
	case fromStdin:
		return a.readSecretLine("passphrase")
	case tty == nil:
		return "", Usage(c, "give the passphrase with --passphrase-file or --passphrase-stdin")
	case isNew:
		return a.readTwice(tty, "new passphrase: ")
	}
	return a.readHidden(tty, "passphrase: ")
}

// readSecretLine reads all of standard input, which must be one line.
func (a *App) readSecretLine(secretName string) (string, error) {
	data, err := io.ReadAll(io.LimitReader(a.In, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", secretName, err)
	}
	if len(data) > maxPassword {
		return "", Refuse("the %s is longer than %d bytes", secretName, maxPassword)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if strings.ContainsAny(text, "\r\n") {
		return "", Refuse("the %s has more than one line", secretName)
	}
	return text, nil
}

// readTwice reads a new secret from a terminal.
func (a *App) readTwice(tty *os.File, prompt string) (string, error) {
	first, err := a.readHidden(tty, prompt)
	if err != nil {
		return "", err
	}
	second, err := a.readHidden(tty, "repeat it: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", Refuse("nothing was changed, because the two entries differ")
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
