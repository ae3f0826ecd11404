package authn

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// wrapStepUp returns a handler for a step of the step-up.
func (h *Handler) wrapStepUp(do func(w http.ResponseWriter, r *http.Request, f journey.Flow, s *idp.Session, user *idp.User) journey.Exit) web.Handler {
	return h.WrapFlowStep(func(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
		s, user, err := h.findStepUpSession(r, f)
		if err != nil {
			return journey.ExitWithError(err)
		}
		if user == nil {
			return journey.RedirectTo(w, r, h.NextURL(f))
		}
		// The visit extends the session, so that the user has its whole idle time for
		// the code.
		if r.Method != http.MethodHead {
			if err := h.Sessions.Touch(r.Context(), s); err != nil {
				return journey.ExitWithError(err)
			}
		}
		return do(w, r, f, s, user)
	})
}

// showStepUp answers GET /sign-in/step-up: the code page of a user who is signed in with less
// than the request needs.
func (h *Handler) showStepUp(w http.ResponseWriter, r *http.Request, f journey.Flow, s *idp.Session, user *idp.User) journey.Exit {
	return journey.ExitWithPage(h.writeCodePage(w, r, f, user, http.StatusOK, newStepUpPage(f), h.newSessionLimit(s)))
}

// checkStepUp answers POST /sign-in/step-up: it checks the missing factor and starts a new
// session that keeps the factors of the old one.
func (h *Handler) checkStepUp(w http.ResponseWriter, r *http.Request, f journey.Flow, s *idp.Session, user *idp.User) journey.Exit {
	if r.PostForm.Has(templates.FieldMore) {
		return h.showMoreTime(w, r, f, user, newStepUpPage(f), h.newSessionLimit(s))
	}
	from := web.EventOf(r).Client
	refusal, ok := h.proveCode(w, r, f, user, newStepUpPage(f), h.newSessionLimit(s), func(code string) error {
		return h.Accounts.CheckTOTP(r.Context(), user.ID, code, from)
	})
	if !ok {
		return refusal
	}
	redirect := journey.WriteRedirect(w, r, h.NextURL(f))
	_, err := h.Sessions.StepUp(w, r, s, idp.FactorTOTP, newProofEvent(r, audit.SteppedUp, user.ID, string(idp.FactorTOTP)))
	switch {
	case errors.Is(err, idp.ErrSessionEnded), errors.Is(err, idp.ErrNotFound):
		return journey.ExitWithDecision(audit.AccountChanged, user.ID, redirect) // package sso sees that the session has ended
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithDecision(audit.SteppedUp, user.ID, redirect)
}

// newStepUpPage returns the code page of a step-up.
func newStepUpPage(f journey.Flow) templates.CodePage {
	return templates.CodePage{
		Action: journey.StepUpPath, Notice: templates.NoticeStepUp, NoticeArgs: []string{f.Provider.Name},
		RecoveryURL: f.AddRequest(journey.SignInPath), // recovery codes belong to a new sign-in
	}
}

// findStepUpSession returns the browser's session and its user if the session lacks only a code
// for the flow. Otherwise both are nil, and another page decides the next step.
func (h *Handler) findStepUpSession(r *http.Request, f journey.Flow) (*idp.Session, *idp.User, error) {
	if f.IsForAccount() {
		return nil, nil, nil
	}
	s, err := h.CurrentSession(r)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if f.Requirement.FindMissing(s, h.Accounts.Clock.Now()) != assurance.MissingSecondFactor {
		return nil, nil, nil
	}
	user, err := h.LoadUser(r.Context(), s.User)
	if errors.Is(err, idp.ErrNotFound) || err == nil && (user.IsLocked() || len(user.TOTPs) == 0) {
		return nil, nil, nil
	}
	return s, user, err
}
