package journey

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
	"vernal/idp/assurance"
	"vernal/idp/audit"
	"vernal/idp/session"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/templates"
)

// Flow is the request that a sign-in is for, and its requirement.
type Flow struct {
	Request     *idp.LoginRequest
	Provider    *sp.Provider
	Requirement *assurance.Requirement
}

// AccountFlow is the flow of a sign-in for the account page: without a request or a provider,
// with any two factors. It is read-only.
var AccountFlow = Flow{new(idp.LoginRequest), new(sp.Provider), &assurance.Requirement{AllowsRememberedDevice: true}}

// IsForAccount reports whether the sign-in is for no request.
func (f Flow) IsForAccount() bool { return f.Request.Handle == "" }

// MayRemember reports whether a remembered device may replace the second factor, and so
// whether to offer to remember the browser.
func (f Flow) MayRemember() bool {
	return f.Requirement.AllowsRememberedDevice && !f.Request.ForceAuthn
}

// WrapFlowStep returns a handler for a step of a flow. It adds the provider to errors.
func (s *Service) WrapFlowStep(do func(http.ResponseWriter, *http.Request, Flow) Exit) web.Handler {
	return s.RunStep(func(w http.ResponseWriter, r *http.Request) Exit {
		f, err := s.FindFlow(r)
		if err != nil {
			return ExitWithError(err)
		}
		result := do(w, r, f)
		if answer := result.Answer; answer != nil {
			result.Answer = func() error { return f.NameProvider(answer()) }
		}
		return result
	})
}

// FindFlow finds the flow of the handle in the URL or, for a POST, in the form. An unknown handle
// is an error whose page says how to start again, because a sign-in that ends on the account page
// would not bring the user back to the service provider.
func (s *Service) FindFlow(r *http.Request) (Flow, error) {
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return Flow{}, NewFormError(err)
		}
		values = r.PostForm
	}
	if handle := values.Get(templates.FieldRequest); handle != "" {
		return s.FindRequestFlow(r, idp.RequestHandle(handle))
	}
	return s.FindServiceFlow(r.Context(), idp.EntityID(values.Get(templates.FieldService)))
}

// FindServiceFlow returns the flow of a user who comes from a service provider without a request that
// this browser can continue: afterwards the user starts again at the provider. It is AccountFlow for
// "", and for a provider that does not exist or is not active.
func (s *Service) FindServiceFlow(ctx context.Context, id idp.EntityID) (Flow, error) {
	if id == "" {
		return AccountFlow, nil
	}
	provider, err := s.Registry.Lookup(ctx, id)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return AccountFlow, nil
	case err != nil:
		return Flow{}, fmt.Errorf("look up service provider: %w", err)
	case !provider.Active || provider.StartURL() == "":
		return AccountFlow, nil
	}
	return Flow{AccountFlow.Request, provider, AccountFlow.Requirement}, nil
}

// FindLinkFlow returns the flow of a mailed link: that of its request in the browser that sent the
// request, and otherwise that of its service provider.
func (s *Service) FindLinkFlow(r *http.Request, service idp.EntityID, handle idp.RequestHandle) (Flow, error) {
	if handle != "" {
		f, err := s.FindRequestFlow(r, handle)
		if _, isRefused := errors.AsType[*idp.Refusal](err); err == nil || !isRefused {
			return f, err
		}
	}
	return s.FindServiceFlow(r.Context(), service)
}

// FindRequestFlow returns the flow of a request that this browser sent, or a refusal.
func (s *Service) FindRequestFlow(r *http.Request, handle idp.RequestHandle) (Flow, error) {
	req, err := s.Sessions.LookupRequest(r, handle)
	switch {
	case errors.Is(err, session.ErrOtherBrowser):
		return Flow{}, idp.Refuse(idp.RefusedOtherBrowser, "request", string(handle)).WithCause(err)
	case errors.Is(err, idp.ErrNotFound):
		return Flow{}, idp.Refuse(idp.RefusedStale, "request", string(handle)).WithCause(err)
	case err != nil:
		return Flow{}, err
	}
	provider, err := s.Registry.Lookup(r.Context(), req.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return Flow{}, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)).WithCause(err)
	}
	if err != nil {
		return Flow{}, fmt.Errorf("look up service provider of request: %w", err)
	}
	e := web.EventOf(r)
	e.Note(slog.String("sp", string(req.SP)))
	e.SP, e.Year, e.IsVerified = req.SP, req.Year, req.CertSHA256 != ""
	e.RequestLocale(req.Locale, req.ReceivedAt)
	f := Flow{Request: req, Provider: provider}
	switch {
	case req.IsAnswered():
		return Flow{}, f.NameProvider(idp.Refuse(idp.RefusedAnswered, "AuthnRequest", req.MessageID))
	case !provider.Active:
		return Flow{}, f.NameProvider(idp.Refuse(idp.RefusedSPInactive, "Issuer", string(req.SP)))
	}
	// Resolve again, because the provider's permissions can have changed since the request
	// arrived.
	f.Requirement, err = assurance.Resolve(assurance.NewContextRequest(req), &provider.ServiceProvider)
	if err != nil {
		return Flow{}, f.NameProvider(err)
	}
	return f, nil
}

