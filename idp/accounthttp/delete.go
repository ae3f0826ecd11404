package accounthttp

import (
	"errors"
	"net/http"
	"strings"

	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/templates"
)

// showDelete answers GET /account/delete.
func (h *Handler) showDelete(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	return journey.ExitWithPage(h.writeDelete(w, r, v, http.StatusOK, "", nil))
}

func (h *Handler) writeDelete(w http.ResponseWriter, r *http.Request, v visitor, status int, typed string, problems templates.Problems) func() error {
	return func() error {
		page := templates.DeletePage{
			AccountBase: h.newFrame(r, v, journey.DeletePath), Days: int(account.DeletionWait.Hours() / 24), HasIdentity: v.user.Proofing != nil,
			DeletionAt: v.user.DeletionAt, Action: journey.DeletePath, CancelAction: journey.CancelDeletionPath, Typed: typed, Problems: problems,
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
	_, err := h.Accounts.PlanDeletion(r.Context(), v.user.ID, h.Accounts.Clock.Now().Add(account.DeletionWait), journey.NewOwnEvent(r, audit.DeletionPlanned, v.user.ID))
	return h.endChange(w, r, v, audit.DeletionPlanned, err, redirectDone(w, r, journey.DeletePath, doneDeletionPlanned))
}

// cancelDeletion answers POST /account/delete/cancel. It needs no recent factor, because it keeps
// the account as it is.
func (h *Handler) cancelDeletion(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	redirect := redirectDone(w, r, journey.AccountPath, doneDeletionCanceled)
	err := h.Accounts.CancelDeletion(r.Context(), v.user.ID, journey.NewOwnEvent(r, audit.DeletionCanceled, v.user.ID))
	if errors.Is(err, account.ErrNotPlanned) { // the form was sent twice
		return journey.ExitWithPage(redirect)
	}
	return h.endChange(w, r, v, audit.DeletionCanceled, err, redirect)
}
