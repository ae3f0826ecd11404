// Package adminhttp is the admin listener: what operators, and the machines that
// watch for them, look at. It reads and never changes anything.
//
//	/metrics                       for Prometheus
//	/rotation                      the board: who has moved, who has not
//	/rotation.json                 the same as data
//	/rotation/wall/TOKEN           the same without contacts, for a screen on a wall
//	/rotation/calendar/TOKEN.ics   the plan, for calendars
//
// There is no sign-in here, so the listener is on loopback, and a request is
// held against what a browser could be made to send (see guard). The two secret
// addresses are package sharelink's; they alone may be passed through a proxy, so
// they refer to nothing else here.
package adminhttp

import (
	"context"
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotator"
	"vernal/idp/sharelink"
	"vernal/idp/web"
	"vernal/templates"
)

// Handler serves the admin listener. Fields are required unless they say
// otherwise.
type Handler struct {
	Board    *migration.Service
	Rotation *rotator.Service
	Links    *sharelink.Service
	Pages    *web.Pages
	Clock    idp.Clock
	Log      *slog.Logger
	// URL is admin_url, under which a proxy passes on the secret addresses;
	// optional.
	URL string
	// CommandLine renders what an operator can do next; optional.
	CommandLine idp.CommandLine
	// Traffic is what the public listener counts; optional.
	Traffic *Traffic
	// Ready is what /readyz asks; optional.
	Ready func(context.Context) error
	// Version is that of the program, for a label; optional.
	Version string
}

// Handler is all of it.
func (h *Handler) Handler() http.Handler {
	rt := web.NewRouter(h.Pages)
	get := func(path string, handler web.Handler) { rt.Handle(path, web.Methods{http.MethodGet: handler}) }
	get("/", h.home)
	h.mountMetrics(rt)
	get(boardPath, h.showBoard)
	get(dataPath, h.showData)
	get(wallPrefix+"{token}", h.showWall)
	get(calendarPrefix+"{token}.ics", h.showCalendar)
	static := h.Pages.Set.StaticPrefix()
	rt.HandlePrefix(static, web.Static(static, templates.Static()))
	return h.guard(rt)
}

// commandLine renders a suggestion; "" if nothing renders it.
func (h *Handler) commandLine(s idp.Suggestion) string {
	if h.CommandLine == nil {
		return ""
	}
	return h.CommandLine(s)
}

// Path is where a link of the kind opens with its token; "" for one that opens
// nothing here.
func Path(kind sharelink.Kind, token string) string {
	switch kind {
	case sharelink.Wall:
		return wallPrefix + token
	case sharelink.Calendar:
		return calendarPrefix + token + ".ics"
	}
	return ""
}

// home leads to the board.
func (h *Handler) home(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, readFilter(r.URL.Query()).only("", "").url(), http.StatusSeeOther)
	return nil
}
