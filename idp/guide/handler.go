package guide

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	htmltemplate "html/template"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/web"
	"vernal/metadata"
	"vernal/templates"
)

// cacheControl lets caches keep a guide but revalidate it each time, because a cache must not
// show the fingerprint of a revoked year.
const cacheControl = "public, no-cache"

// Handler serves the guides and their indexes. All fields are required.
type Handler struct {
	Book    *Book
	BaseURL string
	Years   *keyring.Ring
	Clock   idp.Clock
	Pages   *web.Pages

	mu sync.Mutex
	// years are the live years for which bodies were rendered.
	years  []liveYear
	bodies map[*Topic]htmltemplate.HTML
}

// liveYear is the state of a year that guides depend on.
type liveYear struct {
	year  idp.Year
	state rotation.State
	cert  *x509.Certificate
}

// Mount adds the pages to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(templates.HelpPath, web.Methods{http.MethodGet: h.showHelp})
	rt.Handle(templates.DevelopersPath, web.Methods{http.MethodGet: h.showDevelopers})
	for _, t := range h.Book.Topics() {
		rt.Handle(t.Path(), web.Methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) error { return h.showGuide(w, r, t) }})
	}
}

// showHelp serves GET /help: the guides for users, then those for operators.
func (h *Handler) showHelp(w http.ResponseWriter, r *http.Request) error {
	page := templates.GuidesPage{Base: h.Pages.Base(r, ""), Users: h.listLinks(Users), Operators: h.listLinks(Operators)}
	return sendPage(w, r, func(b io.Writer) error { return h.Pages.Set.WriteHTML(b, page) })
}

// showDevelopers serves GET /developers: everything for integrators.
func (h *Handler) showDevelopers(w http.ResponseWriter, r *http.Request) error {
	page := templates.GuidesPage{Base: h.Pages.Base(r, ""), Integrators: append(h.listLinks(Integrators), templates.GuideLink{
		URL: templates.AttributesPath, Title: "Attributes", Summary: "Each attribute, its format, and when it is released; the values of AuthnContextClassRef.",
	})}
	return sendPage(w, r, func(b io.Writer) error { return h.Pages.Set.WriteHTML(b, page) })
}

func (h *Handler) listLinks(a Audience) (links []templates.GuideLink) {
	for _, t := range h.Book.Topics() {
		if t.Audience == a {
			links = append(links, templates.GuideLink{URL: t.Path(), Title: t.Title, Summary: t.Summary})
		}
	}
	return links
}

func (h *Handler) showGuide(w http.ResponseWriter, r *http.Request, t *Topic) error {
	body, err := h.renderBody(t)
	if err != nil {
		return err
	}
	page := templates.GuidePage{Base: h.Pages.Base(r, ""), Title: t.Title, Body: body, IsForIntegrators: t.Audience == Integrators}
	return sendPage(w, r, func(b io.Writer) error { return h.Pages.Set.WriteHTML(b, page) })
}

// renderBody returns the guide for the currently live years. Each guide is rendered once per
// state of the years, not per request.
func (h *Handler) renderBody(t *Topic) (htmltemplate.HTML, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	live := h.Years.Live(h.Clock.Now())
	years := make([]liveYear, len(live))
	for i, e := range live {
		years[i] = liveYear{e.Year(), e.State, e.Key.Cert}
	}
	if !slices.Equal(years, h.years) || h.bodies == nil {
		h.years, h.bodies = years, make(map[*Topic]htmltemplate.HTML)
	}
	if body, ok := h.bodies[t]; ok {
		return body, nil
	}
	v := Values{BaseURL: h.BaseURL}
	for _, y := range years {
		sum := sha256.Sum256(y.cert.Raw)
		v.Years = append(v.Years, Year{Year: y.year, State: y.state, EndAt: y.cert.NotAfter, SHA256: certs.FormatFingerprint(sum[:])})
	}
	body, err := t.HTML(v)
	if err == nil {
		h.bodies[t] = body
	}
	return body, err
}

// sendPage writes a page with its ETag, or 304 if the client has it.
func sendPage(w http.ResponseWriter, r *http.Request, render func(io.Writer) error) error {
	var page bytes.Buffer
	if err := render(&page); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", cacheControl)
	header.Set("ETag", metadata.ETag(page.Bytes()))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page.Bytes()))
	return nil
}
