package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/web"
)

// admit decides whether a request may use a hidden year; the error is
// web.Unopened or a failure of ours. failed is what accept found wrong with the
// request: only a sender who may use the year gets to read it, anyone else sees
// the 404 whatever they sent. Nothing is explained to a message that was not
// verified, so a stranger learns nothing by naming an SP that previews the year.
//
// The entry of a year that was never made is zero. It takes the same way to the
// same 404, so neither the page nor the time that it takes shows a difference.
//
// A POST from another site has not brought the cookie of a link. If the message
// is well signed and some link for its SP is outstanding, it is let in as far as
// the continue address, where the cookie is read: that a link exists is what the
// SP itself learns at most. An unsigned one, which anybody can make, is not.
func (h *Handler) admit(r *http.Request, a *accepted, entry certs.Entry, failed error) error {
	var refusal *idp.Refusal
	if failed != nil && !errors.As(failed, &refusal) {
		return failed // ours
	}
	if a.provider == nil || failed != nil && a.cert == nil {
		return web.Unopened(failed)
	}
	year := web.Year(r)
	by, err := h.Preview.Admits(r, &a.provider.ServiceProvider, year, a.cert != nil)
	switch {
	case err != nil:
		return fmt.Errorf("find what opens %s: %w", year, err)
	case by == "" || entry.Key == nil:
		return web.Unopened(failed)
	case failed != nil:
		return nil // it may be read
	}
	a.request.Preview = by
	web.EventOf(r).Note(slog.String("preview", by))
	h.Pages.RecordPreview(r, audit.PreviewAdmitted, a.provider.EntityID, year, by)
	return nil
}

// opened is the year of a request that was accepted before, if it still answers
// that request. Leave to preview it is looked for anew, in the registration and
// the browser as they are now: what was revoked since opens nothing, and the
// link of a POST is seen here for the first time. Without leave the error is
// web.ErrUnopened.
func (h *Handler) opened(r *http.Request, a *accepted) (certs.Entry, error) {
	entry, unpublished, err := web.PreviewYear(h.Years, a.request.Year, h.Clock.Now())
	if err != nil || !unpublished {
		return entry, err
	}
	by, err := h.Preview.Opens(r, &a.provider.ServiceProvider, a.request.Year)
	if err != nil {
		return certs.Entry{}, fmt.Errorf("find what opens %s: %w", a.request.Year, err)
	}
	if by == "" {
		return certs.Entry{}, web.Unopened(nil)
	}
	a.request.Preview = by
	return entry, nil
}

// spend ends a request whose browser may not see the year: what was let in
// without its cookie is not kept for a cookie that comes later. One that waits in the
// browser is left there, because the 404 of an unknown year takes no cookie back. It
// opens nothing without the link.
func (h *Handler) spend(r *http.Request, a *accepted) error {
	if r.Method == http.MethodHead || !a.inStore || a.request.Answered() {
		return nil
	}
	err := h.Store.AnswerLoginRequest(r.Context(), a.request, h.Clock.Now(), nil)
	if err != nil && !errors.Is(err, idp.ErrAnswered) {
		return fmt.Errorf("spend request: %w", err)
	}
	return nil
}
