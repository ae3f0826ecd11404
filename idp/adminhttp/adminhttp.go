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
	// WriteFailures counts the changes that the disk did not take. Optional.
	WriteFailures func() uint64
	// Checks returns the results of the last checks of the installation. Optional.
	Checks func() doctor.Measures
	// Version is the program's version, for a label. Optional.
	Version string
}

// Handler returns the handler of the whole listener.
func (h *Handler) Handler() http.Handler {
	rt := web.NewRouter(h.Pages)
	get := func(path string, handler web.Handler) { rt.Handle(path, web.Methods{http.MethodGet: handler}) }
	get("/", h.redirectHome)
	h.mountMetrics(rt)
	get(boardPath, h.showBoard)
	get(dataPath, h.showData)
	get(wallPrefix+"{token}", h.showWall)
	get(calendarPrefix+"{token}.ics", h.showCalendar)
	static := h.Pages.Set.StaticPrefix()
	rt.HandlePrefix(static, web.ServeStatic(static, templates.Static()))
	rt.HandlePrefix(templates.BrandPrefix, web.ServeBrand(h.Pages.Branding))
	return h.guard(rt)
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
