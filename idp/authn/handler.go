// Package authn authenticates users: the pages for password and code.
//
// Its flow: sign-in page → password → pending session → code page → code → session → back to
// the caller. A remembered browser skips the code page if the request allows it. A signed-in
// user who must prove one more factor sees only the step-up page.
//
// If a LoginRequest is waiting ("request" in the URL), the caller is the continue URL of
// package sso, which alone decides the next step. Otherwise it is the account page.
//
// Package account decides whether a password or code is right, and limits the attempts. Every
// handler returns an exit, which names the decision. The table of package audit defines the audit
// record of each decision.
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

// URL paths of this package's pages.
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
	// ContinuePath is where a sign-in for a LoginRequest continues. Package sso owns it.
	ContinuePath string
}

// Mount adds the pages to the router.
func (h *Handler) Mount(rt *web.Router) {
	rt.Handle("/", web.Methods{http.MethodGet: h.runStep(h.showHome)})
	rt.Handle(SignInPath, web.Methods{http.MethodGet: h.wrapFlowStep(h.showSignIn), http.MethodPost: h.wrapFlowStep(h.checkSignIn)})
	rt.Handle(CodePath, web.Methods{http.MethodGet: h.wrapSignInStep(h.showCode), http.MethodPost: h.wrapSignInStep(h.checkCode)})
	rt.Handle(StepUpPath, web.Methods{http.MethodGet: h.wrapStepUp(h.showStepUp), http.MethodPost: h.wrapStepUp(h.checkStepUp)})
	rt.Handle(AccountPath, web.Methods{http.MethodGet: h.wrapSessionStep(h.showEnded, h.showAccount)})
	rt.Handle(SignOutPath, web.Methods{http.MethodPost: h.runStep(h.signOut)})
	rt.Handle(stayPath, web.Methods{http.MethodGet: h.wrapSessionStep(h.showEnded, h.showStay), http.MethodPost: h.wrapSessionStep(h.showHome, h.staySignedIn)})
	rt.Handle(endPath, web.Methods{http.MethodPost: h.wrapSessionStep(h.showHome, h.endSession)})
	rt.Handle(endOthersPath, web.Methods{http.MethodPost: h.wrapSessionStep(h.showHome, h.endOtherSessions)})
	rt.Handle(forgetPath, web.Methods{http.MethodPost: h.wrapSessionStep(h.showHome, h.forgetDevice)})
	rt.Handle(forgetAllPath, web.Methods{http.MethodPost: h.wrapSessionStep(h.showHome, h.forgetAllDevices)})
}

// flow is the request that a sign-in serves, and its requirement.
type flow struct {
	request  *idp.LoginRequest
	provider *sp.Provider
	requirement     *assurance.Requirement
}

// accountFlow is the flow of a sign-in for the account page: without a request or a provider,
// with any two factors. It is read-only.
var accountFlow = flow{new(idp.LoginRequest), new(sp.Provider), &assurance.Requirement{AllowsRememberedDevice: true}}

// isForAccount reports whether the sign-in is for no request.
func (f flow) isForAccount() bool { return f.request.Handle == "" }

// mayRemember reports whether a remembered device may replace the second factor, and so
// whether to offer to remember the browser.
func (f flow) mayRemember() bool {
	return f.requirement.AllowsRememberedDevice && !f.request.ForceAuthn
}

// wrapFlowStep returns a handler for a step of a flow. Its errors get the name of the provider.
func (h *Handler) wrapFlowStep(do func(http.ResponseWriter, *http.Request, flow) exit) web.Handler {
	return h.runStep(func(w http.ResponseWriter, r *http.Request) exit {
		f, err := h.findFlow(r)
		if err != nil {
			return exitWithError(err)
		}
		x := do(w, r, f)
		if answer := x.answer; answer != nil {
			x.answer = func() error { return f.addProvider(answer()) }
		}
		return x
	})
}

