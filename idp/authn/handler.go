// Package authn proves who a person is: the pages for password and code.
//
// Its flow: sign-in page → password → pending session → code page → code →
// session → back to whoever asked. A browser that the person asked to be
// remembered in passes the code page, where the request allows it. Somebody who
// is signed in and must prove a factor more sees the step-up page alone.
//
// The user who asked is, with a LoginRequest that waits ("request" in the address), the
// continue address of package sso, which alone decides what comes next; without
// one it is the account page.
//
// What a right password or code is, and how often one may try, is decided by
// package account. Every handler returns an exit, which names what was decided; what
// the audit trail gets of it is the table of package audit.
package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/assurance"
	"vernal/idp/audit"
	"vernal/idp/session"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/templates"
)

// Addresses of this package's pages.
const (
	SignInPath  = "/sign-in"
	CodePath    = "/sign-in/code"
	StepUpPath  = "/sign-in/step-up"
	AccountPath = "/account"
	SignOutPath = "/account/sign-out"

	stayPath      = "/account/stay"
	endPath       = "/account/sessions/end"
	endOthersPath = "/account/sessions/end-others"
	forgetPath    = "/account/devices/forget"
	forgetAllPath = "/account/devices/forget-all"
)

// Handler serves the pages. All fields are required.
type Handler struct {
	Accounts *account.Service
	Users    idp.UserStore
	Sessions *session.Manager
	Registry *sp.Registry
	Pages    *web.Pages
	// ContinuePath is where a sign-in for a LoginRequest goes on; package sso
	// owns it.
	ContinuePath string
}

// Mount adds the pages to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle("/", web.Methods{http.MethodGet: h.runStep(h.showHome)})
	rt.Handle(SignInPath, web.Methods{http.MethodGet: h.inFlow(h.showSignIn), http.MethodPost: h.inFlow(h.checkSignIn)})
	rt.Handle(CodePath, web.Methods{http.MethodGet: h.inSignIn(h.showCode), http.MethodPost: h.inSignIn(h.checkCode)})
	rt.Handle(StepUpPath, web.Methods{http.MethodGet: h.inStepUp(h.showStepUp), http.MethodPost: h.inStepUp(h.checkStepUp)})
	rt.Handle(AccountPath, web.Methods{http.MethodGet: h.inSession(h.showEnded, h.showAccount)})
	rt.Handle(SignOutPath, web.Methods{http.MethodPost: h.runStep(h.signOut)})
	rt.Handle(stayPath, web.Methods{http.MethodGet: h.inSession(h.showEnded, h.showStay), http.MethodPost: h.inSession(h.showHome, h.staySignedIn)})
	rt.Handle(endPath, web.Methods{http.MethodPost: h.inSession(h.showHome, h.endOne)})
	rt.Handle(endOthersPath, web.Methods{http.MethodPost: h.inSession(h.showHome, h.endOthers)})
	rt.Handle(forgetPath, web.Methods{http.MethodPost: h.inSession(h.showHome, h.forgetOne)})
	rt.Handle(forgetAllPath, web.Methods{http.MethodPost: h.inSession(h.showHome, h.forgetAll)})
}

// flow is the request that a sign-in is for, and what it needs.
type flow struct {
	request  *idp.LoginRequest
	provider *sp.Provider
	need     *assurance.Requirement
}

// forAccount is the flow of a sign-in for the account page: for no request and no
// provider, with any two factors. It is read-only.
var forAccount = flow{new(idp.LoginRequest), new(sp.Provider), &assurance.Requirement{RememberedDevice: true}}

// isForAccount reports whether the sign-in is for no request.
func (f flow) isForAccount() bool { return f.request.Handle == "" }

// mayRemember reports whether a remembered device may stand for the second
// factor, and so whether it makes sense to offer that one be remembered.
func (f flow) mayRemember() bool {
	return f.need.RememberedDevice && !f.request.ForceAuthn
}

// inFlow makes a handler of a step of a flow. An error of it gets the name of the provider.
func (h *Handler) inFlow(do func(http.ResponseWriter, *http.Request, flow) exit) web.Handler {
	return h.runStep(func(w http.ResponseWriter, r *http.Request) exit {
		f, err := h.flowOf(r)
		if err != nil {
			return endFailed(err)
		}
		x := do(w, r, f)
		if answer := x.answer; answer != nil {
			x.answer = func() error { return f.addProvider(answer()) }
		}
		return x
	})
}

