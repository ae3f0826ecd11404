package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"vernal/cmd/vernal/cli"
	"vernal/cmd/vernal/config"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/server"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the identity provider",
		Long: `Run the identity provider until SIGINT or SIGTERM; requests under way are
finished. The log goes to standard error. All other commands work while it runs.`,
		Example: `    vernal serve
    vernal serve --config /etc/vernal/vernal.yaml
    VERNAL_LOG_FORMAT=json vernal serve`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			return a.serve(c.Context(), cfg)
		},
	}
}

// serve runs the server and the admin socket until ctx ends or one of them fails. It opens
// the store first, because the store's lock keeps a second server away. The socket answers
// only once the server does, so a command that reaches it knows that the server is up.
func (a *app) serve(ctx context.Context, c *Config) (err error) {
	log := newLogger(c, a)
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(server.GCPercent)
	}
	owner, known := config.OwnerOf(c.DataDir)
	if known && owner != os.Geteuid() {
		return cli.Refuse("%s belongs to uid %d, you are uid %d: run the server as that user", c.DataDir, owner, os.Geteuid())
	}
	if conn, err := admin.Dial(ctx, c.DataDir); err == nil {
		conn.Close()
		return fmt.Errorf("a server is running in %s already", c.DataDir)
	}
	d, err := openDeps(c, log, a.Clock, a.Getenv, a.lockWait, false)
	if errors.Is(err, idp.ErrLocked) {
		return fmt.Errorf("another process holds the store in %s; is a server starting there, or hanging?", c.DataDir)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	srv, err := d.server()
	if err != nil {
		return err
	}
	socket, err := admin.Listen(ctx, c.DataDir)
	if err != nil {
		return err
	}
	defer socket.Close()
	d.Rekey.Resume()
	if a.onOpen != nil {
		a.onOpen(ctx, d)
	}

	group, ctx := errgroup.WithContext(ctx)
	srv.Ready = func(addr net.Addr) {
		log.Info("serving", "address", addr.String(), "base_url", c.BaseURL, "data_dir", c.DataDir)
		group.Go(func() error { return d.service(addr.String()).Endpoint(owner).Serve(ctx, socket) })
		group.Go(func() error {
			a.prepareAccounts(ctx, d)
			return nil
		})
	}
	group.Go(func() error { return srv.Run(ctx) })
	err = group.Wait()
	log.Info("stopped")
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w\n  end what listens on %s, or set listen (%s) to another port", err, c.Listen, c.Origin("listen"))
	}
	return err
}

// prepareDelay leaves the processor to the first requests. A sign-in that comes sooner measures
// the hashes itself.
const prepareDelay = time.Second

// prepareAccounts measures password hashes while the server already answers, and then limits
// the memory that hashes take.
func (a *app) prepareAccounts(ctx context.Context, d *deps) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(prepareDelay):
	}
	if err := d.Accounts.Prepare(ctx); err != nil && ctx.Err() == nil {
		d.Log.Warn("password hashes are not measured yet; the first sign-in does it", "error", err.Error())
	}
	debug.FreeOSMemory() // the memory of the hashes
	if a.Getenv("GOMEMLIMIT") == "" {
		server.LimitMemory(ctx, d.Accounts.Hasher.PeakMemory)
	}
}

// server builds the identity provider of an opened installation for `serve` and `demo`, which
// differ only in their listeners. It returns an error if the installation cannot serve.
func (d *deps) server() (*server.Server, error) {
	c := d.config
	if d.signErr != nil {
		return nil, &startError{code: codeNoSigner, err: fmt.Errorf("nothing can be served: %w", d.signErr)}
	}
	if err := d.checkToken(); err != nil {
		return nil, err
	}
	if err := c.CheckBackupDir(); errors.Is(err, config.ErrBackupDir) {
		d.Log.Error(err.Error()) // it may be mounted later, and a missing disk must not stop sign-ins
	} else if err != nil {
		return nil, err
	}
	if d.mailErr != nil {
		return nil, d.mailErr
	}
	tlsConfig, err := loadTLS(c)
	if err != nil {
		return nil, err
	}
	return &server.Server{
		Installation:   d.Installation,
		Listen:         c.Listen,
		AdminListen:    c.AdminListen,
		AdminURL:       c.AdminURL,
		TLS:            tlsConfig,
		TrustedProxies: c.Proxies(),
		Idle:           c.Session.Idle,
		Absolute:       c.Session.Absolute,
		Version:        currentVersion().Version,
		Doctor:         d.doctor,
		AdminReady:     func(addr net.Addr) { d.adminAddr = addr.String() },
	}, nil
}

// loadTLS loads the certificate for TLS; nil if a proxy ends TLS.
func loadTLS(c *Config) (*tls.Config, error) {
	if c.TLS.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("load tls.cert and tls.key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// newLogger makes the server's log.
func newLogger(c *Config, a *app) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // checked with the configuration
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(cli.NewJSONWriter(a.Err), o))
	}
	return slog.New(slog.NewTextHandler(a.Err, o))
}
