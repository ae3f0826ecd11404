// Package server wires Vernal together: it builds the handlers, mounts their routes in one
// list, listens, runs the background jobs and shuts down.
//
// It decides nothing about SAML or sign-ins. The services come from an Installation. The
// command supplies listeners and lifetimes.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/accounthttp"
	"vernal/idp/adminhttp"
	"vernal/idp/authn"
	"vernal/idp/developers"
	"vernal/idp/discovery"
	"vernal/idp/doctor"
	"vernal/idp/guide"
	"vernal/idp/installation"
	"vernal/idp/journey"
	"vernal/idp/logout"
	"vernal/idp/recovery"
	"vernal/idp/session"
	"vernal/idp/signing"
	"vernal/idp/signup"
	"vernal/idp/sso"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
	"vernal/templates"
)

// Server is an identity provider that is ready to run: the services of an installation, and
// how to reach them.
type Server struct {
	*installation.Installation
	// Listen is the listen address (HOST:PORT) of the public listener.
	Listen string
	// Listener replaces Listen for a caller that needs to know its port in advance;
	// optional.
	Listener net.Listener
	// AdminListen is the listen address of the admin listener, on loopback; "" for none.
	// AdminListener replaces it, like Listener does.
	AdminListen   string
	AdminListener net.Listener
	// AdminRetry is how often to retry an AdminListen that is in use; 30 seconds if zero.
	AdminRetry time.Duration
	// AdminURL is the base URL under which a proxy forwards the secret URLs of the admin
	// listener; optional.
	AdminURL string
	// TLS is set if the server terminates TLS itself; nil behind a proxy.
	TLS *tls.Config
	// TrustedProxies are the peers whose X-Forwarded-For is trusted; optional.
	TrustedProxies []netip.Prefix
	// Idle and Absolute are the lifetimes of a session.
	Idle, Absolute time.Duration
	// CodeTime is how long users have for the second factor before they must ask
	// for more time; session.PendingLifetime if zero.
	CodeTime time.Duration
	// Grace is how long requests in progress may take after shutdown begins; 20 seconds if
	// zero. After that, Run returns context.DeadlineExceeded.
	Grace time.Duration
	// Ready is called with the IP address and port once the server listens; optional.
	Ready func(net.Addr)
	// AdminReady is called before Ready, with the IP address and port of the admin listener, if
	// it listens by then; optional.
	AdminReady func(net.Addr)
	// Version is the program's version, for monitoring; optional.
	Version string
	// Doctor checks the installation in the background; optional.
	Doctor *doctor.Service

	traffic sync.Once // guards the creation of counts
	counts  *adminhttp.Traffic
}