// NewPageBase returns the page's frame: the provider's name and the link back to it.
func (f Flow) NewPageBase(p *web.Pages, r *http.Request) templates.Base {
	base := p.SenderBase(r, f.Sender())
	base.ReturnURL = f.Provider.ReturnToSPURL
	return base
}

// Sender returns the facts about the provider that pages show.
func (f Flow) Sender() web.Sender {
	return web.NewSender(&f.Provider.ServiceProvider, f.Request.CertSHA256 != "")
}

func (f Flow) NameProvider(err error) error { return web.NameSender(f.Sender(), err) }

// CheckObstacles returns the refusal of a user who cannot satisfy the requirement of the Flow,
// considering the factors proved so far, or nil.
func (f Flow) CheckObstacles(current *idp.Session, u *idp.User, now time.Time) error {
	obstacle := f.Requirement.FindUserObstacle(current, u, now)
	if obstacle == nil {
		return nil
	}
	return web.NewLackError(&f.Provider.ServiceProvider, f.Sender(), obstacle)
}

// Service returns the service provider at which the user starts again afterwards; "" if there is a
// request, or neither.
func (f Flow) Service() idp.EntityID {
	if f.IsForAccount() {
		return f.Provider.EntityID
	}
	return ""
}

// AddRequest adds the flow's handle to one of our URLs.
func (f Flow) AddRequest(path string) string {
	switch {
	case f.Service() != "":
		return path + "?" + templates.FieldService + "=" + url.QueryEscape(string(f.Service()))
	case f.IsForAccount():
		return path
	}
	return path + "?request=" + url.QueryEscape(string(f.Request.Handle))
}

// NextURL returns the URL at which the user continues after signing in.
func (s *Service) NextURL(f Flow) string {
	switch {
	case f.Service() != "":
		return f.AddRequest(ToServicePath)
	case f.IsForAccount():
		return AccountPath
	}
	return f.AddRequest(s.ContinuePath)
}

func WriteRedirect(w http.ResponseWriter, r *http.Request, target string) func() error {
	return func() error {
		http.Redirect(w, r, target, http.StatusSeeOther)
		return nil
	}
}

// RedirectTo ends with a redirect, without a decision.
func RedirectTo(w http.ResponseWriter, r *http.Request, target string) Exit {
	return ExitWithPage(WriteRedirect(w, r, target))
}

// RetryLater ends with a page that asks the client to wait. limit names the limit that was
// reached.
func (s *Service) RetryLater(w http.ResponseWriter, r *http.Request, d audit.Decision, user idp.UserID, wait time.Duration, limit string, page func() error) Exit {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	web.EventOf(r).Note(slog.String("limit", limit))
	status, key := http.StatusTooManyRequests, "too_many"
	if d == audit.PasswordBusy {
		status, key = http.StatusServiceUnavailable, "unavailable"
	}
	result := ExitWithDecision(d, user, func() error { return s.Pages.AnswerForm(w, r, status, key, page) })
	result.Detail = map[string]string{"limit": limit}
	return result
}

// NewFormError returns the error for a form that is not one of ours.
func NewFormError(err error) error {
	return &web.Error{Status: http.StatusBadRequest, Key: "bad_form", Err: fmt.Errorf("read form: %w", err)}
}

// LoadUser loads the user of a session. The error matches idp.ErrNotFound if the user was deleted.
func (s *Service) LoadUser(ctx context.Context, id idp.UserID) (*idp.User, error) {
	u, err := s.Users.User(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load user: %w", err)
	}
	return u, nil
}

// WrapSessionStep returns a handler for a page or form of the user's own account. answerEnded
// answers a browser without a session, with the reason or with a redirect to the page that shows it.
func (s *Service) WrapSessionStep(answerEnded Step, do func(http.ResponseWriter, *http.Request, *idp.Session) Exit) web.Handler {
	return s.RunStep(func(w http.ResponseWriter, r *http.Request) Exit {
		current, err := s.CurrentSession(r)
		if errors.Is(err, idp.ErrNotFound) {
			return answerEnded(w, r)
		}
		if err != nil {
			return ExitWithError(err)
		}
		return do(w, r, current)
	})
}

// NewOwnEvent returns the audit event of a user's action on their own account.
func NewOwnEvent(r *http.Request, d audit.Decision, user idp.UserID) idp.AuditEvent {
	e := web.AuditEvent(r, d, user)
	e.Actor = "user:" + string(user)
	return e
}
