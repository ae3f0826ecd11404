package authn

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// secretGroup is the length of the groups in which the secret is shown.
const secretGroup = 4

// wrapSetUp returns a handler for the set-up of the first second factor. A user who has one is
// redirected to the code page, and one who has only recovery codes to the page that asks for one:
// the password alone must not replace a factor.
func (h *Handler) wrapSetUp(do func(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit) web.Handler {
	return h.wrapSignInStep(func(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
		if user.IsLocked() {
			return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
		}
		if user.HasSecondFactor() {
			return journey.RedirectTo(w, r, f.AddRequest(journey.CodePath))
		}
		if err := h.checkSetUp(f, pending, user); err != nil {
			return journey.ExitWithError(err)
		}
		if !account.MayAddFirstFactor(user) {
			return journey.RedirectTo(w, r, f.AddRequest(journey.RecoveryCodePath))
		}
		return do(w, r, f, pending, user)
	})
}

// checkSetUp returns the refusal of a user without a second factor who cannot satisfy the flow by
// adding one, or with a recovery code, or nil.
func (h *Handler) checkSetUp(f journey.Flow, s *idp.Session, user *idp.User) error {
	candidate := *user
	candidate.TOTPs = make([]idp.TOTP, 1)
	return f.CheckObstacles(s, &candidate, h.Accounts.Clock.Now())
}

// showSetUp answers GET /sign-in/set-up.
func (h *Handler) showSetUp(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	return journey.ExitWithPage(h.writeSetUpPage(w, r, f, pending, user, http.StatusOK, templates.SetUpPage{}))
}

// addFirstFactor answers POST /sign-in/set-up: it adds the authenticator whose code is right, and
// completes the sign-in.
func (h *Handler) addFirstFactor(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	page := templates.SetUpPage{Name: strings.TrimSpace(r.PostForm.Get(templates.FieldName))}
	showAgain := func(status int, problems templates.Problems) func() error {
		page.Problems = problems
		return h.writeSetUpPage(w, r, f, pending, user, status, page)
	}
	switch {
	case r.PostForm.Has(templates.FieldMore):
		return h.extendSetUp(w, r, f, pending, user, page)
	case h.Pages.ChooseLanguage(w, r):
		page.Notice = parseNotice(r)
		return journey.ExitWithPage(showAgain(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	code := strings.Map(dropSpace, r.PostForm.Get(templates.FieldCode))
	var nameProblem templates.Key
	if (account.NewTOTP{Name: page.Name}).Check() != nil {
		nameProblem = templates.ProblemNameInvalid
	}
	if problems := templates.NewProblems(findCodeProblem(code), nameProblem); len(problems) > 0 {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, problems))
	}
	browser := h.newBrowser(r)
	err := h.Accounts.AddFirstTOTP(r.Context(), account.FirstFactor{
		User: user.ID, SignIn: pending.ID, PasswordProvedAt: pending.LastUsedAt(idp.FactorPassword), EmailMark: pending.SignInEmailMark, Browser: &browser.use,
		Name: page.Name, Code: code, From: web.EventOf(r).Client,
	}, journey.NewOwnEvent(r, audit.FirstFactorAdded, user.ID))
	var throttledErr *account.ThrottledError
	switch {
	case errors.As(err, &throttledErr):
		return h.RetryLater(w, r, audit.CodeThrottled, user.ID, throttledErr.RetryAfter, throttledErr.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter)))
	case errors.Is(err, account.ErrWrong):
		return journey.ExitWithDecision(audit.CodeWrong, user.ID, showAgain(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemSetUpCode)))
	case errors.Is(err, account.ErrLocked):
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case errors.Is(err, account.ErrOutdated), errors.Is(err, idp.ErrSessionEnded), errors.Is(err, idp.ErrNotFound):
		// Another tab was faster, or the account was changed or deleted. GET decides what is next.
		return journey.ExitWithDecision(audit.AccountChanged, user.ID, journey.WriteRedirect(w, r, f.AddRequest(journey.SetUpPath)))
	case err != nil:
		return journey.ExitWithError(fmt.Errorf("set up factor: %w", err))
	}
	result := h.completeSignIn(w, r, f, pending, idp.FactorUse{Factor: idp.FactorTOTP, At: h.Accounts.Clock.Now()}, browser, nil)
	if result.Decision != audit.SignedIn && result.Decision != audit.SteppedUp {
		return result
	}
	if !h.Settings.NoRecoveryCodes {
		result.Answer = journey.WriteRedirect(w, r, f.AddRequest(journey.RecoveryCodesPath))
	} else if f.Service() != "" {
		// A form must not lead to another site. The account page is on this one.
		result.Answer = journey.WriteRedirect(w, r, journey.AccountPath)
	}
	return result
}

// extendSetUp answers the button that asks for more time.
func (h *Handler) extendSetUp(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User, page templates.SetUpPage) journey.Exit {
	err := h.Sessions.ExtendPending(r.Context(), pending)
	if errors.Is(err, idp.ErrNotFound) {
		return h.answerStaleCode(w, r, f)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	page.Notice = templates.NoticeMoreTime
	return journey.ExitWithPage(h.writeSetUpPage(w, r, f, pending, user, http.StatusOK, page))
}

func (h *Handler) writeSetUpPage(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User, status int, page templates.SetUpPage) func() error {
	return func() error {
		enrolment := h.Accounts.NewFirstEnrolment(user, pending.ID)
		page.Base = f.NewPageBase(h.Pages, r)
		page.Nonce, page.Languages = web.AllowScript(w), page.Languages.WithForm(templates.FormSetUp)
		page.Action, page.Request, page.Service = journey.SetUpPath, string(f.Request.Handle), string(f.Service())
		page.Email, page.URL = user.PrimaryEmail(), enrolment.URL
		for group := range slices.Chunk([]byte(enrolment.Secret), secretGroup) {
			page.Groups = append(page.Groups, string(group))
		}
		page.Time = h.newCodeTime(f, h.newPendingLimit(pending))
		return h.Pages.Render(w, status, page)
	}
}
