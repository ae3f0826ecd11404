// Package watch is the admin listener: what operators, and the machines that
// watch for them, look at. It reads and never changes anything.
//
//	/metrics                       for Prometheus
//	/rotation                      the board: who has moved, who has not
//	/rotation/wall/TOKEN           the same without contacts, for a screen on a wall
//	/rotation/calendar/TOKEN.ics   the plan, for calendars
//
// There is no sign-in here, so the listener is on loopback, and a request is
// held against what a browser could be made to send (see guard). The two secret
// addresses are package link's; they alone may be passed through a proxy.
package watch

import (
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/board"
	"vernal/idp/link"
	"vernal/idp/rotation"
	"vernal/idp/web"
)

// Handler serves the admin listener. Fields are required.
type Handler struct {
	Board    *board.Service
	Rotation *rotation.Service
	Links    *link.Service
	Pages    *web.Pages
	Clock    idp.Clock
	Log      *slog.Logger
}

// Handler is all of it.
func (h *Handler) Handler() http.Handler {
	rt := web.NewRouter(h.Pages)
	return rt
}
