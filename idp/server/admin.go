package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"vernal/idp/adminhttp"
	"vernal/idp/web"
	"vernal/templates"
)

// adminRetry is how often the server retries a listen address that is in use.
const adminRetry = 30 * time.Second

// adminListener is the listener for operators and their machines; see package watch. It is
// secondary: if it cannot listen, sign-ins continue, and the log reports it until it can. Its
// requests are short, so shutdown does not wait for them.
type adminListener struct {
	hostPort  string       // HOST:PORT, for retries
	ln        net.Listener // nil while it cannot listen
	srv       *http.Server // nil without a listen address
	log       *slog.Logger
	retryWait time.Duration
	ctx       context.Context // context of the retries
	cancel    context.CancelFunc
}

// listenAdmin opens the admin listener. A failure to listen is not an error, because serve
// retries.
func (s *Server) listenAdmin(ctx context.Context) (*adminListener, error) {
	a := &adminListener{hostPort: s.AdminListen, ln: s.AdminListener, log: s.Log, retryWait: cmp.Or(s.AdminRetry, adminRetry)}
	a.ctx, a.cancel = context.WithCancel(ctx)
	if a.ln == nil && s.AdminListen == "" {
		return a, nil
	}
	handler, err := s.AdminHandler()
	if err != nil {
		a.cancel()
		return nil, err
	}
	a.srv = s.httpServer(handler)
	if a.ln != nil {
		a.hostPort = a.ln.Addr().String()
		a.logListening()
	} else {
		a.listen()
	}
	if a.ln != nil && s.AdminReady != nil {
		s.AdminReady(a.ln.Addr())
	}
	return a, nil
}

// listen opens the listener, or logs the failure.
func (a *adminListener) listen() {
	ln, err := net.Listen("tcp", a.hostPort)
	if err != nil {
		a.noteFailure(err)
		return
	}
	a.ln = ln
	a.logListening()
}

func (a *adminListener) logListening() {
	a.log.LogAttrs(a.ctx, slog.LevelInfo, "admin listener started", slog.String("admin_address", a.ln.Addr().String()))
}

func (a *adminListener) noteFailure(err error) {
	a.log.LogAttrs(a.ctx, slog.LevelError,
		"admin_listen does not work, so metrics and migration board are not available. Sign-ins still work. Free the port or set another admin_listen",
		slog.String("admin_listen", a.hostPort), slog.String("error", err.Error()), slog.Duration("next_try", a.retryWait))
}

// serve answers until close, and listens again after a failure.
func (a *adminListener) serve() {
	if a.srv == nil {
		return
	}
	for {
		if a.ln != nil {
			err := a.srv.Serve(a.ln)
			if errors.Is(err, http.ErrServerClosed) {
				return
			}
			a.noteFailure(err)
			a.ln = nil
		}
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(a.retryWait):
			a.listen()
		}
	}
}

func (a *adminListener) close() {
	a.cancel()
	if a.srv != nil {
		_ = a.srv.Close()
	}
}

// countTraffic returns the counters of the public listener, which the admin listener reports.
func (s *Server) countTraffic() *adminhttp.Traffic {
	s.traffic.Do(func() { s.counts = adminhttp.NewTraffic() })
	return s.counts
}

func (s *Server) countWriteFailures() uint64 { return s.Store.WriteFailures() }

// AdminHandler returns the admin listener's handler.
func (s *Server) AdminHandler() (http.Handler, error) {
	set, err := templates.New()
	if err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	pages := &web.Pages{Set: set, Langs: s.Languages, HasLinkSwitcher: true, Brand: s.Brand, Branding: s.Branding, BaseURL: s.IdP.BaseURL,
		HelpURL: s.IdP.BaseURL + templates.HelpPath, DevelopersURL: s.IdP.BaseURL + templates.DevelopersPath}
	h := &adminhttp.Handler{Board: s.Board, Rotation: s.Rotation, Backups: s.Backups, Links: s.Links, Pages: pages, Clock: s.Clock, Log: s.Log, URL: s.AdminURL,
		CommandLine: s.CommandLine, Traffic: s.countTraffic(), Ready: s.checkReady, WriteFailures: s.countWriteFailures, Version: s.Version}
	if s.Doctor != nil {
		h.Checks = s.Doctor.Last
	}
	return &web.Middleware{Next: h.Handler(), Pages: pages, Log: s.Log, Clock: s.Clock}, nil
}
