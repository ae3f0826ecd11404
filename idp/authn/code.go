package authn

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// wrapSignInStep returns a handler for a step of a sign-in that waits for its code. A sign-in of a
// deleted user does not wait.
func (h *Handler) wrapSignInStep(do func(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit) web.Handler {
	return h.WrapFlowStep(func(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
		var user *idp.User
		pending, err := h.Sessions.LookupPending(r)
		if err == nil {
			user, err = h.LoadUser(r.Context(), pending.User)
		}
		switch {
		case errors.Is(err, idp.ErrNotFound):
			return h.answerStaleCode(w, r, f)
		case err != nil:
			return journey.ExitWithError(err)
		}
		web.EventOf(r).User = user.ID
		return do(w, r, f, pending, user)
	})
}

// showCode answers GET /sign-in/code.
func (h *Handler) showCode(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	return journey.ExitWithPage(h.writeCodePage(w, r, f, user, http.StatusOK, h.newCodePage(f), h.newPendingLimit(pending)))
}

// checkCode answers POST /sign-in/code: it checks the second factor and starts the new
// session.
func (h *Handler) checkCode(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	if r.PostForm.Has(templates.FieldMore) {
		return h.extendPending(w, r, f, pending, user)
	}
	from := web.EventOf(r).Client
	signIn := account.SignIn{EmailMark: pending.SignInEmailMark}
	var device *http.Cookie
	if hasAsked := r.PostForm.Get(templates.FieldRemember) == "yes"; hasAsked && f.MayRemember() {
		cookie, d := h.Sessions.NewDevice(r)
		device, signIn.Remember = cookie, &account.RememberRequest{Device: d, ReplacedHash: h.Sessions.DeviceHash(r), PasswordProvedAt: pending.LastUsedAt(idp.FactorPassword)}
	}
	page := h.newCodePage(f)
	page.IsRemembered = device != nil
	refusal, ok := h.proveCode(w, r, f, user, page, h.newPendingLimit(pending), func(code string) error {
		return h.Accounts.CompleteTOTP(r.Context(), user.ID, code, from, signIn)
	})
	if !ok {
		return refusal
	}
	return h.completeSignIn(w, r, f, pending, idp.FactorUse{Factor: idp.FactorTOTP, At: h.Accounts.Clock.Now()}, device)
}

// newCodePage returns the code page of a sign-in.
func (h *Handler) newCodePage(f journey.Flow) templates.CodePage {
	page := templates.CodePage{Action: journey.CodePath, OffersRemember: f.MayRemember(), LostURL: f.AddRequest(journey.LostPath)}
	if !h.Settings.NoRecoveryCodes {
		page.RecoveryURL = f.AddRequest(journey.RecoveryCodePath)
	}
	return page
}

// proveCode checks the code in the form. ok is true only after a right code. Otherwise refusal
// contains the decision.
func (h *Handler) proveCode(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User, page templates.CodePage, codeLimit limit, check func(code string) error) (refusal journey.Exit, ok bool) {
	// Users type codes as their application shows them, in two groups.
	code := strings.Map(dropSpace, r.PostForm.Get(templates.FieldCode))
	showAgain := func(status int, problems templates.Problems) func() error {
		page.Problems = problems
		return h.writeCodePage(w, r, f, user, status, page, codeLimit)
	}
	if h.Pages.ChooseLanguage(w, r) {
		if notice := parseNotice(r); notice == templates.NoticeMoreTime || notice == templates.NoticePausedProofing && page.IsRecoveryCode {
			page.Notice, page.NoticeArgs = notice, nil
		}
		return journey.ExitWithPage(showAgain(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem]))), false
	}
	problem, wrong := findCodeProblem(code), templates.ProblemCodeWrong
	if page.IsRecoveryCode {
		problem, wrong = findRecoveryCodeProblem(code), templates.ProblemRecoveryCodeWrong
	}
	if problem != "" {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, templates.NewProblems(problem))), false
	}
	showWrong := func() func() error {
		return showAgain(http.StatusUnprocessableEntity, templates.NewProblems(wrong))
	}
	err := check(code)
	var throttledErr *account.ThrottledError
	switch {
	case err == nil:
		return journey.Exit{}, true
	case errors.As(err, &throttledErr):
		return h.RetryLater(w, r, audit.CodeThrottled, user.ID, throttledErr.RetryAfter, throttledErr.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter))), false
	case errors.Is(err, account.ErrReplayed):
		result := journey.ExitWithDecision(audit.CodeReplayed, user.ID, showWrong())
		result.Detail = map[string]string{"reason": "replayed"}
		return result, false
	case errors.Is(err, account.ErrWrong):
		return journey.ExitWithDecision(audit.CodeWrong, user.ID, showWrong()), false
	case errors.Is(err, account.ErrLocked):
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err)), false
	case errors.Is(err, account.ErrNoFactor):
		return journey.ExitWithError(idp.Refuse(idp.RefusedNoFactor, "authentication", "").WithCause(err)), false
	}
	return journey.ExitWithError(fmt.Errorf("check code: %w", err)), false
}