// findFlow finds the flow that the URL names or, for a POST, the form. An unknown handle is an
// error whose page says how to start again, because a sign-in that ends on the account page
// would leave the user lost.
func (h *Handler) findFlow(r *http.Request) (flow, error) {
	handle := r.URL.Query().Get(templates.FieldRequest)
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return flow{}, newFormError(err)
		}
		handle = r.PostForm.Get(templates.FieldRequest)
	}
	if handle == "" {
		return accountFlow, nil
	}
	req, err := h.Sessions.LookupRequest(r, idp.RequestHandle(handle))
	switch {
	case errors.Is(err, session.ErrOtherBrowser):
		return flow{}, idp.Refuse(idp.RefusedOtherBrowser, "request", handle).WithCause(err)
	case errors.Is(err, idp.ErrNotFound):
		return flow{}, idp.Refuse(idp.RefusedStale, "request", handle).WithCause(err)
	case err != nil:
		return flow{}, err
	}
	provider, err := h.Registry.Lookup(r.Context(), req.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return flow{}, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)).WithCause(err)
	}
	if err != nil {
		return flow{}, fmt.Errorf("look up service provider of request: %w", err)
	}
	e := web.EventOf(r)
	e.Note(slog.String("sp", string(req.SP)))
	e.SP, e.Year, e.IsVerified = req.SP, req.Year, req.CertSHA256 != ""
	e.RequestLocale(req.Locale, req.ReceivedAt)
	f := flow{request: req, provider: provider}
	switch {
	case req.IsAnswered():
		return flow{}, f.addProvider(idp.Refuse(idp.RefusedAnswered, "AuthnRequest", req.MessageID))
	case !provider.Active:
		return flow{}, f.addProvider(idp.Refuse(idp.RefusedSPInactive, "Issuer", string(req.SP)))
	}
	// Resolve again, because the provider's permissions can have changed since.
	f.requirement, err = assurance.Resolve(assurance.NewContextRequest(req), &provider.ServiceProvider)
	if err != nil {
		return flow{}, f.addProvider(err)
	}
	return f, nil
}

// newPageBase returns the page's frame: the provider's name and the link back to it.
func (f flow) newPageBase(p *web.Pages, r *http.Request) templates.Base {
	b := p.SenderBase(r, f.getSender())
	b.ReturnURL = f.provider.ReturnToSPURL
	return b
}

// getSender returns the facts about the provider that pages show.
func (f flow) getSender() web.Sender {
	return web.NewSender(&f.provider.ServiceProvider, f.request.CertSHA256 != "")
}

func (f flow) addProvider(err error) error { return web.NameSender(f.getSender(), err) }

// checkObstacles returns the refusal of a user who lacks a requirement of the flow, considering the
// factors proved so far, or nil.
func (f flow) checkObstacles(s *idp.Session, u *idp.User, now time.Time) error {
	o := f.requirement.FindObstacle(s, assurance.ReadProofing(u.Proofing), u.Factors(), now)
	if o == nil {
		return nil
	}
	return web.NewLackError(&f.provider.ServiceProvider, f.getSender(), o)
}

// addRequest adds the flow's handle to one of our URLs.
func (f flow) addRequest(path string) string {
	if f.isForAccount() {
		return path
	}
	return path + "?request=" + url.QueryEscape(string(f.request.Handle))
}

// chooseNextURL returns the URL at which the user continues after signing in.
func (h *Handler) chooseNextURL(f flow) string {
	if f.isForAccount() {
		return AccountPath
	}
	return f.addRequest(h.ContinuePath)
}

func writeRedirect(w http.ResponseWriter, r *http.Request, to string) func() error {
	return func() error {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
}

// redirectTo ends with a redirect, without a decision.
func redirectTo(w http.ResponseWriter, r *http.Request, to string) exit {
	return exitWithPage(writeRedirect(w, r, to))
}

// retryLater ends with a page that asks the client to wait. limit names the limit that was
// reached.
func (h *Handler) retryLater(w http.ResponseWriter, r *http.Request, d audit.Decision, user idp.UserID, wait time.Duration, limit string, page func() error) exit {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	web.EventOf(r).Note(slog.String("limit", limit))
	status, key := http.StatusTooManyRequests, "too_many"
	if d == audit.PasswordBusy {
		status, key = http.StatusServiceUnavailable, "unavailable"
	}
	x := exitWithDecision(d, user, func() error { return h.Pages.AnswerForm(w, r, status, key, page) })
	x.detail = map[string]string{"limit": limit}
	return x
}

// newFormError returns the error for a form that is not one of ours.
func newFormError(err error) error {
	return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: fmt.Errorf("read form: %w", err)}
}

// loadUser loads the user of a session. A user who was deleted since no longer has one.
func (h *Handler) loadUser(ctx context.Context, id idp.UserID) (*idp.User, error) {
	u, err := h.Users.User(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load user: %w", err)
	}
	return u, nil
}
