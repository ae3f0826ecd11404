// Package sso is single sign-on: it takes an AuthnRequest, waits while the user
// signs in, and answers with a Response.
//
// The flow, in the order of the files:
//
//	receive.go   an AuthnRequest arrives: GET or POST at auth{year}
//	waiting.go   what is kept of it until its user has signed in, and where
//	accept.go    is it well signed, fresh, ours, and within what its sender
//	             may ask? From bytes to an idp.LoginRequest, without HTTP
//	resume.go    the continue URL, to which every step of a sign-in returns
//	next.go      the one decision: what does this request still need?
//	subject.go   the user whom a request asks for
//	issue.go     the assertion: one write, which decides again, then the signature
//	post.go      the page that posts the Response; NoPassive
//	lane.go      how many signatures strangers can cause at once
//
// How a user signs in is package authn's; the two meet through the LoginRequest that
// waits, in the store or in the browser, and the continue URL. Until an AuthnRequest has passed accept,
// nothing of it is stored. Every failure ends in a page here and never in a
// message to a URL that is not registered.
//
// Between a request and its answer the year can end, and the registration of the
// service provider (SP) can change. Package signing has both checked again
// within the write of the answer and before its signature.
//
// Package yearaccess decides whether a request may use its year, when the request comes,
// at every step of the sign-in, and last before the signature. Where it may not, the
// answer is the 404 of a year that was never made, whatever is right or wrong with the
// request.
package sso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"vernal/idp"
	"vernal/idp/budget"
	"vernal/idp/keyring"
	"vernal/idp/session"
	"vernal/idp/signing"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/yearaccess"
	"vernal/metadata"
)

// ContinuePath is where a sign-in comes back to, with the request's handle in
// the parameter "request".
const ContinuePath = "/sign-in/continue"

// Limits of an AuthnRequest's IssueInstant.
const (
	maxAge  = 5 * time.Minute
	maxSkew = 60 * time.Second
)

// passiveLifetime is how long a request is kept that forbids to ask the user. It waits
// for no one, so it need only outlive the time in which its message would be
// accepted again, maxAge and twice maxSkew.
const passiveLifetime = time.Hour

// Store is what single sign-on keeps.
type Store interface {
	idp.SessionStore
	idp.UserStore
}

// Uses records the use of a year by a service provider. Use must not block.
type Uses interface {
	Use(u idp.Use)
}

// Handler serves auth{year} and the continue address. All fields are required
// but Uses.
type Handler struct {
	IdP      metadata.IdP
	Store    Store
	Registry *sp.Registry
	Sessions *session.Manager
	Signing  *signing.Desk
	Pages    *web.Pages
	Clock    idp.Clock
	Access   *yearaccess.Gate
	// SignInPath is where a person signs in, StepUpPath where one who is signed
	// in proves a factor more; package authn owns both.
	SignInPath, StepUpPath string
	// Uses records that a year was used; see used. nil records nothing.
	Uses Uses

	waiting   budget.Ledger[waitingKey]
	strangers lane // signs for senders who have proved nothing
}

// used records that a year is in use: by a verified signature of an active
// service provider or, where requests are unsigned, by an issued assertion.
// Nothing that a stranger can send counts (the retirement of a year waits for
// it), and no preview and no rehearsal does.
func (h *Handler) used(req *idp.LoginRequest, at time.Time) {
	if h.Uses == nil || req.Preview != "" || req.SP == idp.RehearsalSP {
		return
	}
	h.Uses.Use(idp.Use{
		SP: req.SP, Year: req.Year, At: at, CertSHA256: req.CertSHA256,
		RelayState: len(req.RelayState), IssuedAt: req.IssuedAt, ReceivedAt: req.ReceivedAt,
	})
}

// Mount adds the addresses to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle("/api/saml/auth{year}", web.Methods{http.MethodGet: h.receive, http.MethodPost: h.receive})
	rt.Handle(ContinuePath, web.Methods{http.MethodGet: h.resume})
}

// recheck returns the year of a request that was accepted before, if the request may
// still use it.
func (h *Handler) recheck(r *http.Request, a *accepted) (entry keyring.Entry, err error) {
	entry, a.request.Preview, err = h.Access.Recheck(r, a.provider, a.request.Year, a.request.Preview)
	return entry, err
}

// fail gives an error the provider's name and start address; nil stays nil. The 404 of a
// year that is not published names no one.
func fail(p *sp.Provider, err error) error {
	if p == nil || err == nil || errors.Is(err, yearaccess.ErrNotPublished) {
		return err
	}
	return &web.Error{SPName: p.Name, StartURL: p.StartURL(), Err: err}
}

// refuseUser gives the refusal of a user its page: what they lack, if that is what it
// is about, or how to sign in as another user, and the way back.
func (h *Handler) refuseUser(a *accepted, s step) error {
	switch {
	case s.obstacle != nil:
		return web.Lacking(&a.provider.ServiceProvider, s.obstacle)
	case s.refusal.Code == idp.RefusedSubject:
		return &web.Error{SPName: a.provider.Name, StartURL: a.provider.StartURL(), SignInURL: h.signInURL(a.request), Err: s.refusal}
	}
	return fail(a.provider, s.refusal)
}

func (h *Handler) signInURL(req *idp.LoginRequest) string {
	return h.SignInPath + "?request=" + url.QueryEscape(string(req.Handle))
}

// provider looks up the sender of a request that was accepted before.
func (h *Handler) provider(r *http.Request, req *idp.LoginRequest) (*sp.Provider, error) {
	p, err := h.Registry.Lookup(r.Context(), req.SP)
	if err != nil {
		return nil, fmt.Errorf("look up service provider %q: %w", req.SP, err)
	}
	web.EventOf(r).Note(slog.String("sp", string(req.SP)), slog.String("year", string(req.Year)))
	return p, nil
}