// flowOf finds the flow that the URL names or, if it is posted, the form. A handle
// that leads nowhere is an error with a page that says how to begin again: to sign in
// and then see the account page would leave the user lost.
func (h *Handler) flowOf(r *http.Request) (flow, error) {
	handle := r.URL.Query().Get(templates.FieldRequest)
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return flow{}, badForm(err)
		}
		handle = r.PostForm.Get(templates.FieldRequest)
	}
	if handle == "" {
		return forAccount, nil
	}
	req, err := h.Sessions.Request(r, idp.RequestHandle(handle))
	switch {
	case errors.Is(err, session.ErrOtherBrowser):
		return flow{}, idp.Refuse(idp.RefusedOtherBrowser, "request", "").With(err)
	case errors.Is(err, idp.ErrNotFound):
		return flow{}, idp.Refuse(idp.RefusedStale, "request", "").With(err)
	case err != nil:
		return flow{}, err
	}
	provider, err := h.Registry.Lookup(r.Context(), req.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return flow{}, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)).With(err)
	}
	if err != nil {
		return flow{}, fmt.Errorf("look up service provider of request: %w", err)
	}
	e := web.EventOf(r)
	e.Note(slog.String("sp", string(req.SP)))
	e.SP, e.Year, e.Verified = req.SP, req.Year, req.CertSHA256 != ""
	e.Ask(req.Locale, req.ReceivedAt)
	f := flow{request: req, provider: provider}
	switch {
	case req.Answered():
		return flow{}, f.addProvider(idp.Refuse(idp.RefusedAnswered, "AuthnRequest", req.MessageID))
	case !provider.Active:
		return flow{}, f.addProvider(idp.Refuse(idp.RefusedSPInactive, "Issuer", string(req.SP)))
	}
	// Resolved anew: what the provider may ask can have changed since.
	f.need, err = assurance.Resolve(assurance.AskOf(req), &provider.ServiceProvider)
	if err != nil {
		return flow{}, f.addProvider(err)
	}
	return f, nil
}

// pageBase is the page's frame: the provider's name and the way back to it.
func (f flow) pageBase(p *web.Pages, r *http.Request) templates.Base {
	b := p.Base(r, f.provider.Name)
	b.ReturnURL = f.provider.ReturnToSPURL
	return b
}

// addProvider gives an error the provider's name and start address.
func (f flow) addProvider(err error) error {
	return web.NameSender(f.provider.Name, f.provider.StartURL(), err)
}

// obstacleError is the refusal of a person who lacks what the flow needs, given what
// they have proved so far; nil if they do not.
func (f flow) obstacleError(s *idp.Session, u *idp.User, now time.Time) error {
	o := f.need.Obstacle(s, assurance.ProofingOf(u.Proofed), u.Factors(), now)
	if o == nil {
		return nil
	}
	return web.Lacking(&f.provider.ServiceProvider, o)
}

// withRequest adds the flow's handle to one of our addresses.
func (f flow) withRequest(path string) string {
	if f.isForAccount() {
		return path
	}
	return path + "?request=" + url.QueryEscape(string(f.request.Handle))
}

// nextURL is where the person goes once signed in.
func (h *Handler) nextURL(f flow) string {
	if f.isForAccount() {
		return AccountPath
	}
	return f.withRequest(h.ContinuePath)
}

// writeRedirect sends the browser on after a decision.
func writeRedirect(w http.ResponseWriter, r *http.Request, to string) func() error {
	return func() error {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
}

// redirectTo sends the browser on where nothing was decided.
func redirectTo(w http.ResponseWriter, r *http.Request, to string) exit {
	return endShown(writeRedirect(w, r, to))
}

// retryLater ends with a page that has the client wait for so long. limit is the bound
// that was met.
func (h *Handler) retryLater(w http.ResponseWriter, r *http.Request, d audit.Decision, user idp.UserID, wait time.Duration, limit string, page func() error) exit {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	web.EventOf(r).Note(slog.String("limit", limit))
	status, key := http.StatusTooManyRequests, "too_many"
	if d == audit.PasswordBusy {
		status, key = http.StatusServiceUnavailable, "unavailable"
	}
	x := endDecided(d, user, func() error { return h.Pages.AnswerForm(w, r, status, key, page) })
	x.detail = map[string]string{"limit": limit}
	return x
}

// badForm is the answer to a form that is not one of ours.
func badForm(err error) error {
	return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: fmt.Errorf("read form: %w", err)}
}

// loadUser loads a person who has a session. A person who was deleted meanwhile
// has none any more.
func (h *Handler) loadUser(ctx context.Context, id idp.UserID) (*idp.User, error) {
	u, err := h.Users.User(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load person: %w", err)
	}
	return u, nil
}
