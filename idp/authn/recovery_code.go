package authn

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// codeUsedPath says how many recovery codes are left after one was used.
const codeUsedPath = "/sign-in/recovery-code/used"

// showRecoveryCode answers GET /sign-in/recovery-code. The page is the same for users with and without
// recovery codes.
func (h *Handler) showRecoveryCode(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	page := h.newRecoveryCodePage(f)
	if f.NeedsRecoveryCode(pending, user, h.Accounts.Clock.Now()) {
		page.Notice = templates.NoticePausedProofing
	}
	return journey.ExitWithPage(h.writeCodePage(w, r, f, user, http.StatusOK, page, h.newPendingLimit(pending)))
}

// checkRecoveryCode answers POST /sign-in/recovery-code: it checks the code, uses it up and starts the
// new session. The browser is never remembered, because a recovery code is for an emergency.
func (h *Handler) checkRecoveryCode(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	if r.PostForm.Has(templates.FieldMore) {
		return h.extendPending(w, r, f, pending, user)
	}
	from := web.EventOf(r).Client
	signIn := account.SignIn{EmailMark: pending.SignInEmailMark}
	refusal, ok := h.proveCode(w, r, f, user, h.newRecoveryCodePage(f), h.newPendingLimit(pending), func(code string) error {
		return h.Accounts.UseRecoveryCode(r.Context(), user.ID, code, from, signIn, journey.NewOwnEvent(r, audit.RecoveryCodeUsed, user.ID))
	})
	if !ok {
		return refusal
	}
	return h.completeSignIn(w, r, f, pending, idp.FactorUse{Factor: idp.FactorRecoveryCode, At: h.Accounts.Clock.Now()}, nil)
}

func (h *Handler) newRecoveryCodePage(f journey.Flow) templates.CodePage {
	return templates.CodePage{
		Action: journey.RecoveryCodePath, IsRecoveryCode: true,
		CodeURL: f.AddRequest(journey.CodePath), LostURL: f.AddRequest(journey.LostPath),
	}
}

// findRecoveryCodeProblem returns the problem of a typed code that is not a guess, "" for none.
func findRecoveryCodeProblem(code string) templates.Key {
	switch {
	case code == "":
		return templates.ProblemRecoveryCodeMissing
	case !account.IsRecoveryCode(code):
		return templates.ProblemRecoveryCodeFormat
	}
	return ""
}

// showCodeUsed answers GET /sign-in/recovery-code/used: it says how many codes are left, before the
// user continues.
func (h *Handler) showCodeUsed(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	next := h.NextURL(f)
	s, err := h.CurrentSession(r)
	var user *idp.User
	if err == nil {
		user, err = h.LoadUser(r.Context(), s.User)
	}
	switch {
	case errors.Is(err, idp.ErrNotFound), err == nil && s.LastUsedAt(idp.FactorRecoveryCode).IsZero():
		return journey.RedirectTo(w, r, next)
	case err != nil:
		return journey.ExitWithError(fmt.Errorf("show recovery codes: %w", err))
	}
	page := templates.MessagePage{
		Base: f.NewPageBase(h.Pages, r), Title: templates.CodeUsedTitle, Text: templates.CodeUsedText,
		Args: []string{strconv.Itoa(user.RecoveryCodeCount())}, Button: templates.CodeUsedNext, ButtonURL: next,
	}
	if !f.IsForAccount() {
		page.Link, page.LinkURL = templates.CodeUsedAccount, journey.AccountPath
	}
	return journey.ExitWithPage(h.WritePage(w, page))
}
