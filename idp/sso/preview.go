package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/preview"
	"vernal/idp/web"
)

// errUnopened is the cause, for the log, of the 404 of a year that is not
// published. What the browser sees is the page of a year that was never made.
var errUnopened = errors.New("the year is not published, and no preview opens it to this request")

func unopened(why error) error {
	err := errUnopened
	if why != nil {
		// Not wrapped: a refusal in there would become the page.
		err = fmt.Errorf("%w; besides: %v", errUnopened, why)
	}
	return &web.Error{Status: web.ErrNotFound.Status, Key: web.ErrNotFound.Key, Err: err}
}

// admit decides whether a request that came to an unpublished year has leave to
// be there. failed is what accept found wrong with it: who has leave is told,
// anybody else sees the 404 whatever they sent. Nothing that was not verified
// has a reason explained to it, so a stranger learns nothing by naming an SP
// that previews the year.
//
// A POST from another site has not brought the cookie of a link. If the message
// is well signed and some link for its SP is outstanding, it is let in as far as
// the continue address, where the cookie is read: that a link exists is what the
// SP itself learns at most. An unsigned one, which anybody can make, is not.
func (h *Handler) admit(r *http.Request, a *accepted, year idp.Year, failed error) error {
	var refusal *idp.Refusal
	if failed != nil && !errors.As(failed, &refusal) {
		return failed // ours
	}
	if a.provider == nil || failed != nil && a.cert == nil {
		return unopened(failed)
	}
	by, err := h.Preview.Opens(r, &a.provider.ServiceProvider, year)
	if err == nil && by == "" && r.Method == http.MethodPost && a.cert != nil {
		var outstanding bool
		if outstanding, err = h.Preview.Outstanding(r.Context(), a.provider.EntityID, year); outstanding {
			by = preview.ByLink
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("find what opens %s: %w", year, err)
	case by == "":
		return unopened(failed)
	case failed != nil:
		return fail(a.provider, failed)
	}
	a.request.Preview = by
	web.EventOf(r).Note(slog.String("preview", by))
	return nil
}

// opened is the year of a request that was accepted before, if it still answers
// that request. Leave to preview it is looked for anew, in the registration and
// the browser as they are now: what was revoked since opens nothing, and the
// link of a POST is seen here for the first time. Without leave the error is
// errUnopened.
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
		return certs.Entry{}, unopened(nil)
	}
	a.request.Preview = by
	return entry, nil
}

// spend ends a request whose browser may not see the year: what was let in
// without its cookie is not kept for a cookie that comes later.
func (h *Handler) spend(r *http.Request, req *idp.LoginRequest) error {
	if r.Method == http.MethodHead || req.Answered() {
		return nil
	}
	err := h.Store.AnswerLoginRequest(r.Context(), req.Handle, h.Clock.Now())
	if err != nil && !errors.Is(err, idp.ErrAnswered) && !errors.Is(err, idp.ErrNotFound) {
		return fmt.Errorf("spend request: %w", err)
	}
	return nil
}
