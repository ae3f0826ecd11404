package logout

import (
	"errors"
	"fmt"
	"net/http"

	"vernal/idp"
	"vernal/idp/session"
	"vernal/idp/sp"
	"vernal/idp/web"
)

// resume is GET /account/sign-out/continue: the browser is back with its
// cookies, and the stored request is judged.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request) error {
	a, err := h.stored(r)
	if err != nil {
		return fail(a.provider, h.offer(err))
	}
	if r.Method == http.MethodHead {
		return nil // a HEAD ends nothing
	}
	return h.decide(w, r, &a) // of an answered one too: what it names may live
}

// stored loads the request that the address names. What was withdrawn since it
// came (the SP, its certificate, its logout address, the year) is not acted
// upon.
func (h *Handler) stored(r *http.Request) (a accepted, err error) {
	handle := idp.RequestHandle(r.URL.Query().Get("request"))
	if len(handle) == 0 || len(handle) > 64 {
		return a, idp.Refuse(idp.RefusedStale, "request", "")
	}
	a.request, err = h.Store.LogoutRequest(r.Context(), idp.RequestKey{Handle: handle})
	if errors.Is(err, idp.ErrNotFound) || err == nil && !h.Clock.Now().Before(a.request.ExpiresAt) {
		return a, idp.Refuse(idp.RefusedStale, "request", "")
	}
	if err != nil {
		return a, fmt.Errorf("load logout request: %w", err)
	}
	if !h.Sessions.TiedTo(r, a.request.Handle, a.request.SecretHash) {
		// Whose request it is is not told.
		return accepted{}, idp.Refuse(idp.RefusedOtherBrowser, "request", "").With(session.ErrOtherBrowser)
	}
	web.EventOf(r).Ask(a.request.Locale, a.request.ReceivedAt)
	a.provider, err = h.Registry.Lookup(r.Context(), a.request.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return a, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(a.request.SP)).With(err)
	}
	if err != nil {
		return a, fmt.Errorf("look up service provider %q: %w", a.request.SP, err)
	}
	a.verified = true // when it was stored
	note(r, &a, a.request.Year)
	if _, err := h.recheck(r, &a); err != nil {
		return a, err
	}
	if err := checkRegistration(a.provider, a.request); err != nil {
		return a, err
	}
	return a, answerable(a.provider)
}

// checkRegistration holds a request that was verified before against the
// registration as it is now.
func checkRegistration(p *sp.Provider, req *idp.LogoutRequest) error {
	if !p.Active {
		return idp.Refuse(idp.RefusedSPInactive, "Issuer", string(req.SP))
	}
	for _, c := range p.RequestCerts {
		if p.CertSHA256(c) == req.CertSHA256 {
			return nil
		}
	}
	return idp.Refuse(idp.RefusedSignature, "Signature", "").With(errors.New("the certificate that verified the request was removed"))
}
