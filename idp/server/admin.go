package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"vernal/idp/watch"
	"vernal/idp/web"
	"vernal/templates"
)

// adminListener is the listener for those who watch; see package watch. Its
// requests are short, so its end waits for none of them.
type adminListener struct {
	ln  net.Listener
	srv *http.Server
	ctx context.Context
}

// listenAdmin opens the admin listener; without an address it is one that
// serves nobody.
func (s *Server) listenAdmin(ctx context.Context) (*adminListener, error) {
	a := &adminListener{ln: s.AdminListener, ctx: ctx}
	if a.ln == nil && s.AdminListen == "" {
		return a, nil
	}
	handler, err := s.AdminHandler()
	if err != nil {
		return nil, err
	}
	if a.ln == nil {
		if a.ln, err = net.Listen("tcp", s.AdminListen); err != nil {
			return nil, fmt.Errorf("listen for admin_listen: %w", err)
		}
	}
	a.srv = s.httpServer(handler)
	s.Log.LogAttrs(ctx, slog.LevelInfo, "watching", slog.String("admin_address", a.ln.Addr().String()))
	if s.AdminReady != nil {
		s.AdminReady(a.ln.Addr())
	}
	return a, nil
}

// serve answers until close; the error says why it ended before. Without an
// address it waits for the server's end.
func (a *adminListener) serve() error {
	if a.srv == nil {
		<-a.ctx.Done()
		return nil
	}
	if err := a.srv.Serve(a.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

func (a *adminListener) close() {
	if a.srv != nil {
		_ = a.srv.Close()
	}
}

// counted is what the public listener counts and the admin listener tells.
func (s *Server) counted() *watch.Traffic {
	s.traffic.Do(func() { s.counts = watch.NewTraffic() })
	return s.counts
}

// AdminHandler is the admin listener's handler.
func (s *Server) AdminHandler() (http.Handler, error) {
	set, err := templates.New()
	if err != nil {
		return nil, fmt.Errorf("load pages: %w", err)
	}
	pages := &web.Pages{Set: set, Langs: s.Languages, Linked: true, Brand: s.Brand, BaseURL: s.IdP.BaseURL}
	h := &watch.Handler{Board: s.Board, Rotation: s.Rotation, Links: s.Links, Pages: pages, Clock: s.Clock, Log: s.Log, URL: s.AdminURL,
		Traffic: s.counted(), Ready: s.ready, Version: s.Version}
	return &web.Middleware{Next: h.Handler(), Pages: pages, Log: s.Log, Clock: s.Clock}, nil
}
