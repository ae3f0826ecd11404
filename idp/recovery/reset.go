package recovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/web"
	"vernal/templates"
)

// showReset answers GET /sign-in/reset. It changes nothing, because mail scanners follow links.
func (h *Handler) showReset(w http.ResponseWriter, r *http.Request) journey.Exit {
	token := r.URL.Query().Get(templates.FieldToken)
	link, _, err := h.findLink(r.Context(), maillink.ResetPassword, token)
	switch {
	case errors.Is(err, account.ErrLinkVoid):
		return h.showUnusable(w, r)
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(h.writeReset(w, r, http.StatusOK, token, link, nil))
}

// resetPassword answers POST /sign-in/reset: it sets the password and uses the link up. The user then
// signs in with both factors.
func (h *Handler) resetPassword(w http.ResponseWriter, r *http.Request) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	token, password := r.PostForm.Get(templates.FieldToken), r.PostForm.Get(templates.FieldPassword)
	hasChosen := h.Pages.ChooseLanguage(w, r)
	link, user, err := h.findLink(r.Context(), maillink.ResetPassword, token)
	switch {
	case errors.Is(err, account.ErrLinkVoid):
		return h.showUnusable(w, r)
	case err != nil:
		return journey.ExitWithError(err)
	case hasChosen:
		return journey.ExitWithPage(h.writeReset(w, r, http.StatusOK, token, link, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	web.EventOf(r).User = user.ID
	// The flow is found first: an error must not use the link up.
	f, err := h.FindLinkFlow(r, link.SP, link.Request)
	if err != nil {
		return journey.ExitWithError(err)
	}
	// A password that is refused must not use the link up, either.
	if problem := findPasswordProblem(user, password); problem != "" {
		return journey.ExitWithPage(h.writeReset(w, r, http.StatusUnprocessableEntity, token, link, templates.NewProblems(problem)))
	}
	link, err = h.Links.Redeem(r.Context(), maillink.ResetPassword, token)
	if err == nil {
		err = h.Accounts.ResetPassword(r.Context(), link.User, link.Stamp, password, journey.NewOwnEvent(r, audit.PasswordReset, link.User))
	}
	switch {
	case errors.Is(err, idp.ErrNotFound), errors.Is(err, account.ErrLinkVoid):
		return h.showUnusable(w, r) // another tab was faster
	case err != nil:
		return journey.ExitWithError(fmt.Errorf("reset password: %w", err))
	}
	return journey.ExitWithDecision(audit.PasswordReset, user.ID, journey.WriteRedirect(w, r, addNotice(f.AddRequest(journey.SignInPath))))
}

// findLink returns the link of a token and its user. The error of a link that cannot be used is
// account.ErrLinkVoid, whatever the reason.
func (h *Handler) findLink(ctx context.Context, purpose maillink.Purpose, token string) (*maillink.Link, *idp.User, error) {
	link, err := h.Links.Lookup(ctx, purpose, token)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil, account.ErrLinkVoid
	}
	if err != nil {
		return nil, nil, err
	}
	user, err := h.LoadUser(ctx, link.User)
	switch {
	case errors.Is(err, idp.ErrNotFound), err == nil && purpose == maillink.ResetPassword && !mayReset(user, link):
		return nil, nil, account.ErrLinkVoid
	case err != nil:
		return nil, nil, err
	}
	return link, user, nil
}

// mayReset reports whether nothing has changed since the link was mailed that makes it void: another
// password, or the removal of the email address.
func mayReset(u *idp.User, link *maillink.Link) bool {
	return u.LinkStamp() == link.Stamp && slices.ContainsFunc(u.Emails, func(e idp.Email) bool {
		return strings.EqualFold(e.Address, link.Email) && !e.ConfirmedAt.IsZero()
	})
}

// passwordProblems are the problems of account.InputError.
var passwordProblems = map[string]templates.Key{
	"too_short": templates.ProblemResetPasswordShort, "too_long": templates.ProblemResetPasswordLong,
	"common": templates.ProblemResetPasswordCommon, "contains_email": templates.ProblemResetPasswordEmail,
}

// findPasswordProblem returns the problem of a new password, "" for none.
func findPasswordProblem(u *idp.User, password string) templates.Key {
	if password == "" {
		return templates.ProblemResetPasswordMissing
	}
	err := account.CheckUserPassword(u, password)
	if err == nil {
		return ""
	}
	if inputErr, ok := errors.AsType[*account.InputError](err); ok && passwordProblems[inputErr.Problem] != "" {
		return passwordProblems[inputErr.Problem]
	}
	return templates.ProblemResetPasswordInvalid
}

func (h *Handler) writeReset(w http.ResponseWriter, r *http.Request, status int, token string, link *maillink.Link, problems templates.Problems) func() error {
	return func() error {
		page := templates.ResetPage{Base: h.Pages.Base(r, ""), Action: journey.ResetPath, Token: token, Email: link.Email, Problems: problems}
		page.Nonce = web.AllowScript(w)
		setLanguageForm(&page.Base, templates.FormReset)
		return h.Pages.Render(w, status, page)
	}
}

// showUnusable answers a link that cannot be used.
func (h *Handler) showUnusable(w http.ResponseWriter, r *http.Request) journey.Exit {
	return journey.ExitWithPage(func() error {
		page := templates.MessagePage{
			Base: h.Pages.Base(r, ""), IsError: true, Title: templates.LinkUnusableTitle, Text: templates.LinkUnusableText,
			Button: templates.LinkUnusableButton, ButtonURL: journey.ForgotPath, Link: templates.BackToSignIn, LinkURL: journey.SignInPath,
		}
		page.Languages = h.Pages.Languages(journey.ResetPath)
		return h.Pages.Render(w, http.StatusGone, page)
	})
}

// addNotice makes the sign-in page say that the password is changed.
func addNotice(signInURL string) string {
	return addQuery(signInURL, journey.ResetParameter, "1")
}
