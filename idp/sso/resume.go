package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/session"
	"vernal/idp/web"
)

// resumeRequest serves GET /sign-in/continue. Every step of a sign-in returns here, and only
// this function decides on the next step.
func (h *Handler) resumeRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	h.Sessions.TrimRequestCookies(w, r)
	if err := h.loadRequest(r, a); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return nil // a HEAD spends nothing
	}
	s, user, err := h.loadSession(r, a.request)
	if err != nil {
		return err
	}
	next, err := h.decideStep(r.Context(), a, s, user)
	if err != nil {
		return err
	}
	switch next.kind {
	case stepSignIn:
		return redirectTo(w, r, h.makeFirstURL(a.request))
	case stepUp:
		return redirectTo(w, r, h.StepUpPath+"?request="+url.QueryEscape(string(a.request.Handle)))
	case stepRefuse:
		return h.newUserError(a, next)
	case stepPassive:
		err = h.refusePassive(w, r, a)
	default:
		err = h.issueAssertion(w, r, a, s, user)
	}
	switch {
	case errors.Is(err, idp.ErrReplayed), errors.Is(err, idp.ErrAnswered) && a.isInBrowser:
		// It came twice, and the other delivery was faster.
		return h.handleReplay(w, r, a)
	case errors.Is(err, idp.ErrAnswered):
		return idp.Refuse(idp.RefusedAnswered, "AuthnRequest", a.request.MessageID).WithCause(err)
	case isOutdated(err):
		return redirectTo(w, r, makeContinueURL(a.request)) // decide again with the current records
	}
	return err
}

// isOutdated reports whether a record changed between its reading and the write that depends
// on it, so that the decision must be made again: the session ended or became another user's
// in another tab, or an operator changed the user's profile or the registration of the SP.
func isOutdated(err error) bool {
	return errors.Is(err, idp.ErrSessionEnded) || errors.Is(err, idp.ErrSessionUser) ||
		errors.Is(err, idp.ErrProviderChanged) || errors.Is(err, errProfileChanged)
}

// loadRequest loads the request that the URL names and resolves its needs again, because the
// registration may have changed since.
func (h *Handler) loadRequest(r *http.Request, a *acceptedRequest) error {
	handle := r.URL.Query().Get("request")
	req, err := h.Sessions.LookupRequest(r, idp.RequestHandle(handle))
	if errors.Is(err, idp.ErrNotFound) {
		return idp.Refuse(idp.RefusedStale, "request", handle).WithCause(err)
	}
	isOtherBrowser := errors.Is(err, session.ErrOtherBrowser)
	if err != nil && !isOtherBrowser {
		return err
	}
	p, err := h.Registry.Lookup(r.Context(), req.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)).WithCause(err)
	} else if err != nil {
		return fmt.Errorf("look up service provider %q: %w", req.SP, err)
	}
	e := web.EventOf(r)
	e.Note(slog.String("sp", string(req.SP)), slog.String("year", string(req.Year)))
	if isOtherBrowser {
		// The page does not name the sender, so that it equals the one for an unknown request.
		return idp.Refuse(idp.RefusedOtherBrowser, "request", handle).WithCause(session.ErrOtherBrowser)
	}
	e.SP, e.Year, e.IsVerified = req.SP, req.Year, req.CertSHA256 != ""
	e.RequestLocale(req.Locale, req.ReceivedAt)
	// If the year was retired during the sign-in, nothing that was begun on it is signed. If
	// its preview ended, the year answers as if it had never existed.
	entry, err := h.recheckYear(r, p, req)
	if err != nil {
		return err
	}
	inBrowser := h.Sessions.HoldsRequest(r, req.Handle)
	*a = acceptedRequest{request: req, provider: p, year: entry, isInBrowser: inBrowser, isInStore: !inBrowser}
	if req.IsAnswered() {
		return idp.Refuse(idp.RefusedAnswered, "AuthnRequest", req.MessageID)
	}
	if err := a.checkRegistration(); err != nil {
		return err
	}
	a.need, err = assurance.Resolve(assurance.NewContextRequest(req), &p.ServiceProvider)
	a.noteNeed(e)
	return err
}

// loadSession returns the browser's session and its user, or nil for both without a usable session.
// The user of a rehearsal has no record.
func (h *Handler) loadSession(r *http.Request, req *idp.LoginRequest) (*idp.Session, *idp.User, error) {
	load := h.Sessions.LookupCurrent
	if req.SP == idp.RehearsalSP {
		load = h.Sessions.LookupRehearsal
	}
	s, err := load(r)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case req.SP == idp.RehearsalSP:
		return s, &idp.User{ID: idp.RehearsalUser}, nil
	}
	user, err := h.Store.User(r.Context(), s.User)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, nil // deleted since
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load user of session: %w", err)
	}
	web.EventOf(r).User = user.ID
	return s, user, nil
}
