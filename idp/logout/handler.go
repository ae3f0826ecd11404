// Package logout ends sessions because service providers (SPs) ask for it. A
// LogoutRequest is the most dangerous message that we take: a forged one ends
// other users' sessions. So it is read only where a signature covers it, and an
// SP reaches only users who were disclosed to it, under the name that it was
// given.
//
// The flow, in the order of the files:
//
//	receive.go   a LogoutRequest comes by the browser, at logout{year}; without
//	             one, a page asks before it signs out here
//	waiting.go   a POSTed one is stored until its browser is back; how many may be
//	accept.go    is it well signed, fresh and ours, and whom does it name? From
//	             bytes to an idp.LogoutRequest, without HTTP
//	resume.go    the continue URL, where a browser comes back with its session
//	             cookie, which a POST from another site does not bring
//	answer.go    the one write, which makes the decision of package logoutscope: which
//	             sessions end, and what is answered; then the page that posts
//	             the LogoutResponse
//	remote.go    the back channel: the SP's server speaks to ours, at
//	             remotelogout{year}, by POST or SOAP
//
// Success is judged by its effect: it says that the sessions which the message
// names ended or never existed. A message names sessions that began before it was
// first received. It ends them whichever browser brings it, and however often it
// comes, so that a link scanner cannot use it up, and it ends nothing newer.
//
// Other SPs are not notified: no LogoutRequest is sent from here. The page lists
// where the user may still be signed in.
package logout

import (
	"errors"
	"net/http"
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

// ContinuePath is where a browser comes back to with a stored request, whose
// handle is in the parameter "request".
const ContinuePath = "/account/sign-out/continue"

// Limits of a LogoutRequest's IssueInstant.
const (
	maxAge  = 5 * time.Minute
	maxSkew = 60 * time.Second
)

// requestLifetime is how long a request is kept: it must outlive the time in
// which the same message would be accepted again, maxAge and twice maxSkew.
const requestLifetime = time.Hour

// Store is what logout reads and writes.
type Store interface {
	idp.LogoutStore
	idp.SessionStore
	idp.UserStore
}

// Uses records the use of a year by a service provider. Use must not block.
type Uses interface {
	Use(u idp.Use)
}

// Handler serves logout{year}, remotelogout{year} and the continue address. All
// fields are required but Uses.
type Handler struct {
	IdP      metadata.IdP
	Store    Store
	Registry *sp.Registry
	Sessions *session.Manager
	Signing  *signing.Desk
	Pages    *web.Pages
	Clock    idp.Clock
	Access   *yearaccess.Gate
	// Uses records that a year was used; see used. nil records nothing.
	Uses Uses
	// SignOutPath takes the form of the page that asks; package authn owns it.
	// AccountPath is where whoever does not want to sign out goes.
	SignOutPath, AccountPath string

	waiting budget.Ledger[waitingKey]
}

// Mount adds the addresses to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle("/api/saml/logout{year}", web.Methods{http.MethodGet: h.receive, http.MethodPost: h.receive})
	rt.Handle("/api/saml/remotelogout{year}", web.Methods{http.MethodPost: h.remote})
	rt.Handle(ContinuePath, web.Methods{http.MethodGet: h.resume})
}

// recheck returns the year of a request that was accepted before, if the request may
// still use it.
func (h *Handler) recheck(r *http.Request, a *accepted) (entry keyring.Entry, err error) {
	entry, a.preview, err = h.Access.Recheck(r, a.provider, a.request.Year, a.preview)
	return entry, err
}

// fail gives an error the provider's name and home; nil stays nil. The 404 of a year that
// is not published names no one.
func fail(p *sp.Provider, err error) error {
	if p == nil || err == nil || errors.Is(err, yearaccess.ErrNotPublished) {
		return err
	}
	return &web.Error{SPName: p.Name, StartURL: p.ReturnToSPURL, Err: err}
}
