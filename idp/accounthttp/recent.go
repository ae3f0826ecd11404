package accounthttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

const (
	// recentFactor is how long a proof of a second factor allows changes to an account.
	recentFactor = 20 * time.Minute
	// formTime is how much of it is left when a page with a form is shown, so that the form can
	// still be sent.
	formTime = 5 * time.Minute
)

// factorAge returns how long ago a second factor was proved in the session. A remembered device does
// not count, because anyone who uses that browser has it. ok is false without a proof.
func factorAge(s *idp.Session, now time.Time) (age time.Duration, ok bool) {
	var last time.Time
	for _, f := range []idp.Factor{idp.FactorTOTP, idp.FactorPasskey, idp.FactorPIV, idp.FactorRecoveryCode} {
		if at := s.LastUsedAt(f); at.After(last) {
			last = at
		}
	}
	return now.Sub(last), !last.IsZero()
}

// requireRecentFactor returns a step that only a session with a recent proof of a second factor
// reaches. Others are sent to the page that asks for one, and then to the page at next.
func (h *Handler) requireRecentFactor(next string, do pageStep) pageStep {
	return func(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
		limit := recentFactor
		if r.Method != http.MethodPost {
			limit -= formTime
		}
		if age, ok := factorAge(v.session, h.Sessions.Clock.Now()); !ok || age >= limit || age < 0 {
			return journey.RedirectTo(w, r, journey.AccountConfirmPath+"?"+templates.FieldNext+"="+url.QueryEscape(next))
		}
		return do(w, r, v)
	}
}

// confirmedPages are the pages to which the page that asks for a factor leads. The list is
// read-only.
var confirmedPages = []string{
	journey.EmailsPath, journey.PasswordPath, journey.FactorsPath, addFactorPath, journey.DeletePath, journey.DataPath, journey.ServicesPath,
	journey.RecoveryCodesPath,
}

// nextPage returns the page that the browser asks to continue at, the overview for any other.
func nextPage(value string) string {
	if slices.Contains(confirmedPages, value) {
		return value
	}
	return journey.AccountPath
}

// withRecoveryCode is the value of templates.FieldWith for a recovery code.
const withRecoveryCode = "recovery"

// showConfirm answers GET /account/confirm, which asks a signed-in user for a second factor.
func (h *Handler) showConfirm(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	q := r.URL.Query()
	return journey.ExitWithPage(h.writeConfirm(w, r, v, http.StatusOK, templates.ConfirmFactorPage{
		Next: nextPage(q.Get(templates.FieldNext)), UsesRecoveryCode: q.Get(templates.FieldWith) == withRecoveryCode,
	}))
}

func (h *Handler) writeConfirm(w http.ResponseWriter, r *http.Request, v visitor, status int, page templates.ConfirmFactorPage) func() error {
	return func() error {
		page.Base = h.Pages.Base(r, "")
		if len(page.Languages.Langs) > 0 {
			page.Languages.Form = templates.FormConfirmFactor
		}
		page.Action, page.CancelURL, page.Email = journey.AccountConfirmPath, journey.AccountPath, v.user.PrimaryEmail()
		query := url.Values{templates.FieldNext: {page.Next}}
		switch {
		case page.UsesRecoveryCode && len(v.user.TOTPs) > 0:
			page.OtherURL = journey.AccountConfirmPath + "?" + query.Encode()
		case !page.UsesRecoveryCode && v.user.RecoveryCodes != nil && len(v.user.RecoveryCodes.Hashes) > 0:
			query.Set(templates.FieldWith, withRecoveryCode)
			page.OtherURL = journey.AccountConfirmPath + "?" + query.Encode()
		}
		return h.Pages.Render(w, status, page)
	}
}

// checkConfirm answers POST /account/confirm: it checks the factor and gives the browser a new session
// that records it.
func (h *Handler) checkConfirm(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	page := templates.ConfirmFactorPage{
		Next: nextPage(r.PostForm.Get(templates.FieldNext)), UsesRecoveryCode: r.PostForm.Get(templates.FieldWith) == withRecoveryCode,
	}
	showAgain := func(status int, problems templates.Problems) func() error {
		page.Problems = problems
		return h.writeConfirm(w, r, v, status, page)
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(showAgain(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	code, missing, wrong := strings.TrimSpace(r.PostForm.Get(templates.FieldCode)), templates.ProblemCodeMissing, templates.ProblemCodeWrong
	if page.UsesRecoveryCode {
		missing, wrong = templates.ProblemRecoveryMissing, templates.ProblemRecoveryWrong
	}
	if code == "" {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, templates.NewProblems(missing)))
	}
	factor, err := h.proveFactor(r, v.user.ID, code, page.UsesRecoveryCode)
	if throttled, ok := errors.AsType[*account.ThrottledError](err); ok {
		return h.RetryLater(w, r, audit.CodeThrottled, v.user.ID, throttled.RetryAfter, throttled.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttled.RetryAfter)))
	}
	showWrong := showAgain(http.StatusUnprocessableEntity, templates.NewProblems(wrong))
	switch {
	case errors.Is(err, account.ErrReplayed):
		exit := journey.ExitWithDecision(audit.CodeReplayed, v.user.ID, showWrong)
		exit.Detail = map[string]string{"reason": "replayed"}
		return exit
	case errors.Is(err, account.ErrWrong), errors.Is(err, account.ErrNoFactor):
		return journey.ExitWithDecision(audit.CodeWrong, v.user.ID, showWrong)
	case errors.Is(err, account.ErrLocked):
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case err != nil:
		return journey.ExitWithError(fmt.Errorf("confirm factor: %w", err))
	}
	event := journey.NewOwnEvent(r, audit.SteppedUp, v.user.ID)
	event.Detail = map[string]string{"factors": string(factor)}
	redirect := journey.WriteRedirect(w, r, page.Next)
	_, err = h.Sessions.StepUp(w, r, v.session, factor, event)
	switch {
	case errors.Is(err, idp.ErrSessionEnded), errors.Is(err, idp.ErrNotFound):
		return journey.ExitWithDecision(audit.AccountChanged, v.user.ID, redirect) // the page says that the session has ended
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithDecision(audit.SteppedUp, v.user.ID, redirect)
}

// proveFactor checks a code of an authenticator, or a recovery code, which is used up.
func (h *Handler) proveFactor(r *http.Request, user idp.UserID, code string, isRecoveryCode bool) (idp.Factor, error) {
	from := web.EventOf(r).Client
	if isRecoveryCode {
		event := journey.NewOwnEvent(r, audit.SteppedUp, user)
		return idp.FactorRecoveryCode, h.Accounts.UseRecoveryCode(r.Context(), user, code, from, account.SignIn{}, event)
	}
	code = strings.Map(func(c rune) rune {
		if strings.ContainsRune(" \t-\u00a0", c) {
			return -1
		}
		return c
	}, code)
	return idp.FactorTOTP, h.Accounts.CheckTOTP(r.Context(), user, code, from)
}
