package logout

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/preview"
	"vernal/idp/web"
)

// admit decides whether a request may use a hidden year by a browser, as package
// sso does. failed is what accept found wrong with it, which is explained only to
// a sender who may use the year and whose message verifies. A POST from another
// site has not brought the cookie of a link; if some link for its SP is
// outstanding, it is let in as far as the continue URL, where the cookie is read.
func (h *Handler) admit(r *http.Request, a *accepted, entry certs.Entry, failed error) error {
	var refusal *idp.Refusal
	if failed != nil && !errors.As(failed, &refusal) {
		return failed // ours
	}
	if !a.verified {
		return web.Unopened(failed)
	}
	year := web.Year(r)
	by, err := h.Preview.Admits(r, &a.provider.ServiceProvider, year, a.verified)
	switch {
	case err != nil:
		return fmt.Errorf("find what opens %s: %w", year, err)
	case by == "" || entry.Key == nil:
		return web.Unopened(failed)
	}
	a.preview = by
	web.EventOf(r).Note(slog.String("preview", by))
	if failed == nil {
		h.Pages.RecordPreview(r, audit.PreviewAdmitted, a.provider.EntityID, year, by)
	}
	return nil
}

// admitServer is admit for the back channel. A server holds no link: only the
// registration of its SP opens the year.
func (h *Handler) admitServer(r *http.Request, a *accepted, entry certs.Entry, failed error) error {
	var refusal *idp.Refusal
	if failed != nil && !errors.As(failed, &refusal) {
		return failed
	}
	if !a.verified || a.provider.Preview != web.Year(r) || entry.Key == nil {
		return web.Unopened(failed)
	}
	a.preview = preview.ByField
	web.EventOf(r).Note(slog.String("preview", a.preview))
	if failed == nil {
		h.Pages.RecordPreview(r, audit.PreviewAdmitted, a.provider.EntityID, entry.Key.Year, a.preview)
	}
	return nil
}

// opened is the year of a request that was accepted before, if it still answers
// that request; leave to preview it is looked for anew.
func (h *Handler) opened(r *http.Request, a *accepted) (certs.Entry, error) {
	entry, unpublished, err := web.PreviewYear(h.Years, a.request.Year, h.Clock.Now())
	if err != nil || !unpublished {
		return entry, err
	}
	a.preview, err = h.Preview.Opens(r, &a.provider.ServiceProvider, a.request.Year)
	if err != nil {
		return certs.Entry{}, fmt.Errorf("find what opens %s: %w", a.request.Year, err)
	}
	if a.preview == "" {
		return certs.Entry{}, web.Unopened(nil)
	}
	return entry, nil
}
