package recovery

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
	"vernal/templates"
)

// findPending returns the user of a sign-in that waits for its second factor. Without one, ok is
// false, and the code page decides the next step.
func (h *Handler) findPending(w http.ResponseWriter, r *http.Request, f journey.Flow) (user *idp.User, exit journey.Exit, ok bool) {
	pending, err := h.Sessions.LookupPending(r)
	if err == nil {
		user, err = h.LoadUser(r.Context(), pending.User)
	}
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, journey.RedirectTo(w, r, f.AddRequest(journey.CodePath)), false
	case err != nil:
		return nil, journey.ExitWithError(err), false
	case user.IsLocked():
		web.EventOf(r).User = user.ID
		return nil, journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "")), false
	}
	web.EventOf(r).User = user.ID
	return user, journey.Exit{}, true
}

// showLost answers GET /sign-in/lost: what a user who has proved the password can do without a second
// factor.
func (h *Handler) showLost(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	user, exit, ok := h.findPending(w, r, f)
	if !ok {
		return exit
	}
	return journey.ExitWithPage(h.writeLost(w, r, f, http.StatusOK, user, nil))
}

// planDeletion answers POST /sign-in/lost: it plans the deletion of the account and mails a link that
// cancels it to every confirmed email address. The mails are queued first, so that no account is
// deleted without one.
func (h *Handler) planDeletion(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	hasChosen := h.Pages.ChooseLanguage(w, r)
	user, exit, ok := h.findPending(w, r, f)
	switch {
	case !ok:
		return exit
	case hasChosen:
		return journey.ExitWithPage(h.writeLost(w, r, f, http.StatusOK, user, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	case !h.canDelete(user) || !user.DeletionAt.IsZero(): // also a form that was sent twice
		return journey.RedirectTo(w, r, f.AddRequest(journey.LostPath))
	case r.PostForm.Get(templates.FieldConfirm) != "yes":
		return journey.ExitWithPage(h.writeLost(w, r, f, http.StatusUnprocessableEntity, user, templates.NewProblems(templates.ProblemConfirmMissing)))
	}
	dueAt := h.Accounts.Clock.Now().Add(account.LostDeletionWait).UTC()
	var mails []usermail.Mail
	for _, e := range user.Emails {
		if e.ConfirmedAt.IsZero() {
			continue
		}
		token, err := h.Links.Issue(r.Context(), maillink.Link{Purpose: maillink.CancelDeletion, Email: e.Address, User: user.ID})
		if err != nil {
			return journey.ExitWithError(err)
		}
		mails = append(mails, usermail.Mail{
			Kind: usermail.DeletionPlanned, To: e.Address, Lang: templates.Lang(user.Lang),
			Args: usermail.Args{URL: h.makeURL(journey.CancelDeletionPath, token), DueAt: dueAt, Hours: int(account.LostDeletionWait / time.Hour)},
		})
	}
	if err := h.Mails.Queue(r.Context(), mails...); err != nil {
		return journey.ExitWithError(err)
	}
	_, err := h.Accounts.PlanDeletion(r.Context(), user.ID, dueAt, journey.NewOwnEvent(r, audit.DeletionPlanned, user.ID))
	redirect := journey.WriteRedirect(w, r, f.AddRequest(journey.LostPath))
	switch {
	case errors.Is(err, account.ErrLocked), errors.Is(err, idp.ErrNotFound):
		return journey.ExitWithDecision(audit.AccountChanged, user.ID, redirect)
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithDecision(audit.DeletionPlanned, user.ID, redirect)
}

// canDelete reports whether the user can be notified of the deletion, and so may ask for it.
func (h *Handler) canDelete(u *idp.User) bool {
	if !h.Mails.CanSend() {
		return false
	}
	for _, e := range u.Emails {
		if !e.ConfirmedAt.IsZero() {
			return true
		}
	}
	return false
}

func (h *Handler) writeLost(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, user *idp.User, problems templates.Problems) func() error {
	return func() error {
		page := templates.LostPage{
			Base: f.NewPageBase(h.Pages, r), Action: journey.LostPath, Request: string(f.Request.Handle), Service: string(f.Service()),
			Problems: problems, RestartURL: f.AddRequest(journey.CodePath), CodeURL: f.AddRequest(journey.RecoveryCodePath),
			CanDelete: h.canDelete(user), Hours: int(account.LostDeletionWait / time.Hour), DeletionAt: user.DeletionAt,
		}
		page.Nonce = web.AllowScript(w)
		if page.CanDelete && page.DeletionAt.IsZero() {
			setLanguageForm(&page.Base, templates.FormLost)
		}
		return h.Pages.Render(w, status, page)
	}
}

// showKeep answers GET /account/delete/cancel, the mailed link that cancels a deletion.
func (h *Handler) showKeep(w http.ResponseWriter, r *http.Request) journey.Exit {
	token := r.URL.Query().Get(templates.FieldToken)
	_, user, err := h.findLink(r.Context(), maillink.CancelDeletion, token)
	switch {
	case errors.Is(err, account.ErrLinkVoid), err == nil && user.DeletionAt.IsZero():
		return h.showKeepUnusable(w, r)
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(h.WritePage(w, templates.ConfirmPage{
		Base: h.Pages.Base(r, ""), Title: templates.KeepTitle, Text: templates.KeepText, Button: templates.KeepButton,
		Action: journey.CancelDeletionPath, Fields: []templates.Field{{Name: templates.FieldToken, Value: token}},
	}))
}

// keepAccount answers POST /account/delete/cancel: it cancels the deletion.
func (h *Handler) keepAccount(w http.ResponseWriter, r *http.Request) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	token := r.PostForm.Get(templates.FieldToken)
	link, _, err := h.findLink(r.Context(), maillink.CancelDeletion, token)
	if err == nil {
		web.EventOf(r).User = link.User
		err = h.Accounts.CancelDeletion(r.Context(), link.User, journey.NewOwnEvent(r, audit.DeletionCanceled, link.User))
	}
	// The link is used up last, so that a crash does not leave the user without it.
	if err == nil {
		if _, err = h.Links.Redeem(r.Context(), maillink.CancelDeletion, token); errors.Is(err, idp.ErrNotFound) {
			err = nil // another tab was as fast
		}
	}
	switch {
	case errors.Is(err, account.ErrLinkVoid), errors.Is(err, idp.ErrNotFound), errors.Is(err, account.ErrNotPlanned):
		return h.showKeepUnusable(w, r)
	case err != nil:
		return journey.ExitWithError(err)
	}
	page := templates.MessagePage{
		Base: h.Pages.Base(r, ""), Title: templates.KeptTitle, Text: templates.KeptText,
		Button: templates.ForgotTitle, ButtonURL: journey.ForgotPath, Link: templates.BackToSignIn, LinkURL: journey.SignInPath,
	}
	page.Languages = templates.Languages{} // another request would show that the link is used up
	return journey.ExitWithDecision(audit.DeletionCanceled, link.User, h.WritePage(w, page))
}

// showKeepUnusable answers a link that cannot cancel a deletion.
func (h *Handler) showKeepUnusable(w http.ResponseWriter, r *http.Request) journey.Exit {
	return journey.ExitWithPage(func() error {
		page := templates.MessagePage{
			Base: h.Pages.Base(r, ""), IsError: true, Title: templates.LinkUnusableTitle, Text: templates.KeepUnusable,
			Button: templates.BackToSignIn, ButtonURL: journey.SignInPath,
		}
		page.Languages = h.Pages.Languages(journey.CancelDeletionPath)
		return h.Pages.Render(w, http.StatusGone, page)
	})
}

// addQuery adds a parameter to one of our URLs.
func addQuery(ourURL, name, value string) string {
	separator := "?"
	if strings.Contains(ourURL, "?") {
		separator = "&"
	}
	return ourURL + separator + name + "=" + url.QueryEscape(value)
}