// Handler returns the public listener's handler. It mounts all public paths.
func (s *Server) Handler() (http.Handler, error) {
	set, err := templates.New()
	if err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	pages := &web.Pages{
		Set: set, Langs: s.Languages, Brand: s.Brand, Branding: s.Branding, BaseURL: s.IdP.BaseURL, Years: s.Years,
		Refusals: s.Trail.Refusals,
		HelpURL:  templates.HelpPath, DevelopersURL: templates.DevelopersPath,
	}
	book, err := guide.Load(templates.Guides())
	if err != nil {
		return nil, fmt.Errorf("load guides: %w", err)
	}
	signer := &signing.Signer{Years: s.Years, Registry: s.Registry}
	sessions := &session.Manager{
		Store: s.Store, Clock: s.Clock, Sealer: s.Sealer, IdleTimeout: s.Idle, AbsoluteTimeout: s.Absolute, CodeTime: s.CodeTime, Secure: s.IsSecure(),
		Device: func(r *http.Request) idp.Device { return session.DescribeDevice(r.UserAgent(), web.EventOf(r).Client) },
	}
	pages.SessionUser = func(r *http.Request) idp.UserID {
		current, err := sessions.LookupCurrent(r)
		if err != nil {
			return ""
		}
		return current.User
	}
	access := &yearaccess.Gate{
		Years: s.Years, Clock: s.Clock, Links: s.Links, HasFields: s.Registry.HasPreview, Pages: pages, Secure: s.IsSecure(),
	}
	signOn := &sso.Handler{
		IdP: s.IdP, Store: s.Store, Registry: s.Registry, Sessions: sessions, Access: access, Signing: signer,
		Pages: pages, Clock: s.Clock, SignInPath: journey.SignInPath, StepUpPath: journey.StepUpPath, AccountPath: journey.AccountPath,
		NoConsent: s.Users.NoConsent,
	}
	signOut := &logout.Handler{
		IdP: s.IdP, Store: s.Store, Registry: s.Registry, Sessions: sessions, Access: access, Signing: signer,
		Pages: pages, Clock: s.Clock, SignOutPath: journey.SignOutPath, AccountPath: journey.AccountPath,
	}
	documents := &discovery.Handler{IdP: s.IdP, Years: s.Years, Access: access, Clock: s.Clock}
	if s.Usage != nil {
		signOn.Uses, signOut.Uses, documents.Fetches = s.Usage, s.Usage, s.Usage
	}
	shared := &journey.Service{
		Accounts: s.Accounts, Users: s.Store, Sessions: sessions, Registry: s.Registry, Pages: pages, ContinuePath: sso.ContinuePath,
		Settings: s.Users, CanMail: s.UserMails.CanSend(),
	}
	if s.Users.SignUpMode() != account.SignUpOff {
		signOn.SignUpPath = journey.SignUpPath
	}
	router := web.NewRouter(pages)
	for _, h := range []interface{ Mount(*web.Router) }{
		documents,
		signOn,
		&authn.Handler{Service: shared},
		&accounthttp.Handler{Service: shared, Settings: s.Users, Links: s.MailLinks, Mails: s.UserMails, Trail: s.Store, Sealer: s.Sealer, ForgotURL: journey.ForgotPath, RecoveryCodesURL: journey.RecoveryCodesPath},
		&signup.Handler{Service: shared, Links: s.MailLinks, Mails: s.UserMails, Clock: s.Clock, BaseURL: s.IdP.BaseURL},
		&recovery.Handler{Service: shared, Mails: s.UserMails, Links: s.MailLinks},
		&developers.Handler{IdP: s.IdP, Registry: s.Registry, Access: access, Pages: pages},
		&guide.Handler{Book: book, BaseURL: s.IdP.BaseURL, Years: s.Years, Clock: s.Clock, Pages: pages},
		signOut,
		pages,
	} {
		h.Mount(router)
	}
	s.mountHealth(router)
	router.HandlePrefix(set.StaticPrefix(), web.ServeStatic(set.StaticPrefix(), templates.Static()))
	router.HandlePrefix(templates.BrandPrefix, web.ServeBrand(s.Branding))
	router.HandlePrefix(idp.LogoPrefix, web.ServeLogos(s.Registry.Logo))

	guardedHandler, err := s.guardForms(pages, router)
	if err != nil {
		return nil, err
	}
	middleware := &web.Middleware{
		Next: guardedHandler, Pages: pages, Log: s.Log, Clock: s.Clock,
		UntrustedPeers: &web.UntrustedPeers{Log: s.Log, Clock: s.Clock},
		Count:          s.countTraffic().CountRequest, TrustedProxies: s.TrustedProxies, HSTS: s.IsSecure(),
	}
	if s.Doctor != nil {
		middleware.UntrustedPeers, middleware.Probe = s.Doctor.UntrustedPeers, s.Doctor.Probe
	}
	return middleware, nil
}

// guardForms refuses forms that another site posts. The SAML endpoints are the exception:
// other sites must post to them, and signatures protect them.
func (s *Server) guardForms(pages *web.Pages, next http.Handler) (http.Handler, error) {
	base, err := url.Parse(s.IdP.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(base.Scheme + "://" + base.Host); err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.Fail(w, r, &web.Error{Status: http.StatusForbidden, Key: "cross_site", Err: errors.New("form was posted by another site")})
	}))
	protectedHandler := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Use the path as sent: an encoded path could mean another one to the router
		// than it appears here.
		path := r.URL.EscapedPath()
		if strings.HasPrefix(path, "/api/saml/") && !strings.Contains(path, "%") && !strings.Contains(path, "..") {
			next.ServeHTTP(w, r)
			return
		}
		protectedHandler.ServeHTTP(w, r)
	}), nil
}

// Run serves until ctx ends, then finishes the requests in progress.
func (s *Server) Run(ctx context.Context) error {
	handler, err := s.Handler()
	if err != nil {
		return err
	}
	ln := s.Listener
	if ln == nil {
		if ln, err = net.Listen("tcp", s.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	srv := s.httpServer(handler)
	srv.TLSConfig = s.TLS
	admin, err := s.listenAdmin(ctx)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer admin.close()
	if s.Doctor != nil {
		s.Doctor.Serve(s.TLS)
	}
	// The jobs outlive the requests, so that the last ones are still counted.
	defer s.startJobs(context.WithoutCancel(ctx))()

	serveErrs := make(chan error, 1)
	go admin.serve()
	go func() {
		if s.TLS != nil {
			serveErrs <- srv.ServeTLS(ln, "", "")
		} else {
			serveErrs <- srv.Serve(ln)
		}
	}()
	if s.Ready != nil {
		s.Ready(ln.Addr())
	}
	select {
	case err := <-serveErrs:
		_ = srv.Close() // it no longer serves
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(s.Grace, 20*time.Second))
	defer cancel()
	if err := srv.Shutdown(shutdownCtx); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// httpServer returns a server with our limits.
func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10, // a redirect request of 128 kB inflated fits
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}
