// Package developers serves the pages for integrators, who connect a service provider (SP) to
// Vernal.
//
// One page lists the attributes, from the table by which they are released. The others are for the
// preview of an unpublished year. A link with a token sets the cookie of the preview and redirects
// to the URL without the token. That page lists the previews that the browser is in, and how to
// leave each. Package yearaccess defines the extent of a preview.
//
// A mail scanner that opens a link does no harm: it gets a cookie and drops it.
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

// showPreview serves GET /developers/preview. With a link's token the browser enters its
// preview, and without one the page lists the previews that the browser is in.
func (h *Handler) showPreview(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the URL may contain a token
	if q := r.URL.Query(); q.Has("link") {
		return h.enterPreview(w, r, q.Get("link"))
	}
	inside, err := h.Access.ListPreviews(r)
	if err != nil {
		return err
	}
	page := templates.PreviewPage{Base: h.Pages.Base(r, ""), Action: yearaccess.Path}
	for i := range inside {
		p, err := h.newPreview(r, &inside[i])
		if errors.Is(err, idp.ErrNotFound) {
			continue // the SP was removed, so no user can sign in to it
		}
		if err != nil {
			return err
		}
		p.ID = inside[i].Cookie
		page.Previews = append(page.Previews, p)
	}
	return h.renderPreviews(w, page)
}

// enterPreview opens a link. If the year was published in the meantime, the page says so. A closed
// year answers with 410, as everywhere.
func (h *Handler) enterPreview(w http.ResponseWriter, r *http.Request, token string) error {
	found, err := h.Access.Lookup(r.Context(), token)
	var p templates.Preview
	if err == nil {
		web.EventOf(r).Note(slog.String("preview", found.ID))
		p, err = h.newPreview(r, found)
	}
	if errors.Is(err, idp.ErrNotFound) {
		return web.ErrNotFound
	}
	if err != nil {
		return err
	}
	if found.IsPublished {
		return h.renderPreviews(w, templates.PreviewPage{Base: h.Pages.Base(r, ""), Previews: []templates.Preview{p}})
	}
	if err := h.Access.Enter(w, r, found); err != nil {
		return err
	}
	http.Redirect(w, r, yearaccess.Path, http.StatusSeeOther)
	return nil
}

// newPreview returns the page's values for a preview.
func (h *Handler) newPreview(r *http.Request, in *yearaccess.Preview) (templates.Preview, error) {
	provider, err := h.Registry.Lookup(r.Context(), in.SP)
	if err != nil {
		return templates.Preview{}, err
	}
	p := templates.Preview{
		Year: in.Year, SPName: provider.Name, SPLogo: provider.LogoPath(), EndAt: in.ExpiresAt, IsPublished: in.IsPublished,
		MetadataURL: h.IdP.MetadataURL(in.Year), CertificateURL: h.IdP.CertificateURL(in.Year), AuthURL: h.IdP.AuthnURL(in.Year),
	}
	if !in.IsPublished {
		query := "?preview=" + url.QueryEscape(in.Token)
		p.MetadataURL += query
		p.CertificateURL += query
	}
	return p, nil
}

// leavePreview serves POST /developers/preview: the browser leaves one preview. The link does
// not change and can be opened again.
func (h *Handler) leavePreview(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: err}
	}
	h.Access.Leave(w, r.PostForm.Get(templates.FieldPreview))
	http.Redirect(w, r, yearaccess.Path, http.StatusSeeOther)
	return nil
}

func (h *Handler) renderPreviews(w http.ResponseWriter, page templates.PreviewPage) error {
	page.Nonce = web.AllowScript(w)
	return h.Pages.Render(w, http.StatusOK, page)
}
