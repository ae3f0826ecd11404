package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/audit"
	"vernal/cmd/vernal/backup"
	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/cmd/vernal/deploy"
	"vernal/cmd/vernal/doctor"
	"vernal/cmd/vernal/inspect"
	"vernal/cmd/vernal/metadata"
	"vernal/cmd/vernal/rotation"
	"vernal/cmd/vernal/session"
	"vernal/cmd/vernal/sp"
	"vernal/cmd/vernal/user"
	"vernal/idp"
	"vernal/idp/outbound"
	ourmetadata "vernal/metadata"
)

// app is the program: the parts that all commands share, and those that only this package needs.
type app struct {
	*cli.App
	// environ is the whole environment, to find misspelt variables; optional.
	environ []string
	// lockWait is how long to wait for a locked store while no server answers.
	lockWait time.Duration
	// onOpen is called with the installation before the server listens; optional.
	onOpen func(context.Context, *deps)
}

// newProgram returns the program on the given streams.
func newProgram(in io.Reader, out, errOut io.Writer, getenv func(string) string, clock idp.Clock) *app {
	a := &app{
		App:      &cli.App{In: in, Out: out, Err: errOut, Getenv: getenv, Clock: clock, CommandLine: commandLine},
		lockWait: lockWait,
	}
	a.Connect, a.Outbound = a.connect, a.outboundClient
	return a
}

// defaultApp returns the program with the environment and time of this machine.
func defaultApp(in io.Reader, out, errOut io.Writer) *app {
	a := newProgram(in, out, errOut, os.Getenv, time.Now)
	a.environ = os.Environ()
	return a
}

// commandTree is the tree of commands that suggestions are looked up in.
var commandTree cli.Tree

// commandLine renders a suggestion as a line to type.
func commandLine(s idp.Suggestion) string { return commandTree.Line(newCommandTree, s) }

func newCommandTree() *cobra.Command {
	return newProgram(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" }, time.Now).rootCommand()
}

// run runs the program and returns its exit code. SIGINT and SIGTERM end the context of the
// command. A second signal ends the process.
func (a *app) run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	return a.execute(ctx, args)
}

// execute runs one command.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.JSON { // a wrong option ends parsing before --json is read
		a.JSON = slices.Contains(args, "--json")
	}
	a.Close()
	return a.Report(err)
}

// rootCommand returns the tree of commands.
func (a *app) rootCommand() *cobra.Command {
	a.FilterOutput()
	root := &cobra.Command{
		Use:   "vernal",
		Short: "A SAML 2.0 identity provider whose signing certificate changes every spring",
		Long: `Vernal signs users in to service providers (SPs) by SAML 2.0. Its
signing certificate changes every spring; the old and the new one are valid side
by side.

Data goes to standard output, everything else to standard error. With --json an
error is one JSON object on the last line of standard error. Exit codes: 0 done,
1 error, 2 wrong usage, 3 refused, 4 done and something needs attention.`,
		Example: `    vernal demo
    vernal init --base-url https://login.example.gov
    vernal sp add --metadata https://app.example.gov/saml/metadata
    vernal user add --email ana@example.gov --totp
    vernal serve`,
		Version:       currentVersion().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.PersistentFlags().StringVar(&a.ConfigFile, "config", "", "use this configuration `FILE` (default vernal.yaml, if it exists)")
	root.PersistentFlags().BoolVar(&a.JSON, "json", false, "print data and errors as JSON")
	root.AddCommand(
		a.newDemoCommand(),
		a.initCommand(),
		a.serveCommand(),
		sp.Command(a.App),
		user.Command(a.App),
		session.Command(a.App),
		rotation.Command(a.App),
		metadata.Command(a.App),
		inspect.Command(a.App, a.ourMetadata),
		audit.Command(a.App),
		audit.ErrorsCommand(a.App),
		backup.Command(a.App),
		backup.RestoreCommand(a.App, a.restoreHost()),
		a.rekeyCommand(),
		doctor.Command(a.App),
		deploy.Command(a.App),
		a.manCommand(),
		a.versionCommand(),
	)
	root.SetHelpCommand(a.helpCommand())
	root.InitDefaultCompletionCmd()
	root.InitDefaultVersionFlag()
	root.Flags().Lookup("version").Usage = "print the version"
	cli.SetHelp(root)
	cli.SetCompletionHelp(root)
	cli.Strict(root)
	return root
}

// Config is the configuration of every command.
type Config = config.Config

// config reads the configuration.
func (a *app) config() (*Config, error) { return config.Load(a.ConfigFile, a.Getenv, a.environ...) }

// outboundClient returns the client for URLs of commands.
func (a *app) outboundClient() (*outbound.Client, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	return c.OutboundClient(), nil
}

// ourMetadata returns our metadata as configured.
func (a *app) ourMetadata() (ourmetadata.IdP, error) {
	c, err := a.config()
	if err != nil {
		return ourmetadata.IdP{}, err
	}
	return metadataIdP(c), nil
}
