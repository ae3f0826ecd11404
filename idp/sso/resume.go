package sso

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/session"
	"vernal/idp/web"
)

// resume is GET /sign-in/continue: every step of a sign-in comes back here, and
// here alone it is decided what is next.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request) error {
	h.Sessions.Trim(w, r)
	a, err := h.load(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return nil // a HEAD spends nothing
	}
	s, user, err := h.live(r, a.request)
	if err != nil {
		return fail(a.provider, err)
	}
	step, err := h.decide(r.Context(), &a, s, user)
	if err != nil {
		return fail(a.provider, err)
	}
	switch step.kind {
	case stepSignIn:
		return redirect(w, r, h.signInURL(a.request))
	case stepUp:
		return redirect(w, r, h.StepUpPath+"?request="+url.QueryEscape(string(a.request.Handle)))
	case stepRefuse:
		return h.refuseUser(&a, step)
	case stepPassive:
		err = h.refusePassive(w, r, &a)
	default:
		err = h.issue(w, r, &a, s, user)
	}
	switch {
	case errors.Is(err, idp.ErrReplayed), errors.Is(err, idp.ErrAnswered) && a.inBrowser:
		// It came twice, and the other one was faster.
		return h.again(w, r, &a)
	case errors.Is(err, idp.ErrAnswered):
		err = idp.Refuse(idp.RefusedAnswered, "AuthnRequest", a.request.MessageID).With(err)
	case outdated(err):
		return redirect(w, r, continueURL(a.request)) // to decide again, with what is there now
	}
	return fail(a.provider, err)
}

// outdated reports whether something changed between its reading and the write
// that rests on it, so that the decision must be made again: the session ended
// or became another user's in another tab, an operator changed the user's
// profile or the registration of the SP.
func outdated(err error) bool {
	return errors.Is(err, idp.ErrSessionEnded) || errors.Is(err, idp.ErrSessionUser) ||
		errors.Is(err, idp.ErrProviderChanged) || errors.Is(err, errReproofed)
}

// load loads the request that the URL names. What it asks for is resolved again: the
// registration may have changed since.
func (h *Handler) load(r *http.Request) (accepted, error) {
	var a accepted
	req, err := h.Sessions.Request(r, idp.RequestHandle(r.URL.Query().Get("request")))
	if errors.Is(err, idp.ErrNotFound) {
		return a, idp.Refuse(idp.RefusedStale, "request", "").With(err)
	}
	other := errors.Is(err, session.ErrOtherBrowser)
	if err != nil && !other {
		return a, err
	}
	if a.provider, err = h.provider(r, req); errors.Is(err, idp.ErrNotFound) {
		return a, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)).With(err)
	} else if err != nil {
		return a, err
	}
	switch {
	case other:
		// Whose request it is is not told: the page is the same as for one
		// that nobody has.
		return a, idp.Refuse(idp.RefusedOtherBrowser, "request", "").With(session.ErrOtherBrowser)
	}
	a.request = req
	a.inBrowser = h.Sessions.Holds(r, req.Handle)
	a.inStore = !a.inBrowser
	e := web.EventOf(r)
	e.SP, e.Year, e.Verified = req.SP, req.Year, req.CertSHA256 != ""
	e.Ask(req.Locale, req.ReceivedAt)
	// If the year was retired while the person signed in, nothing that was begun
	// on it is signed; if its preview ended, it is as if it had never been.
	if _, err := h.recheck(r, &a); err != nil {
		return a, err
	}
	if req.Answered() {
		return a, fail(a.provider, idp.Refuse(idp.RefusedAnswered, "AuthnRequest", req.MessageID))
	}
	if err := a.current(); err != nil {
		return a, fail(a.provider, err)
	}
	a.need, err = assurance.Resolve(assurance.AskOf(req), &a.provider.ServiceProvider)
	if err != nil {
		return a, fail(a.provider, err)
	}
	a.noteNeed(web.EventOf(r))
	return a, nil
}

// rehearsed is live for the service provider of a rehearsal. Its person has no
// record.
func (h *Handler) rehearsed(r *http.Request) (*idp.Session, *idp.User, error) {
	s, err := h.Sessions.Rehearsal(r)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return s, &idp.User{ID: idp.RehearsalUser}, nil
}

// live is the browser's session and its person; nil for both if there is none
// to build upon.
func (h *Handler) live(r *http.Request, req *idp.LoginRequest) (*idp.Session, *idp.User, error) {
	if req.SP == idp.RehearsalSP {
		return h.rehearsed(r)
	}
	s, err := h.Sessions.Current(r)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	user, err := h.Store.User(r.Context(), s.User)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, nil // deleted meanwhile
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load person of session: %w", err)
	}
	web.EventOf(r).User = user.ID
	return s, user, nil
}
