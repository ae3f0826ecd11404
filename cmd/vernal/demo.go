package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/cmd/vernal/demo"
	"vernal/idp"
)

// demoListen is the listen address of the demo's identity provider, the same as in the
// default base_url.
const demoListen = "127.0.0.1:8080"

// demoLockWait is how long a demo waits for an earlier one to end.
const demoLockWait = time.Second

// demoOperator receives the demo's notices.
const demoOperator = "operator@demo.example"

func (a *app) newDemoCommand() *cobra.Command {
	o := demoOptions{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Try it: an identity provider, two sample service providers and a user to sign in as",
		Long: `Try Vernal with one command: an identity provider, two sample service providers,
a user with password and authenticator, and a page of the mail it sends. It prints
what to open and what to type. Everything is kept in a folder that goes away at the end, unless --data-dir
names one; the demo started again with that folder knows the same user by the
same names.

The samples have host names of their own, a.localhost and b.localhost, so that
browsers treat them as other sites. Browsers resolve such names. If one does not,
add them to the hosts file as 127.0.0.1.`,
		Example: `    vernal demo
    vernal demo --data-dir demo-data
    vernal demo --listen 127.0.0.1:9080    # samples on 9081 and 9082`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), o) },
	}
	c.Flags().StringVar(&o.listen, "listen", demoListen, "the `HOST:PORT` to listen on; the samples take the two ports that follow")
	c.Flags().StringVar(&o.dataDir, "data-dir", "", "keep everything in this `FOLDER`")
	return c
}

type demoOptions struct {
	// listen is HOST:PORT. With port 0 each of the three takes a free one.
	listen string
	// dataDir is kept; "" means a folder that is removed at the end.
	dataDir string
}

// demo runs the demo until ctx ends.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	if !signal.Ignored(syscall.SIGHUP) { // the window was closed: tidy up, too
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	ports, err := listenDemo(o.listen)
	if err != nil {
		return err
	}
	return a.runDemo(ctx, ports, o.dataDir)
}

// runDemo runs the demo on listeners, which it closes, and in a folder, which is
// made if it is missing; "" means one that is removed at the end.
func (a *app) runDemo(ctx context.Context, ports *demo.Ports, dir string) (err error) {
	defer ports.Close()
	scratch := dir == ""
	if scratch {
		if dir, err = os.MkdirTemp("", "vernal-demo-"); err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	c, err := a.demoFolder(dir, ports)
	if err != nil {
		return err
	}
	// The log goes to a file, so that the terminal stays readable.
	log, err := os.OpenFile(demoLogPath(c), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	d, err := openDeps(c, slog.New(slog.NewTextHandler(log, nil)), a.Clock, getNoEnv, demoLockWait, true)
	if errors.Is(err, idp.ErrLocked) {
		return cli.Refuse("%s is in use; does another demo run there?", dir)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	srv, err := d.server()
	if err != nil {
		return err
	}
	running, err := demo.Start(ctx, demo.Options{
		Server: srv, Ports: ports, Commands: d.service(ports.IdP.Addr().String()).Endpoint(os.Geteuid()), Folder: c.DataDir,
	})
	if errors.Is(err, demo.ErrNoAuthenticator) {
		return cli.Refuse("%v; start the demo with a new folder", err)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	if !config.IsLoopbackListener(c.Listen) {
		a.Say("vernal: %s is not a loopback IP address: others on your network can sign in to the demo", c.Listen)
	}
	if err := a.printDemo(running, c, scratch); err != nil {
		return err
	}
	a.showCodes(running)
	return nil
}

// demoLogPath returns the path of the demo's log.
func demoLogPath(c *Config) string { return filepath.Join(c.DataDir, "demo.log") }
