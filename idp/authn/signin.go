package authn

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// showSignIn answers GET /sign-in. For a request it ignores a live session, because the page that
// sends a user here has decided that they must sign in.
func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	page := templates.SignInPage{}
	isSignedIn := func() bool {
		_, err := h.Sessions.LookupCurrent(r)
		return err == nil
	}
	switch {
	case f.Request.ForceAuthn && isSignedIn():
		page.Notice = templates.NoticeForceAuthn
	case r.URL.Query().Has(journey.ResetParameter):
		page.Notice = templates.NoticePasswordReset
	// Near the end of a session, users may begin another one early.
	case f.IsForAccount() && !r.URL.Query().Has("again") && isSignedIn():
		return journey.RedirectTo(w, r, journey.AccountPath)
	}
	return journey.ExitWithPage(h.writeSignInPage(w, r, f, http.StatusOK, page))
}

// checkSignIn answers POST /sign-in: it checks the password.
func (h *Handler) checkSignIn(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	email := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	password := r.PostForm.Get(templates.FieldPassword)
	showAgain := func(status int, problems templates.Problems) func() error {
		return h.writeSignInPage(w, r, f, status, templates.SignInPage{Email: email, Problems: problems})
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(h.writeSignInPage(w, r, f, http.StatusOK, templates.SignInPage{
			Email: email, Problems: templates.ParseProblems(r.PostForm[templates.FieldProblem]), Notice: parseNotice(r),
		}))
	}
	wrongPage := showAgain(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemSignInWrong))
	if problems := findSignInProblems(email, password); len(problems) > 0 {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, problems))
	}

	user, err := h.Accounts.CheckBrowserPassword(r.Context(), email, password, web.EventOf(r).Client, h.Sessions.BrowserHashes(r))
	var throttledErr *account.ThrottledError
	var busyErr *account.BusyError
	switch {
	case errors.As(err, &throttledErr):
		return h.RetryLater(w, r, audit.PasswordThrottled, "", throttledErr.RetryAfter, throttledErr.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter)))
	case errors.As(err, &busyErr):
		web.EventOf(r).Raise(slog.LevelWarn) // caused by a flood or by a machine that is too small
		return h.RetryLater(w, r, audit.PasswordBusy, "", busyErr.RetryAfter, busyErr.Limit,
			showAgain(http.StatusServiceUnavailable, templates.NewProblems(templates.ProblemBusy)))
	case errors.Is(err, account.ErrWrong):
		if wrongUser := account.FindErrorUser(err); wrongUser != "" {
			return journey.ExitWithDecision(audit.PasswordWrong, wrongUser, wrongPage)
		}
		return journey.ExitWithDecision(audit.PasswordUnknown, "", wrongPage)
	case errors.Is(err, account.ErrLocked):
		web.EventOf(r).User = account.FindErrorUser(err)
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case err != nil:
		return journey.ExitWithError(err)
	}
	web.EventOf(r).User = user.ID
	return h.beginSignIn(w, r, f, user, email, wrongPage)
}

