package accounthttp

import (
	"errors"
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// showPassword answers GET /account/password.
func (h *Handler) showPassword(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	return journey.ExitWithPage(h.writePassword(w, r, v, http.StatusOK, nil))
}

func (h *Handler) writePassword(w http.ResponseWriter, r *http.Request, v visitor, status int, problems templates.Problems) func() error {
	return func() error {
		page := templates.PasswordPage{
			AccountBase: h.newFormFrame(r, v, journey.PasswordPath, templates.FormChangePassword),
			Action:      journey.PasswordPath, ForgotURL: h.ForgotURL, Problems: problems,
		}
		page.Nonce = web.AllowScript(w)
		return h.Pages.Render(w, status, page)
	}
}

// passwordProblems are the texts of what package account finds wrong with a new password. The map is
// read-only.
var passwordProblems = map[string]templates.Key{
	"too_short": templates.ProblemOwnPasswordShort, "too_long": templates.ProblemOwnPasswordLong,
	"contains_email": templates.ProblemOwnPasswordEmail,
	"common":         templates.ProblemOwnPasswordCommon,
}

// findPasswordProblem returns the text of an error about a new password, "" if it is about something
// else.
func findPasswordProblem(err error) templates.Key {
	input, ok := errors.AsType[*account.InputError](err)
	if !ok {
		return ""
	}
	if key := passwordProblems[input.Problem]; key != "" {
		return key
	}
	return templates.ProblemOwnPasswordInvalid
}

// changePassword answers POST /account/password. It shows all problems of the form at once, and
// checks the current password only if the new one is acceptable.
func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	showAgain := func(status int, problems ...templates.Key) func() error {
		return h.writePassword(w, r, v, status, templates.NewProblems(problems...))
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(h.writePassword(w, r, v, http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	current, password := r.PostForm.Get(templates.FieldPassword), r.PostForm.Get(templates.FieldNewPassword)
	var currentProblem templates.Key
	if current == "" {
		currentProblem = templates.ProblemCurrentPassword
	}
	if problem := checkNewPassword(v.user, current, password); currentProblem != "" || problem != "" {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, currentProblem, problem))
	}
	checked, err := h.Accounts.CheckBrowserPassword(r.Context(), v.user.PrimaryEmail(), current, web.EventOf(r).Client, h.Sessions.BrowserHashes(r))
	if throttled, ok := errors.AsType[*account.ThrottledError](err); ok {
		return h.RetryLater(w, r, audit.PasswordThrottled, "", throttled.RetryAfter, throttled.Limit,
			h.writePassword(w, r, v, http.StatusTooManyRequests, templates.Throttled(throttled.RetryAfter)))
	}
	if busy, ok := errors.AsType[*account.BusyError](err); ok {
		web.EventOf(r).Raise(slog.LevelWarn)
		return h.RetryLater(w, r, audit.PasswordBusy, "", busy.RetryAfter, busy.Limit,
			showAgain(http.StatusServiceUnavailable, templates.ProblemBusy))
	}
	if err == nil && checked.ID != v.user.ID { // the email address moved to another account at this moment
		err = account.ErrWrong
	}
	if err == nil {
		c := h.newChange(r, v, audit.PasswordChanged)
		err = h.Accounts.ChangePassword(r.Context(), c, checked, password)
	}
	switch {
	case errors.Is(err, account.ErrWrong):
		return journey.ExitWithDecision(audit.PasswordWrong, v.user.ID, showAgain(http.StatusUnprocessableEntity, templates.ProblemCurrentPassword))
	case findPasswordProblem(err) != "":
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, findPasswordProblem(err)))
	}
	return h.endChange(w, r, v, audit.PasswordChanged, err, redirectDone(w, r, journey.PasswordPath, donePassword))
}

// checkNewPassword returns the problem of a new password, "" for none.
func checkNewPassword(u *idp.User, current, password string) templates.Key {
	switch {
	case password == "":
		return templates.ProblemOwnPasswordMissing
	case password == current:
		return templates.ProblemOwnPasswordSame
	}
	for _, e := range u.Emails {
		if problem := findPasswordProblem(account.CheckNewPassword(password, e.Address)); problem != "" {
			return problem
		}
	}
	return ""
}
