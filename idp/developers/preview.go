// Package developers is the pages for integrators: whoever connects a service
// provider (SP) to Vernal.
//
// One page lists the attributes, from the table by which they are released. The
// others are the preview of a year that is not published. Its flow: a link
// with a token is opened, the browser is given the cookie of the preview and
// sent on to the address without the token, which lists the previews that the
// browser is in, and how to leave each. What a preview opens is decided in
// package preview, where the links are used.
//
// To open a link does no harm, whoever opens it: a mail scanner gets a cookie
// and drops it.
package developers

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/link"
	"vernal/idp/preview"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/metadata"
	"vernal/templates"
)

// Handler serves the pages. All fields are required.
type Handler struct {
	IdP      metadata.IdP
	Registry *sp.Registry
	Years    *certs.Ring
	Preview  *preview.Service
	Pages    *web.Pages
	Clock    idp.Clock
}

// Mount adds the pages to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(templates.AttributesPath, web.Methods{http.MethodGet: h.attributes})
	rt.Handle(preview.Path, web.Methods{http.MethodGet: h.show, http.MethodPost: h.leave})
}

// show is GET /developers/preview: with a link's token the browser enters its
// preview, without one it is told of those it is in.
func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address may hold a token
	if q := r.URL.Query(); q.Has("link") {
		return h.enter(w, r, q.Get("link"))
	}
	inside, err := h.Preview.Inside(r)
	if err != nil {
		return err
	}
	page := templates.PreviewPage{Base: h.Pages.Base(r, ""), Action: preview.Path}
	for i := range inside {
		_, unpublished, err := web.PreviewYear(h.Years, inside[i].Year, h.Clock.Now())
		if err != nil {
			continue // over: there is nothing left to see
		}
		p, err := h.preview(r, &inside[i].Link, inside[i].Token, unpublished)
		if errors.Is(err, idp.ErrNotFound) {
			continue // the SP was removed, and nobody can sign in to it
		}
		if err != nil {
			return err
		}
		p.ID = inside[i].Cookie
		page.Previews = append(page.Previews, p)
	}
	return h.render(w, page)
}

// enter opens a link. Of a year that was published meanwhile there is nothing to
// enter, and the page says so; one that is over is gone as everywhere.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, token string) error {
	l, err := h.Preview.Links.Check(r.Context(), link.Preview, token)
	if errors.Is(err, idp.ErrNotFound) {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	web.EventOf(r).Note(slog.String("preview", l.ID))
	now := h.Clock.Now()
	_, unpublished, err := web.PreviewYear(h.Years, l.Year, now)
	if err != nil {
		return err
	}
	p, err := h.preview(r, l, token, unpublished)
	if errors.Is(err, idp.ErrNotFound) {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	if !unpublished {
		return h.render(w, templates.PreviewPage{Base: h.Pages.Base(r, ""), Previews: []templates.Preview{p}})
	}
	if r.Method == http.MethodGet {
		if err := h.Preview.Enter(w, r, l, token, now); err != nil {
			return err
		}
		h.Pages.RecordPreview(r, audit.PreviewOpened, l.SP, l.Year, l.ID)
	}
	http.Redirect(w, r, preview.Path, http.StatusSeeOther)
	return nil
}

// preview is what the page says of a link.
func (h *Handler) preview(r *http.Request, l *link.Link, token string, unpublished bool) (templates.Preview, error) {
	provider, err := h.Registry.Lookup(r.Context(), l.SP)
	if err != nil {
		return templates.Preview{}, err
	}
	p := templates.Preview{
		Year: l.Year, SPName: provider.Name, EndAt: l.ExpiresAt, Published: !unpublished,
		MetadataURL: h.IdP.MetadataURL(l.Year), CertificateURL: h.IdP.CertificateURL(l.Year), AuthURL: h.IdP.AuthnURL(l.Year),
	}
	if unpublished {
		query := "?preview=" + url.QueryEscape(token)
		p.MetadataURL += query
		p.CertificateURL += query
	}
	return p, nil
}

// leave is POST /developers/preview: the browser leaves one preview. The link
// stays as it is, and can be opened again.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: err}
	}
	h.Preview.Leave(w, r.PostForm.Get(templates.FieldPreview))
	http.Redirect(w, r, preview.Path, http.StatusSeeOther)
	return nil
}

func (h *Handler) render(w http.ResponseWriter, page templates.PreviewPage) error {
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.Preview(b, page) })
}
