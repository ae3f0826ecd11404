// Package demo runs an identity provider with two sample service providers that show the
// assertions they received, a user to sign in as, and a page with the mail that was sent. The
// identity provider is the one that `serve` runs. The samples use samlsp of crewjam/saml and know
// only the identity provider's metadata.
//
// The command provides the folder, the configuration and the terminal.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/server"
	"vernal/idp/smtptest"
	"vernal/templates"
)

// shutdownTime is the time that a shutdown after Ctrl-C may take.
const shutdownTime = 500 * time.Millisecond

// Ports are the listeners of a demo.
type Ports struct {
	IdP     net.Listener
	Samples [2]net.Listener
	// Admin is for the admin pages, Mail takes mail and MailPage shows it.
	Admin, Mail, MailPage net.Listener
}

// Close closes the open listeners.
func (p *Ports) Close() {
	for _, l := range []net.Listener{p.IdP, p.Samples[0], p.Samples[1], p.Admin, p.Mail, p.MailPage} {
		if l != nil {
			_ = l.Close() // its server may have closed it before
		}
	}
}

// BaseURL returns the base URL of the listener, with a host name of loopback.
func BaseURL(host string, l net.Listener) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// Options are the options of Start. All fields are required.
type Options struct {
	// Server is the identity provider. Its mail goes to Ports.Mail.
	Server *server.Server
	Ports  *Ports
	// Commands answers the other commands, over the admin socket in Folder.
	Commands *admin.Endpoint
	Folder   string
}

// Demo is a running demo.
type Demo struct {
	Options
	User    *User
	Samples []*Sample

	ctx   context.Context
	stop  context.CancelFunc
	group *errgroup.Group
	pages *templates.Set
	mailbox   *smtptest.Server
}

// Start starts everything and returns once all of it answers. Close ends it.
func Start(ctx context.Context, o Options) (_ *Demo, err error) {
	d := &Demo{Options: o, mailbox: new(smtptest.Server)}
	ctx, d.stop = context.WithCancel(ctx)
	d.group, d.ctx = errgroup.WithContext(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.pages, err = templates.New(); err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	if d.User, err = openUser(d.ctx, o.Server.Installation); err != nil {
		return nil, err
	}
	d.serveMail()
	d.serveIdP()
	if err := d.serveSamples(); err != nil {
		return nil, err
	}
	socket, err := admin.Listen(d.ctx, o.Folder)
	if err != nil {
		return nil, err
	}
	d.group.Go(func() error { return o.Commands.Serve(d.ctx, socket) })
	return d, nil
}

// Done returns a channel that is closed when the demo ends.
func (d *Demo) Done() <-chan struct{} { return d.ctx.Done() }

// Close stops everything and waits for it. The error is the reason of an earlier
// stop.
func (d *Demo) Close() error {
	d.stop()
	return d.group.Wait()
}

// serveIdP runs the identity provider on the demo's listeners.
func (d *Demo) serveIdP() {
	srv := d.Server
	srv.Listener, srv.AdminListener, srv.Grace = d.Ports.IdP, d.Ports.Admin, shutdownTime
	d.group.Go(func() error {
		err := srv.Run(d.ctx)
		if d.ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			return nil // a browser holds a connection that it never used
		}
		return err
	})
}

// serveSamples makes the samples, registers them by their own metadata, and runs them. Each reads
// the identity provider's metadata: one the metadata of the year, the other that of all years.
func (d *Demo) serveSamples() error {
	d.Samples = make([]*Sample, len(sampleKinds))
	var group errgroup.Group // making keys takes a moment
	for i, kind := range sampleKinds {
		group.Go(func() (err error) {
			from := []string{d.YearMetadata(), d.BaseURL() + "/api/saml/metadata"}[i]
			d.Samples[i], err = newSample(d.ctx, d, kind, BaseURL(kind.host, d.Ports.Samples[i]), from)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, s := range d.Samples {
		s.other = d.Samples[1-i]
		if err := s.register(d.ctx, d.Server.Registry); err != nil {
			return err
		}
		d.serve(s.Name, d.Ports.Samples[i], s.handler())
	}
	return nil
}

// serve answers until the demo ends.
func (d *Demo) serve(what string, l net.Listener, handler http.Handler) {
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 256 << 10}
	context.AfterFunc(d.ctx, func() { _ = srv.Close() })
	d.group.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", what, err)
		}
		return nil
	})
}

// BaseURL returns the identity provider's base URL.
func (d *Demo) BaseURL() string { return d.Server.IdP.BaseURL }

// Year returns the preferred year, "" if none can sign.
func (d *Demo) Year() idp.Year {
	entry, _ := d.Server.Years.Preferred(d.Server.Clock.Now())
	return entry.Year()
}

// YearMetadata returns the metadata URL of the preferred year.
func (d *Demo) YearMetadata() string { return d.BaseURL() + "/api/saml/metadata" + string(d.Year()) }

// RotationURL returns the URL of the migration board.
func (d *Demo) RotationURL() string { return "http://" + d.Ports.Admin.Addr().String() + "/rotation" }

// MailURL returns the URL of the page with the mail.
func (d *Demo) MailURL() string { return "http://" + d.Ports.MailPage.Addr().String() + "/" }
