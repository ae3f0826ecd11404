package accounthttp

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/usermail"
	"vernal/templates"
)

// keepPath cancels the deletion for a signed-in user. The one of a mailed link is
// journey.KeepPath.
const keepPath = "/account/delete/keep"

// showDelete answers GET /account/delete.
func (h *Handler) showDelete(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	return journey.ExitWithPage(h.writeDelete(w, r, v, http.StatusOK, "", nil))
}

func (h *Handler) writeDelete(w http.ResponseWriter, r *http.Request, v visitor, status int, typed string, problems templates.Problems) func() error {
	return func() error {
		page := templates.DeletePage{
			AccountBase: h.newFrame(r, v, journey.DeletePath), Days: int(account.DeletionWait.Hours() / 24), HasIdentity: v.user.Proofing != nil,
			DeletionAt: v.user.DeletionAt, Action: journey.DeletePath, CancelAction: keepPath, Typed: typed, Problems: problems,
		}
		if page.DeletionAt.IsZero() && len(page.Languages.Langs) > 0 {
			page.Languages.Form = templates.FormDelete
		}
		page.Nonce = allowLocalTimes(w)
		return h.Pages.Render(w, status, page)
	}
}

// planDeletion answers POST /account/delete. The user types the email address, so that no one
// deletes an account by accident.
func (h *Handler) planDeletion(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	typed := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(h.writeDelete(w, r, v, http.StatusOK, typed, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	if !strings.EqualFold(typed, v.user.PrimaryEmail()) {
		return journey.ExitWithPage(h.writeDelete(w, r, v, http.StatusUnprocessableEntity, typed, templates.NewProblems(templates.ProblemDeleteEmail)))
	}
	done := redirectDone(w, r, journey.DeletePath, doneDeletionPlanned)
	if !v.user.DeletionAt.IsZero() { // the form was sent twice
		return journey.ExitWithPage(done)
	}
	dueAt := h.Accounts.Clock.Now().Add(account.DeletionWait)
	if err := h.mailDeletion(r, v.user, dueAt); err != nil {
		return journey.ExitWithError(err)
	}
	_, err := h.Accounts.PlanDeletion(r.Context(), v.user.ID, dueAt, journey.NewOwnEvent(r, audit.DeletionPlanned, v.user.ID))
	return h.endChange(w, r, v, audit.DeletionPlanned, err, done)
}

// mailDeletion notifies all confirmed email addresses that the account will be deleted, before that is
// planned: no deletion can be without its notice.
func (h *Handler) mailDeletion(r *http.Request, u *idp.User, dueAt time.Time) error {
	if !h.Mails.CanSend() {
		return nil
	}
	var mails []usermail.Mail
	for _, e := range u.Emails {
		if !e.ConfirmedAt.IsZero() {
			mails = append(mails, usermail.Mail{Kind: usermail.DeletionPlanned, To: e.Address, Lang: h.mailLang(r, u), Args: usermail.Args{By: "user", DueAt: dueAt}})
		}
	}
	if len(mails) == 0 {
		return nil
	}
	return h.Mails.Queue(r.Context(), mails...)
}

// cancelDeletion answers POST /account/delete/keep. It needs no recent factor, because it keeps
// the account as it is.
func (h *Handler) cancelDeletion(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	redirect := redirectDone(w, r, journey.AccountPath, doneDeletionCanceled)
	err := h.Accounts.CancelDeletion(r.Context(), v.user.ID, journey.NewOwnEvent(r, audit.DeletionCanceled, v.user.ID))
	if errors.Is(err, account.ErrNotPlanned) { // the form was sent twice
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.DeletionCanceled, err, redirect)
}
