// Package sso is single sign-on: it takes an AuthnRequest, waits while the user
// signs in, and answers with a Response.
//
// The flow, from the router to the signer:
//
//	 1 Mount                 auth{year} and the continue URL             handler.go
//	 2 receiveRequest        a message arrives, by GET or POST           receive.go
//	 3 yearaccess.Begin      the year of the URL
//	 4 saml.Read             bytes -> one tree
//	 5 inbound.Accept        verified and checked, by package inbound    accept.go
//	 6 yearaccess.Admit      may the sender use the year?
//	 7 keepRequest           stored, or held by the browser              waiting.go
//	 8 resumeRequest         every step of the sign-in returns here      resume.go
//	 9 decideStep            the one decision, nextStep, and the Subject next.go, subject.go
//	10 issueAssertion        the one write, which decides again          issue.go
//	11 signResponse          the year, once more; then its signer        issue.go
//	12 postResponse          the page that posts; NoPassive              post.go
//
// A GET with a sufficient session skips 7 and 8. limiter.go bounds how many signatures
// unauthenticated senders can cause at once.
//
// Package authn signs the user in. The two packages meet through the LoginRequest that waits,
// in the store or in the browser, and the continue URL. Nothing of an AuthnRequest is stored
// until it has passed inbound.Accept. Every failure ends in a page here and never in a message
// to a URL that is not registered.
//
// Between a request and its answer the year can end, and the registration of the
// service provider (SP) can change. Package signing has both checked again
// within the write of the answer and before its signature.
//
// Package yearaccess decides whether a request may use its year: once in each HTTP request,
// and last before the signature. If the request may not, the answer is the 404 of a year that
// never existed, whether or not the request is otherwise valid.
package sso

import (
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

// ContinuePath is where a sign-in returns, with the request's handle in the parameter
// "request".
const ContinuePath = "/sign-in/continue"

// passiveLifetime is how long we keep a request that forbids asking the user. It waits for no
// user, so it must only outlive the time in which its message would be accepted again:
// saml.MaxAge plus twice saml.MaxSkew.
const passiveLifetime = time.Hour

// Store holds the records that single sign-on reads and writes.
type Store interface {
	idp.SessionStore
	idp.UserStore
	RestoredAt() time.Time
}

// Uses records that a service provider used a year. Use must not block.
type Uses interface {
	Use(u idp.Use)
}

// Handler serves auth{year} and the continue URL. All fields except Uses are required.
type Handler struct {
	IdP      metadata.IdP
	Store    Store
	Registry *sp.Registry
	Sessions *session.Manager
	Signing  *signing.Signer
	Pages    *web.Pages
	Clock    idp.Clock
	Access   *yearaccess.Gate
	// SignInPath is where a user signs in. StepUpPath is where a user with a session proves
	// one more factor. Package authn owns both.
	SignInPath, StepUpPath string
	// SignUpPath is where a user creates an account, "" without that page. Package signup owns it.
	SignUpPath string
	// Uses records that a year was used, see recordUse. If nil, no use is recorded.
	Uses Uses

	budgets       budget.Ledger[budgetKey]
	senderLimiter limiter // bounds the signatures for unauthenticated senders
}

// recordUse records that a year is in use: by a verified signature of an active service provider
// or, where requests are unsigned, by an issued assertion. No message of an unauthenticated sender
// counts, because the retirement of a year waits for use to end. No preview and no rehearsal counts
// either.
func (h *Handler) recordUse(req *idp.LoginRequest, at time.Time) {
	if h.Uses == nil || req.Preview != "" || req.SP == idp.RehearsalSP {
		return
	}
	h.Uses.Use(idp.Use{
		SP: req.SP, Year: req.Year, At: at, CertSHA256: req.CertSHA256,
		RelayStateLength: len(req.RelayState), IssuedAt: req.IssuedAt, ReceivedAt: req.ReceivedAt,
	})
}

// Mount adds the handler's URLs to the router.
func (h *Handler) Mount(router *web.Router) {
	receive := nameSender(h.receiveRequest)
	router.Handle("/api/saml/auth{year}", web.Methods{http.MethodGet: receive, http.MethodPost: receive})
	router.Handle(ContinuePath, web.Methods{http.MethodGet: nameSender(h.resumeRequest)})
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

// describeSender returns the provider's details for pages.
func (a *acceptedRequest) describeSender() web.Sender {
	verified := a.cert != nil || a.request != nil && a.request.CertSHA256 != ""
	return web.NewSender(&a.provider.ServiceProvider, verified)
}

// recheckYear opens the year again for a request that was accepted before, if the request may
// still use it.
func (h *Handler) recheckYear(r *http.Request, p *sp.Provider, req *idp.LoginRequest) (entry keyring.Entry, err error) {
	entry, req.Preview, err = h.Access.Recheck(r, p, req.Year, req.Preview)
	return entry, err
}

// newUserError returns the refusal of a user with its page: the missing requirement, if the
// refusal is about one, or how to sign in as another user, and the link back.
func (h *Handler) newUserError(a *acceptedRequest, s step) error {
	switch {
	case s.obstacle != nil:
		return web.NewLackError(&a.provider.ServiceProvider, a.describeSender(), s.obstacle)
	case s.refusal.Code == idp.RefusedSubject:
		return &web.Error{Sender: a.describeSender(), SignInURL: h.makeSignInURL(a.request), Err: s.refusal}
	}
	return s.refusal
}

// makeFirstURL returns the URL at which a user without a session begins.
func (h *Handler) makeFirstURL(req *idp.LoginRequest) string {
	if req.AsksForSignUp && h.SignUpPath != "" {
		return h.SignUpPath + "?request=" + url.QueryEscape(string(req.Handle))
	}
	return h.makeSignInURL(req)
}

func (h *Handler) makeSignInURL(req *idp.LoginRequest) string {
	return h.SignInPath + "?request=" + url.QueryEscape(string(req.Handle))
}
