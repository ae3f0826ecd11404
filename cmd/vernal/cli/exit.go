package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vernal/idp"
	"vernal/idp/admin"
)

// Exit codes.
const (
	ExitDone = iota
	ExitError
	ExitUsage
	ExitRefused
	ExitAttention
)

// exitError is an error that names its exit code; errors of other packages may have the
// method too.
type exitError interface {
	error
	ExitCode() int
}

// Usage is the error of a command that was not understood.
func Usage(c *cobra.Command, format string, args ...any) error {
	return UsageOf(c.CommandPath(), format, args...)
}

// UsageOf is Usage for the command with the given path.
func UsageOf(command, format string, args ...any) error {
	return &codedError{text: fmt.Sprintf(format, args...), code: ExitUsage, command: command}
}

// codedError is an error with its exit code.
type codedError struct {
	text string
	code int
	// command is the path of one that was not understood; "" for other errors.
	command string
}

func (e *codedError) Error() string { return e.text }
func (e *codedError) ExitCode() int { return e.code }

// Refuse is the error of a command that was understood and is not carried out.
func Refuse(format string, args ...any) error {
	return &codedError{text: fmt.Sprintf(format, args...), code: ExitRefused}
}

// IsRefusal reports whether err was made by Refuse.
func IsRefusal(err error) bool {
	var e *codedError
	return errors.As(err, &e) && e.code == ExitRefused
}

// AttentionDue is the error of a command that did its work and found n things that need
// attention; nil for none.
func AttentionDue(n int) error {
	text := fmt.Sprintf("%d things need attention", n)
	switch n {
	case 0:
		return nil
	case 1:
		text = "1 thing needs attention"
	}
	return &codedError{text: text, code: ExitAttention}
}

// Report prints the error of a command, if there is one, and returns the exit code.
func (a *App) Report(err error) int {
	if err == nil {
		return ExitDone
	}
	a.Say("vernal: %s", errorText(err))
	a.SaySuggestions(idp.SuggestionsOf(err))
	var wrong *codedError
	if errors.As(err, &wrong) && wrong.command != "" {
		a.Say("run '%s --help' for how to use it", wrong.command)
	}
	var coded exitError
	var remote *admin.Error
	switch {
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.As(err, &remote) && (remote.Code == admin.CodeRefused || remote.Code == admin.CodeForbidden):
		return ExitRefused
	}
	return ExitError
}

// Strict makes every wrong use of c and its subcommands an error of usage: an unknown flag
// or verb, a missing verb, a wrong number of arguments.
func Strict(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return Usage(c, "%v", err) })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return Usage(c, "%v", err)
			}
			return nil
		}
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = cobra.ArbitraryArgs
		c.SuggestionsMinimumDistance = 2
		c.DisableFlagsInUseLine = true
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				c.SetOut(c.ErrOrStderr())
				_ = c.Help()
				return Usage(c, "a command is missing after %q", c.CommandPath())
			}
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				return Usage(c, "unknown command %q; did you mean %s?", args[0], like[0])
			}
			return Usage(c, "unknown command %q", args[0])
		}
	}
	for _, sub := range c.Commands() {
		Strict(sub)
	}
}
