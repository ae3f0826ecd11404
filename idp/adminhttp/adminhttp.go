// Package adminhttp is the admin listener for operators and monitoring. It reads and never changes
// anything.
//
//	/metrics                       for Prometheus
//	/rotation                      the migration board
//	/rotation.json                 the same as data
//	/rotation/wall/TOKEN           the wallboard: the same without contacts
//	/rotation/calendar/TOKEN.ics   the plan, for calendars
//
// The listener has no sign-in, so it is on loopback, and it refuses requests that another site
// could make a browser send (see guard). Package sharelink makes the tokens of the two secret URLs.
// Only those two may be passed through a proxy, so their pages refer to no other URL here.
package adminhttp

import (
	"context"
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/doctor"
	"vernal/idp/migration"
	"vernal/idp/rotator"
	"vernal/idp/sharelink"
	"vernal/idp/web"
	"vernal/templates"
)

// Handler serves the admin listener. Fields are required unless they say otherwise.
type Handler struct {
	Board    *migration.Service
	Rotation *rotator.Service
	// Backups may be nil.
	Backups *backup.Service
	Links   *sharelink.Service
	Pages   *web.Pages
	Clock   idp.Clock
	Log     *slog.Logger
	// URL is admin_url, under which a proxy publishes the secret URLs. Optional.
	URL string
	// CommandLine renders the operator's possible next steps. Optional.
	CommandLine idp.CommandLine
	// Traffic has the counters of the public listener. Optional.
	Traffic *Traffic
	// Ready answers /readyz. Optional.
	Ready func(context.Context) error
	// WriteFailures counts the changes that could not be written to the disk. Optional.
	WriteFailures func() uint64
	// Checks returns the results of the last checks of the installation. Optional.
	Checks func() doctor.Measures
	// Version is the program's version, for a label. Optional.
	Version string
}

// Handler returns the handler of the whole listener.
func (h *Handler) Handler() http.Handler {
	router := web.NewRouter(h.Pages)
	handleGet := func(path string, handler web.Handler) { router.Handle(path, web.Methods{http.MethodGet: handler}) }
	handleGet("/", h.redirectHome)
	h.mountMetrics(router)
	handleGet(boardPath, h.showBoard)
	handleGet(dataPath, h.showData)
	handleGet(wallPrefix+"{token}", h.showWall)
	handleGet(calendarPrefix+"{token}.ics", h.showCalendar)
	prefix := h.Pages.Set.StaticPrefix()
	router.HandlePrefix(prefix, web.ServeStatic(prefix, templates.Static()))
	router.HandlePrefix(templates.BrandPrefix, web.ServeBrand(h.Pages.Branding))
	return h.guard(router)
}

// renderCommand renders a suggestion, or returns "" without CommandLine.
func (h *Handler) renderCommand(s idp.Suggestion) string {
	if h.CommandLine == nil {
		return ""
	}
	return h.CommandLine(s)
}

// Path returns the path at which a link of the kind opens with its token. It is "" for a link that
// this listener does not open.
func Path(kind sharelink.Kind, token string) string {
	switch kind {
	case sharelink.Wallboard:
		return wallPrefix + token
	case sharelink.Calendar:
		return calendarPrefix + token + ".ics"
	}
	return ""
}

// redirectHome redirects to the migration board.
func (h *Handler) redirectHome(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, readFilter(r.URL.Query()).selectLines("", "").buildURL(), http.StatusSeeOther)
	return nil
}
