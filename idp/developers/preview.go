// Package developers is the pages for integrators: whoever connects a service
// provider (SP) to Vernal.
//
// One page lists the attributes, from the table by which they are released. The
// others are the preview of a year that is not published. Its flow: a link
// with a token is opened, the browser is given the cookie of the preview and
// sent on to the address without the token, which lists the previews that the
// browser is in, and how to leave each. What a preview opens is decided in
// package yearaccess.
//
// To open a link does no harm, whoever opens it: a mail scanner gets a cookie
// and drops it.
package developers

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"vernal/idp"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
	"vernal/metadata"
	"vernal/templates"
)

// Handler serves the pages. All fields are required.
type Handler struct {
	IdP      metadata.IdP
	Registry *sp.Registry
	Access   *yearaccess.Gate
	Pages    *web.Pages
}

// Mount adds the pages to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle(templates.AttributesPath, web.Methods{http.MethodGet: h.showAttributes})
	rt.Handle(yearaccess.Path, web.Methods{http.MethodGet: h.showPreview, http.MethodPost: h.leavePreview})
}

// showPreview is GET /developers/preview: with a link's token the browser enters its
// preview, without one it is told of those it is in.
func (h *Handler) showPreview(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address may hold a token
	if q := r.URL.Query(); q.Has("link") {
		return h.enterPreview(w, r, q.Get("link"))
	}
	inside, err := h.Access.Inside(r)
	if err != nil {
		return err
	}
	page := templates.PreviewPage{Base: h.Pages.Base(r, ""), Action: yearaccess.Path}
	for i := range inside {
		p, err := h.previewPage(r, &inside[i])
		if errors.Is(err, idp.ErrNotFound) {
			continue // the SP was removed: no one can sign in to it
		}
		if err != nil {
			return err
		}
		p.ID = inside[i].Cookie
		page.Previews = append(page.Previews, p)
	}
	return h.render(w, page)
}

// enterPreview opens a link. Of a year that was published meanwhile there is nothing to
// enter, and the page says so; one that is over is gone as everywhere.
func (h *Handler) enterPreview(w http.ResponseWriter, r *http.Request, token string) error {
	found, err := h.Access.Lookup(r.Context(), token)
	var p templates.Preview
	if err == nil {
		web.EventOf(r).Note(slog.String("preview", found.ID))
		p, err = h.previewPage(r, found)
	}
	if errors.Is(err, idp.ErrNotFound) {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	if found.Published {
		return h.render(w, templates.PreviewPage{Base: h.Pages.Base(r, ""), Previews: []templates.Preview{p}})
	}
	if err := h.Access.Enter(w, r, found); err != nil {
		return err
	}
	http.Redirect(w, r, yearaccess.Path, http.StatusSeeOther)
	return nil
}

// previewPage is what the page says of a preview.
func (h *Handler) previewPage(r *http.Request, in *yearaccess.Preview) (templates.Preview, error) {
	provider, err := h.Registry.Lookup(r.Context(), in.SP)
	if err != nil {
		return templates.Preview{}, err
	}
	p := templates.Preview{
		Year: in.Year, SPName: provider.Name, EndAt: in.ExpiresAt, Published: in.Published,
		MetadataURL: h.IdP.MetadataURL(in.Year), CertificateURL: h.IdP.CertificateURL(in.Year), AuthURL: h.IdP.AuthnURL(in.Year),
	}
	if !in.Published {
		query := "?preview=" + url.QueryEscape(in.Token)
		p.MetadataURL += query
		p.CertificateURL += query
	}
	return p, nil
}

// leavePreview is POST /developers/preview: the browser leaves one preview. The link
// stays as it is, and can be opened again.
func (h *Handler) leavePreview(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: err}
	}
	h.Access.Leave(w, r.PostForm.Get(templates.FieldPreview))
	http.Redirect(w, r, yearaccess.Path, http.StatusSeeOther)
	return nil
}

func (h *Handler) render(w http.ResponseWriter, page templates.PreviewPage) error {
	return h.Pages.Render(w, http.StatusOK, page)
}