// answerStaleCode answers at the code page when no sign-in waits for a code. With a live session,
// another tab was faster or the user pressed the back button: the user is signed in, and another
// page decides the next step. Without a session, the user was too slow and starts again.
//
// A form that was sent twice, by a second click or on a bad connection, is answered by a
// redirect to GET, because the second form was sent before the cookies of the first answer
// arrived.
func (h *Handler) answerStaleCode(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	if r.Method == http.MethodPost {
		return journey.RedirectTo(w, r, f.AddRequest(journey.CodePath))
	}
	_, err := h.Sessions.LookupCurrent(r)
	switch {
	case err == nil:
		return journey.RedirectTo(w, r, h.NextURL(f))
	case !errors.Is(err, idp.ErrNotFound):
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(h.writeSignInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Notice: templates.NoticeTimedOut}))
}

// completeSignIn starts the browser's session and redirects the browser. device is the cookie by
// which the browser is remembered in future, nil for none.
func (h *Handler) completeSignIn(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, secondFactor idp.FactorUse, device *http.Cookie) journey.Exit {
	decision := audit.SignedIn
	if before, err := h.Sessions.LookupCurrent(r); err == nil && before.User == pending.User {
		decision = audit.SteppedUp // the user was signed in with less than the request needs
	}
	event := newProofEvent(r, decision, pending.User, "password+"+string(secondFactor.Factor))
	if device != nil {
		event.Detail["remembered"] = "yes"
	}
	_, err := h.Sessions.CompleteSignIn(w, r, pending, secondFactor, event)
	if errors.Is(err, idp.ErrSessionEnded) || errors.Is(err, idp.ErrNotFound) {
		return journey.ExitWithDecision(audit.AccountChanged, pending.User, h.answerStaleCode(w, r, f).Answer)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	if device != nil {
		http.SetCookie(w, device)
		web.EventOf(r).Note(slog.Bool("remembered", true))
	}
	next := h.NextURL(f)
	if secondFactor.Factor == idp.FactorRecoveryCode {
		next = f.AddRequest(codeUsedPath) // how many are left
	}
	return journey.ExitWithDecision(decision, pending.User, journey.WriteRedirect(w, r, next))
}

// newProofEvent returns the audit event of a factor that a user proved.
func newProofEvent(r *http.Request, d audit.Decision, user idp.UserID, factors string) idp.AuditEvent {
	event := journey.NewOwnEvent(r, d, user)
	event.Detail = map[string]string{"factors": factors}
	return event
}

func dropSpace(c rune) rune {
	if c == ' ' || c == '\t' || c == '-' || c == '\u00a0' {
		return -1
	}
	return c
}

func findCodeProblem(code string) templates.Key {
	if code == "" {
		return templates.ProblemCodeMissing
	}
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		return templates.ProblemCodeFormat
	}
	return ""
}
