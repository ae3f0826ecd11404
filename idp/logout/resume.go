package logout

import (
	"errors"
	"fmt"
	"net/http"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/session"
	"vernal/idp/web"
)

// resumeLogout serves GET /account/sign-out/continue. The browser has returned with its
// cookies, and the stored request is judged.
func (h *Handler) resumeLogout(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	if err := h.loadRequest(r, a); err != nil {
		return h.offerSignOut(err)
	}
	if r.Method == http.MethodHead {
		return nil // a HEAD ends nothing
	}
	return h.answerRequest(w, r, a) // also if it was answered, because a session that it names may be alive
}

// loadRequest loads the request that the URL names. If the SP, its certificate, its logout URL
// or the year was withdrawn since it came, the request is refused.
func (h *Handler) loadRequest(r *http.Request, a *acceptedRequest) error {
	handle := idp.RequestHandle(r.URL.Query().Get("request"))
	if len(handle) == 0 || len(handle) > 64 {
		return idp.Refuse(idp.RefusedStale, "request", string(handle))
	}
	req, err := h.Store.LogoutRequest(r.Context(), idp.RequestKey{Handle: handle})
	if errors.Is(err, idp.ErrNotFound) || err == nil && !h.Clock.Now().Before(req.ExpiresAt) {
		return idp.Refuse(idp.RefusedStale, "request", string(handle))
	}
	if err != nil {
		return fmt.Errorf("load logout request: %w", err)
	}
	if !h.Sessions.HasRequestCookie(r, req.Handle, req.SecretHash) {
		// The page does not name the sender.
		return idp.Refuse(idp.RefusedOtherBrowser, "request", string(handle)).WithCause(session.ErrOtherBrowser)
	}
	web.EventOf(r).RequestLocale(req.Locale, req.ReceivedAt)
	p, err := h.Registry.Lookup(r.Context(), req.SP)
	if err != nil {
		return refuseUnknown(req.SP, fmt.Errorf("look up service provider %q: %w", req.SP, err))
	}
	a.request, a.provider = req, p
	noteSender(web.EventOf(r), p, req.Year, true) // verified when it was stored
	if _, err := h.recheckYear(r, a); err != nil {
		return err
	}
	if err := checkRegistration(p, req); err != nil {
		return err
	}
	return inbound.CheckLogoutURL(p)
}
