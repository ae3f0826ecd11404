package authn

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/web"
	"vernal/templates"
)

// showSignIn answers GET /sign-in. For a request it ignores a live session, because the page that
// sends a user here has decided that they must sign in.
func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request, f flow) exit {
	page := templates.SignInPage{}
	isSignedIn := func() bool {
		_, err := h.Sessions.LookupCurrent(r)
		return err == nil
	}
	switch {
	case f.request.ForceAuthn && isSignedIn():
		page.Notice = templates.NoticeForceAuthn
	// Near the end of a session, users may begin another one early.
	case f.isForAccount() && !r.URL.Query().Has("again") && isSignedIn():
		return redirectTo(w, r, AccountPath)
	}
	return exitWithPage(h.writeSignInPage(w, r, f, http.StatusOK, page))
}

// checkSignIn answers POST /sign-in: it checks the password.
func (h *Handler) checkSignIn(w http.ResponseWriter, r *http.Request, f flow) exit {
	email := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	password := r.PostForm.Get(templates.FieldPassword)
	showAgain := func(status int, problems templates.Problems) func() error {
		return h.writeSignInPage(w, r, f, status, templates.SignInPage{Email: email, Problems: problems})
	}
	if h.Pages.ChooseLanguage(w, r) {
		return exitWithPage(h.writeSignInPage(w, r, f, http.StatusOK, templates.SignInPage{
			Email: email, Problems: templates.ParseProblems(r.PostForm[templates.FieldProblem]), Notice: parseNotice(r),
		}))
	}
	wrongPage := showAgain(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemSignInWrong))
	if problems := findSignInProblems(email, password); len(problems) > 0 {
		return exitWithPage(showAgain(http.StatusUnprocessableEntity, problems))
	}

	user, err := h.Accounts.CheckBrowserPassword(r.Context(), email, password, web.EventOf(r).Client, h.Sessions.BrowserHashes(r))
	var throttledErr *account.ThrottledError
	var busyErr *account.BusyError
	switch {
	case errors.As(err, &throttledErr):
		return h.retryLater(w, r, audit.PasswordThrottled, "", throttledErr.RetryAfter, throttledErr.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter)))
	case errors.As(err, &busyErr):
		web.EventOf(r).Raise(slog.LevelWarn) // caused by a flood or by a machine that is too small
		return h.retryLater(w, r, audit.PasswordBusy, "", busyErr.RetryAfter, busyErr.Limit,
			showAgain(http.StatusServiceUnavailable, templates.NewProblems(templates.ProblemBusy)))
	case errors.Is(err, account.ErrWrong):
		if wrongUser := account.FindErrorUser(err); wrongUser != "" {
			return exitWithDecision(audit.PasswordWrong, wrongUser, wrongPage)
		}
		return exitWithDecision(audit.PasswordUnknown, "", wrongPage)
	case errors.Is(err, account.ErrLocked):
		web.EventOf(r).User = account.FindErrorUser(err)
		return exitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case err != nil:
		return exitWithError(err)
	}
	web.EventOf(r).User = user.ID
	return h.beginSignIn(w, r, f, user, email, wrongPage)
}

// beginSignIn continues after a right password: to the code page, or past it in a remembered
// browser. Two factors are always required, because a password alone proves too little to any
// service provider. wrongPage is for a password that is no longer right.
func (h *Handler) beginSignIn(w http.ResponseWriter, r *http.Request, f flow, user *idp.User, email string, wrongPage func() error) exit {
	now := h.Accounts.Clock.Now()
	candidate := &idp.Session{User: user.ID, Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}}}
	if err := f.checkObstacles(candidate, user, now); err != nil {
		return exitWithError(err)
	}
	// A right password without a following code is the surest sign of a stolen password,
	// so it is recorded now and not when the sign-in is complete.
	events := h.Pages.TakeDecision(r, audit.PasswordRight, user.ID)
	pending, err := h.Sessions.StartPending(w, r, user.ID, h.Accounts.EmailMark(user.ID, email), events...)
	if errors.Is(err, idp.ErrNotFound) { // deleted at this moment
		return exitWithDecision(audit.AccountChanged, user.ID, wrongPage)
	}
	if err != nil {
		return exitWithError(err)
	}
	// Read the record again after the pending session was stored. A later lock or new password
	// ends that session. One that came before the session was stored did not, so end the
	// session here.
	latestUser, err := h.loadUser(r.Context(), user.ID)
	if err != nil || latestUser.IsLocked() || !latestUser.PasswordChangedAt.Equal(user.PasswordChangedAt) {
		if err := h.Sessions.AbandonSignIn(w, r, pending); err != nil {
			return exitWithError(err)
		}
	}
	switch {
	case errors.Is(err, idp.ErrNotFound), err == nil && !latestUser.PasswordChangedAt.Equal(user.PasswordChangedAt):
		return exitWithDecision(audit.AccountChanged, user.ID, wrongPage)
	case err != nil:
		return exitWithError(err)
	case latestUser.IsLocked():
		return exitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	if device, ok := h.Sessions.LookupRemembered(r, latestUser); ok && f.mayRemember() {
		// A device that is removed at this moment no longer counts.
		browser := h.newBrowser(r)
		signIn := account.SignIn{EmailMark: pending.SignInEmailMark, Browser: &browser.use}
		device.At, err = h.Accounts.UseDevice(r.Context(), user.ID, h.Sessions.DeviceHash(r), signIn)
		if err == nil {
			return h.completeSignIn(w, r, f, pending, device, browser, nil)
		}
		if !errors.Is(err, idp.ErrNotFound) {
			return exitWithError(err)
		}
	}
	return exitWithDecision(audit.PasswordRight, user.ID, writeRedirect(w, r, f.addRequest(CodePath)))
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

func (h *Handler) writeSignInPage(w http.ResponseWriter, r *http.Request, f flow, status int, page templates.SignInPage) func() error {
	return func() error {
		page.Base = f.newPageBase(h.Pages, r)
		if page.Notice == templates.NoticeForceAuthn {
			page.NoticeArgs = []string{f.provider.Name}
		}
		page.Nonce, page.Languages.Form = web.AllowScript(w), chooseLanguageForm(page.Languages, templates.FormSignIn)
		page.Action = SignInPath
		page.HelpText = f.provider.HelpText
		page.Request = string(f.request.Handle)
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
