package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/templates"
)

// demoListen is where the demo's identity provider listens, as base_url is by
// default.
const demoListen = "127.0.0.1:8080"

// demoLockWait is how long a demo waits for one that is about to end.
const demoLockWait = time.Second

// demoGrace is how long Ctrl-C may take.
const demoGrace = 500 * time.Millisecond

func (a *app) newDemoCommand() *cobra.Command {
	o := demoOptions{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Try it: an identity provider, two sample service providers and a person to sign in as",
		Long: `Try Vernal with one command: an identity provider, two sample service providers,
a person with password and authenticator, and a page of the mail it sends. It prints what to open and what to
type. Everything is kept in a folder that goes away at the end, unless --data-dir
names one; the demo started again with that folder knows the same person by the
same names.

The samples stand on hosts of their own, a.localhost and b.localhost, so that to
a browser they are other sites, as in life. Browsers find such names by
themselves; where one does not, add them to the hosts file as 127.0.0.1.`,
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
	// dataDir is kept; "" stands for a folder that goes away at the end.
	dataDir string
}

// demo runs the demo until ctx ends.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	if !signal.Ignored(syscall.SIGHUP) { // the window was closed: tidy up, too
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	if o.dataDir == "" {
		dir, err := os.MkdirTemp("", "vernal-demo-")
		if err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
		d, err := a.startDemo(ctx, o.listen, dir)
		if err != nil {
			return err
		}
		d.scratch = true
		return a.showDemo(ctx, d)
	}
	d, err := a.startDemo(ctx, o.listen, o.dataDir)
	if err != nil {
		return err
	}
	return a.showDemo(ctx, d)
}

// showDemo prints what there is to see and waits for the end.
func (a *app) showDemo(ctx context.Context, d *demo) error {
	if !config.IsLoopbackListener(d.deps.config.Listen) {
		a.say("vernal: %s is no loopback address: others on your network can sign in to the demo", d.deps.config.Listen)
	}
	if err := a.printDemo(d); err != nil {
		return errors.Join(err, d.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		<-d.done
		stop()
	}()
	a.showCodes(ctx, d)
	return d.Close()
}

// demo is a running demo: the identity provider of the folder, and the samples.
type demo struct {
	deps    *deps
	person  *demoPerson
	samples []*sample
	log     string // the file
	scratch bool   // the folder goes away

	stop  context.CancelFunc
	done  chan struct{} // closed when everything has stopped
	group *errgroup.Group
	close []io.Closer // in order
	watch net.Listener
	mail  *demoMail
}

// startDemo starts everything in the folder, which is made if it is not there.
// It returns once all of it answers; Close ends it.
func (a *app) startDemo(ctx context.Context, listen, dir string) (*demo, error) {
	ports, err := listenDemo(listen)
	if err != nil {
		return nil, err
	}
	return a.startDemoAt(ctx, ports, dir)
}

// startDemoAt is startDemo on listeners, which are the demo's from then on.
func (a *app) startDemoAt(ctx context.Context, ports []net.Listener, dir string) (_ *demo, err error) {
	d := &demo{done: make(chan struct{})}
	ctx, d.stop = context.WithCancel(ctx)
	d.group, ctx = errgroup.WithContext(ctx)
	for _, l := range ports {
		d.close = append(d.close, quietly(l))
	}
	defer func() {
		if err != nil {
			close(d.done)
			err = errors.Join(err, d.Close())
		}
	}()
	if err := errors.Join(d.listenAdmin(), d.listenMail()); err != nil {
		return nil, err
	}
	c, err := a.demoFolder(dir, demoBaseURL("localhost", ports[0]), ports[0].Addr().String(), d.watch.Addr().String(), d.mail.mail.Addr().String())
	if err != nil {
		return nil, err
	}
	log, err := d.openLog(c)
	if err != nil {
		return nil, err
	}
	if d.deps, err = beginDeps(c, log, a.clock, noEnv, demoLockWait); errors.Is(err, idp.ErrLocked) {
		return nil, refuse("%s is in use; does another demo run there?", dir)
	} else if err != nil {
		return nil, err
	}
	d.close = append([]io.Closer{d.deps}, d.close...)
	if d.deps.unable != nil {
		return nil, fmt.Errorf("nothing can be served: %w", d.deps.unable)
	}
	if d.person, err = openDemoPerson(ctx, d.deps); err != nil {
		return nil, err
	}
	pages, err := templates.New()
	if err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	d.serveMail(ctx, pages)
	if err := d.serveIdP(ctx, ports[0]); err != nil {
		return nil, err
	}
	if err := d.serveSamples(ctx, pages, ports[1:]); err != nil {
		return nil, err
	}
	if err := d.serveCommands(ctx, ports[0].Addr().String()); err != nil {
		return nil, err
	}
	go func() {
		_ = d.group.Wait()
		close(d.done)
	}()
	return d, nil
}

// listenAdmin takes a free port for the admin listener.
func (d *demo) listenAdmin() (err error) {
	if d.watch, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("listen for the admin pages: %w", err)
	}
	d.close = append(d.close, quietly(d.watch))
	return nil
}

