// Package logout ends sessions on request of service providers (SPs). A LogoutRequest is the
// most dangerous message that we accept: a forged one ends other users' sessions. So only its
// signed content is read, and an SP reaches only users that were disclosed to it, under the
// name that it was sent.
//
// The flow, from the router to the signer:
//
//	1 Mount               logout{year}, remotelogout{year}, continue     handler.go
//	2 receiveRequest      by the browser; without a message, a page asks receive.go
//	  receiveRemote       by the SP's server, as a form or SOAP          remote.go
//	3 yearaccess.Begin    the year of the URL
//	4 saml.Read, ReadSOAP bytes -> one tree
//	5 inbound.Accept      verified and checked, by package inbound       accept.go
//	6 yearaccess.Admit    may the sender use the year?                   accept.go
//	7 logoutscope.Find    the user that the message names                accept.go
//	8 storeRequest        a POSTed one waits, within a budget            waiting.go
//	9 resumeLogout        the browser returns with its session cookie,
//	                      which a POST from another site does not bring  resume.go
//	10 recordLogout       the one write, with the decision of package
//	                      logoutscope: sessions to end, and the answer   answer.go
//	11 writeResponse      the year, once more; then its signer           answer.go
//	12 postResponse       the page that posts the LogoutResponse         answer.go
//
// A GET skips 8 and 9, the back channel skips 8, 9 and 12.
//
// Success is a statement about the effect: the sessions that the message names ended or never
// existed. A message names sessions that began before it was first received. It ends them
// whichever browser brings it and however often it arrives, so that a link scanner cannot use
// it up. It ends no newer session.
//
// Other SPs are not notified, because no LogoutRequest is sent from here. The page lists where
// the user may still be signed in.
package logout

import (
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

// ContinuePath is where a browser returns with a stored request, whose handle is in the
// parameter "request".
const ContinuePath = "/account/sign-out/continue"

// requestLifetime is how long a request is kept. It must outlive the time in which the same
// message would be accepted again: saml.MaxAge plus twice saml.MaxSkew.
const requestLifetime = time.Hour

// Store holds the records that logout reads and writes.
type Store interface {
	idp.LogoutStore
	idp.SessionStore
	idp.UserStore
	RestoredAt() time.Time
}

// Uses records that a service provider used a year. Use must not block.
type Uses interface {
	Use(u idp.Use)
}

// Handler serves logout{year}, remotelogout{year} and the continue URL. All fields except Uses
// are required.
type Handler struct {
	IdP      metadata.IdP
	Store    Store
	Registry *sp.Registry
	Sessions *session.Manager
	Signing  *signing.Signer
	Pages    *web.Pages
	Clock    idp.Clock
	Access   *yearaccess.Gate
	// Uses records that a year was used, see recordUse. If nil, nothing is recorded.
	Uses Uses
	// SignOutPath receives the form of the page that asks for confirmation. Package authn owns it.
	// AccountPath is the page for a user who does not want to sign out.
	SignOutPath, AccountPath string

	budgets budget.Ledger[budgetKey]
}

// Mount adds the handler's URLs to the router.
func (h *Handler) Mount(router *web.Router) {
	receive := nameSender(h.receiveRequest)
	router.Handle("/api/saml/logout{year}", web.Methods{http.MethodGet: receive, http.MethodPost: receive})
	router.Handle("/api/saml/remotelogout{year}", web.Methods{http.MethodPost: h.receiveRemote})
	router.Handle(ContinuePath, web.Methods{http.MethodGet: nameSender(h.resumeLogout)})
}

// nameSender makes the page of an error name the service provider and link back to it, once
// step has set it.
func nameSender(step func(http.ResponseWriter, *http.Request, *acceptedRequest) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var a acceptedRequest
		err := step(w, r, &a)
		if a.provider == nil {
			return err
		}
		return web.NameSender(a.describeSender(), err)
	}
}

// describeSender returns the facts about the provider that pages show. StartURL is the URL to return to and
// not the start of a sign-in, because the user signs out.
func (a *acceptedRequest) describeSender() web.Sender {
	s := web.NewSender(&a.provider.ServiceProvider, a.request != nil && a.request.CertSHA256 != "")
	s.StartURL = a.provider.ReturnToSPURL
	return s
}

// recheckYear returns the year of a request that was accepted before, if the request may still
// use it.
func (h *Handler) recheckYear(r *http.Request, a *acceptedRequest) (entry keyring.Entry, err error) {
	entry, a.preview, err = h.Access.Recheck(r, a.provider, a.request.Year, a.preview)
	return entry, err
}
