package main

// The rules of the command line:
//
//   - Standard output carries data, nothing else; all talk goes to standard
//     error. --json makes the data JSON, with the names of the records. What
//     would act on a terminal is filtered: see terminal.go.
//   - After a change a command says what changed, and what to do next.
//   - What destroys something wants the thing named (--yes NAME), never y or n.
//   - Errors are one line with the program's name in front, lower case, no full
//     stop; further lines are indented.
//   - Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused, 4 done, and something
//     needs attention.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin"
)

// Exit codes.
const (
	exitDone = iota
	exitError
	exitUsage
	exitRefused
	exitAttention
)

// app is what every command has: the standard streams, the environment and the
// flags that all share.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	// environ is the whole environment, to find misspelt variables; optional.
	environ []string
	clock   idp.Clock
	// lockWait is how long to wait for a store that is held while no server
	// answers.
	lockWait time.Duration
	// opened is handed what the server works with, before it listens; optional.
	opened func(context.Context, *deps)

	configFile string
	json       bool
}

// defaultApp is the program with the time of this machine.
func defaultApp(in io.Reader, out, errOut io.Writer) *app {
	return &app{in: in, out: out, err: errOut, getenv: os.Getenv, environ: os.Environ(), clock: time.Now, lockWait: lockWait}
}

// run is the whole program but for the process around it. SIGINT and SIGTERM
// end the context of the command; a second one ends the process.
func (a *app) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := a.rootCommand()
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

// rootCommand is the tree of commands.
func (a *app) rootCommand() *cobra.Command {
	a.filterOutput()
	root := &cobra.Command{
		Use:   "vernal",
		Short: "A SAML 2.0 identity provider whose signing certificate changes every spring",
		Long: `Vernal signs people in to service providers (SPs) by SAML 2.0. Its signing
certificate changes every spring; the old and the new one live side by side.

To begin:

    vernal init --base-url https://login.example.gov
    vernal sp add --metadata https://app.example.gov/saml/metadata
    vernal user add --email ana@example.gov --totp
    vernal serve`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "the configuration `FILE` (default vernal.yaml, if it is there)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(
		a.newDemoCommand(),
		a.initCommand(),
		a.serveCommand(),
		a.spCommand(),
		a.userCommand(),
		a.sessionCommand(),
		a.rotationCommand(),
		a.metadataCommand(),
		a.inspectCommand(),
		a.auditCommand(),
		a.errorsCommand(),
		a.rekeyCommand(),
		a.deployCommand(),
		a.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	strict(root)
	return root
}

// strict makes every wrong use an error of usage: an unknown flag or verb, a
// missing verb, a wrong number of arguments.
func strict(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%v", err) })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage(c, "%v", err)
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
				return usage(c, "a command is missing after %q", c.CommandPath())
			}
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				return usage(c, "unknown command %q; did you mean %s?", args[0], like[0])
			}
			return usage(c, "unknown command %q", args[0])
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// usageError is a command that was not understood.
type usageError struct{ text, command string }

func (e *usageError) Error() string { return e.text }

func usage(c *cobra.Command, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), command: c.CommandPath()}
}

// refusedError is a command that was understood and is not carried out.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

func refuse(format string, args ...any) error {
	return &refusedError{text: fmt.Sprintf(format, args...)}
}

// report prints the error of a command, if there is one, and gives the exit
// code.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	a.say("vernal: %s", errorText(err))
	a.saySuggestions(idp.SuggestionsOf(err))
	var wrong *usageError
	var refused *refusedError
	var remote *admin.Error
	var attention *attentionError
	var configErr *config.Error
	switch {
	case errors.As(err, &attention):
		return exitAttention
	case errors.As(err, &wrong):
		a.say("run '%s --help' for how to use it", wrong.command)
		return exitUsage
	case errors.As(err, &refused), errors.As(err, &configErr) && configErr.Refused:
		return exitRefused
	case errors.As(err, &remote) && (remote.Code == admin.CodeRefused || remote.Code == admin.CodeForbidden):
		return exitRefused
	}
	return exitError
}

// say writes a line of talk.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// printJSON writes data as JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(jsonWriter(a.out))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Config is the configuration of every command.
type Config = config.Config

// config reads the configuration.
func (a *app) config() (*Config, error) { return config.Load(a.configFile, a.getenv, a.environ...) }