// listenMail takes free ports for the mail and for its page.
func (d *demo) listenMail() (err error) {
	if d.mail, err = openDemoMail(); err != nil {
		return err
	}
	d.close = append(d.close, d.mail)
	return nil
}

// Close stops everything and waits for it. The error is why something stopped
// before.
func (d *demo) Close() error {
	d.stop()
	err := d.group.Wait()
	<-d.done
	for _, c := range d.close {
		err = errors.Join(err, c.Close())
	}
	return err
}

// serveIdP runs the identity provider: the one that `serve` runs, on the demo's
// listeners.
func (d *demo) serveIdP(ctx context.Context, l net.Listener) error {
	srv, err := d.deps.server(ctx)
	if err != nil {
		return err
	}
	srv.Listener, srv.AdminListener, srv.Grace = l, d.watch, demoGrace
	srv.AdminReady = nil // the configuration names the port already
	d.group.Go(func() error {
		err := srv.Run(ctx)
		if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			return nil // a browser holds a connection that it never used
		}
		return err
	})
	return nil
}

// serveCommands answers the other commands over the folder's admin socket.
func (d *demo) serveCommands(ctx context.Context, address string) error {
	socket, err := admin.Listen(ctx, d.deps.config.DataDir)
	if err != nil {
		return err
	}
	d.group.Go(func() error { return d.deps.service(os.Geteuid(), address).Serve(ctx, socket) })
	return nil
}

// serveSamples makes the two samples, registers them by their own metadata, and
// runs them.
func (d *demo) serveSamples(ctx context.Context, pages *templates.Set, ports []net.Listener) (err error) {
	if d.samples, err = newSamples(ctx, d, pages, ports); err != nil {
		return err
	}
	for i, s := range d.samples {
		if err := s.register(ctx, d.deps.registry); err != nil {
			return err
		}
		d.group.Go(func() error { return s.serve(ctx, ports[i]) })
	}
	return nil
}

// year is the preferred year; "" if none can sign.
func (d *demo) year() idp.Year {
	entry, _ := d.deps.ring.Preferred(d.deps.clock.Now())
	return entry.Year()
}

// yearMetadata is the address of its metadata.
func (d *demo) yearMetadata() string {
	return d.deps.config.BaseURL + "/api/saml/metadata" + string(d.year())
}

// rotationURL is the board on the admin listener.
func (d *demo) rotationURL() string { return "http://" + d.watch.Addr().String() + "/rotation" }

// openLog sends the log to a file, so that the terminal stays readable.
func (d *demo) openLog(c *Config) (*slog.Logger, error) {
	d.log = filepath.Join(c.DataDir, "demo.log")
	f, err := os.OpenFile(d.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	d.close = append(d.close, f)
	return slog.New(slog.NewTextHandler(f, nil)), nil
}

// quietly closes a listener that its server may have closed before.
func quietly(l net.Listener) io.Closer { return closer(func() error { _ = l.Close(); return nil }) }

type closer func() error

func (c closer) Close() error { return c() }
