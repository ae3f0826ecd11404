package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rotation"
	"vernal/idp/sp"
	"vernal/idp/suggest"
)

// Exit codes.
const (
	ExitDone = iota
	ExitError
	ExitUsage
	ExitRefused
	ExitAttention
)

// exitError is an error that names its exit code. Errors of other packages may have the method
// too.
type exitError interface {
	error
	ExitCode() int
}

// ErrorWithCode is an error with a code of its own for --json.
type ErrorWithCode interface {
	error
	ReportedCode() admin.Code
}

// Usage returns the error of a command that was not understood.
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
	// command is the path of the command that was not understood, "" for other errors.
	command string
}

func (e *codedError) Error() string { return e.text }
func (e *codedError) ExitCode() int { return e.code }

// Refuse returns the error of a command that was understood but not carried out.
func Refuse(format string, args ...any) error {
	return &codedError{text: fmt.Sprintf(format, args...), code: ExitRefused}
}

// IsRefusal reports whether err was made by Refuse.
func IsRefusal(err error) bool {
	var e *codedError
	return errors.As(err, &e) && e.code == ExitRefused
}

// AttentionDue returns the error of a command that did its work and found n things that need
// attention, nil for none.
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

// Report prints the error of a command, if there is one, and returns the exit code. With
// --json the error is the last line of standard error, as one JSON object.
func (a *App) Report(err error) int {
	if err == nil {
		return ExitDone
	}
	var wrong *codedError
	help := ""
	if errors.As(err, &wrong) && wrong.command != "" {
		help = wrong.command + " --help"
	}
	if a.JSON {
		a.reportJSON(err, help)
		return exitCode(err)
	}
	a.Say("vernal: %s", errorText(err))
	a.SaySuggestions(idp.FindSuggestions(err))
	if help != "" {
		a.Say("run '%s' for how to use it", help)
	}
	return exitCode(err)
}

// exitCode returns the exit code that goes with an error.
func exitCode(err error) int {
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

// The codes of errors that no operation of the installation made, by exit code.
const (
	codeError     admin.Code = "error"
	codeUsage     admin.Code = "usage"
	codeAttention admin.Code = "attention"
)

// ReportedError is an error as --json prints it.
type ReportedError struct {
	// Code is the code of an admin.Error or a Coded, or "usage", "attention" or "error".
	Code    admin.Code `json:"code"`
	Message string     `json:"message"`
	// Reason is the reason code of a refused rotation step.
	Reason      rotation.ReasonCode `json:"reason,omitempty"`
	Problems    []sp.Problem        `json:"problems,omitempty"`
	Permissions []sp.Permission     `json:"permissions,omitempty"`
	Suggestions []ReportedAdvice    `json:"suggestions,omitempty"`
}

// ReportedAdvice is a suggestion with the line to type.
type ReportedAdvice struct {
	idp.Suggestion
	Command string `json:"command"`
}

func (a *App) reportJSON(err error, help string) {
	r := ReportedError{Code: codeError, Message: err.Error()}
	var remote *admin.Error
	var coded ErrorWithCode
	switch {
	case errors.As(err, &remote):
		r.Code, r.Message, r.Problems, r.Permissions = remote.Code, remote.Message, remote.Problems, remote.Permissions
		if remote.Reason != nil {
			r.Reason = remote.Reason.Code
		}
	case errors.As(err, &coded):
		r.Code = coded.ReportedCode()
	default:
		switch exitCode(err) {
		case ExitUsage:
			r.Code = codeUsage
		case ExitRefused:
			r.Code = admin.CodeRefused
		case ExitAttention:
			r.Code = codeAttention
		}
	}
	for _, s := range idp.FindSuggestions(err) {
		r.Suggestions = append(r.Suggestions, ReportedAdvice{s, a.CommandLine(s)})
	}
	if help != "" {
		r.Suggestions = append(r.Suggestions, ReportedAdvice{idp.Suggestion{Do: "help"}, help})
	}
	enc := json.NewEncoder(NewJSONWriter(a.Err))
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]ReportedError{"error": r}) // a failed write cannot be reported
}

// Strict makes every wrong use of c and its subcommands an error of usage: an unknown flag
// or verb, a missing verb, a wrong number of arguments.
func Strict(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return Usage(c, "%s", flagErrorText(c, err)) })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return argsError(c, args, err)
			}
			return nil
		}
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = cobra.ArbitraryArgs
		c.DisableFlagsInUseLine = true
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				c.SetOut(c.ErrOrStderr())
				_ = c.Help()
				return Usage(c, "a command is missing after %q", c.CommandPath())
			}
			if near := nearestCommand(c, args[0]); near != "" {
				return Usage(c, "unknown command %q; did you mean %s?", args[0], near)
			}
			return Usage(c, "unknown command %q", args[0])
		}
	}
	for _, sub := range c.Commands() {
		Strict(sub)
	}
}

// nearestCommand returns the subcommand that a word was probably meant to be, or "".
func nearestCommand(c *cobra.Command, word string) string {
	var names []string
	for _, sub := range visibleCommands(c) {
		names = append(names, sub.Name())
		if strings.HasPrefix(sub.Name(), strings.ToLower(word)) {
			return sub.Name()
		}
	}
	return suggest.Nearest(word, names, max(len(word)/2, 1))
}

// flagErrorText suggests the flag that an unknown one was probably meant to be.
func flagErrorText(c *cobra.Command, err error) string {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return err.Error()
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := suggest.Nearest(name, names, len(name)/3); near != "" {
		return fmt.Sprintf("%v; did you mean --%s?", err, near)
	}
	return err.Error()
}

// argsError names the missing argument, or the first superfluous one.
func argsError(c *cobra.Command, args []string, err error) error {
	required, most := parseArguments(c)
	switch {
	case len(args) < len(required):
		return Usage(c, "%s is required: %s %s", required[len(args)], c.CommandPath(), strings.Join(required, " "))
	case len(args) > most:
		return Usage(c, "unexpected argument %q: %s", args[most], UsageLine(c))
	}
	return Usage(c, "%v", err)
}

// parseArguments returns the required arguments and the maximum number of arguments, from a command's
// usage.
func parseArguments(c *cobra.Command) (required []string, most int) {
	for _, word := range strings.Fields(c.Use)[1:] {
		switch {
		case strings.HasPrefix(word, "-"), strings.HasPrefix(word, "("), strings.HasPrefix(word, "[-"):
			return required, most
		case strings.HasPrefix(word, "["):
		case len(required) == most:
			required = append(required, word)
		}
		most++
	}
	return required, most
}