// beginSignIn continues after a right password: to the code page, or past it in a remembered
// browser. Two factors are always required, because a password alone proves too little to any
// service provider. wrongPage is for a password that is no longer right.
func (h *Handler) beginSignIn(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User, email string, wrongPage func() error) journey.Exit {
	now := h.Accounts.Clock.Now()
	candidate := &idp.Session{User: user.ID, Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}}}
	nextPath, err := h.chooseSecondStep(f, candidate, user, now)
	if err != nil {
		return journey.ExitWithError(err)
	}
	// A right password without a following code is the surest sign of a stolen password,
	// so it is recorded now and not when the sign-in is complete.
	events := h.Pages.TakeDecision(r, audit.PasswordRight, user.ID)
	pending, err := h.Sessions.StartPending(w, r, user.ID, h.Accounts.EmailMark(user.ID, email), events...)
	if errors.Is(err, idp.ErrNotFound) { // deleted at this moment
		return journey.ExitWithDecision(audit.AccountChanged, user.ID, wrongPage)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	// Read the record again after the pending session was stored. A later lock or new password
	// ends that session. One that came before the session was stored did not, so end the
	// session here.
	latestUser, err := h.LoadUser(r.Context(), user.ID)
	if err != nil || latestUser.IsLocked() || !latestUser.PasswordChangedAt.Equal(user.PasswordChangedAt) {
		if err := h.Sessions.AbandonSignIn(w, r, pending); err != nil {
			return journey.ExitWithError(err)
		}
	}
	switch {
	case errors.Is(err, idp.ErrNotFound), err == nil && !latestUser.PasswordChangedAt.Equal(user.PasswordChangedAt):
		return journey.ExitWithDecision(audit.AccountChanged, user.ID, wrongPage)
	case err != nil:
		return journey.ExitWithError(err)
	case latestUser.IsLocked():
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	if account.MayAddFirstFactor(latestUser) {
		return journey.ExitWithDecision(audit.PasswordRight, user.ID, journey.WriteRedirect(w, r, f.AddRequest(journey.SetUpPath)))
	}
	if device, ok := h.Sessions.LookupRemembered(r, latestUser); ok && f.MayRemember() {
		// A device that is removed at this moment no longer counts.
		browser := h.newBrowser(r)
		signIn := account.SignIn{EmailMark: pending.SignInEmailMark, Browser: &browser.use}
		device.At, err = h.Accounts.UseDevice(r.Context(), user.ID, h.Sessions.DeviceHash(r), signIn)
		if err == nil {
			return h.completeSignIn(w, r, f, pending, device, browser, nil)
		}
		if !errors.Is(err, idp.ErrNotFound) {
			return journey.ExitWithError(err)
		}
	}
	return journey.ExitWithDecision(audit.PasswordRight, user.ID, journey.WriteRedirect(w, r, f.AddRequest(nextPath)))
}

// chooseSecondStep returns the page that asks for the second factor, or the refusal of a user who
// cannot satisfy the flow with any.
func (h *Handler) chooseSecondStep(f journey.Flow, candidate *idp.Session, user *idp.User, now time.Time) (path string, err error) {
	switch {
	case account.MayAddFirstFactor(user):
		return journey.SetUpPath, h.checkSetUp(f, candidate, user)
	case !user.HasSecondFactor(): // the user has recovery codes
		return journey.RecoveryCodePath, h.checkSetUp(f, candidate, user)
	case f.NeedsRecoveryCode(candidate, user, now):
		return journey.RecoveryCodePath, nil
	}
	return journey.CodePath, f.CheckObstacles(candidate, user, now)
}

// findSignInProblems returns all problems of a form that can be found without looking a user up.
func findSignInProblems(email, password string) templates.Problems {
	var emailProblem, passwordProblem templates.Key
	switch {
	case email == "":
		emailProblem = templates.ProblemEmailMissing
	case !strings.Contains(email, "@") || len(email) > 254:
		emailProblem = templates.ProblemEmailInvalid
	}
	if password == "" {
		passwordProblem = templates.ProblemPasswordMissing
	}
	return templates.NewProblems(emailProblem, passwordProblem)
}

func (h *Handler) writeSignInPage(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, page templates.SignInPage) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		if page.Notice == templates.NoticeForceAuthn {
			page.NoticeArgs = []string{f.Provider.Name}
		}
		page.Nonce, page.Languages.Form = web.AllowScript(w), chooseLanguageForm(page.Languages, templates.FormSignIn)
		page.Action = journey.SignInPath
		page.ForgotURL = f.AddRequest(journey.ForgotPath)
		page.HelpText = f.Provider.HelpText
		page.Request, page.Service = string(f.Request.Handle), string(f.Service())
		if h.OffersSignUp() {
			page.SignUpURL = f.AddRequest(journey.SignUpPath)
		}
		return h.Pages.Render(w, status, page)
	}
}

// parseNotice returns the notice of the page whose language is switched.
func parseNotice(r *http.Request) templates.Key {
	return templates.ParseNotice(r.PostForm.Get(templates.FieldNotice))
}

// chooseLanguageForm returns the form that carries the language switcher, "" on a page without one.
func chooseLanguageForm(l templates.Languages, form string) string {
	if len(l.Langs) == 0 {
		return ""
	}
	return form
}
