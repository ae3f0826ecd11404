package authn

import (
	"errors"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// factorWindow is how recently a user must have proved a second factor to get recovery codes, as at
// the reference.
const factorWindow = 20 * time.Minute

// wrapRecoveryCodes returns a handler for the page of the recovery codes. A user who proved the second
// factor too long ago signs in again first.
func (h *Handler) wrapRecoveryCodes(do func(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User) journey.Exit) web.Handler {
	return h.WrapFlowStep(func(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
		s, err := h.CurrentSession(r)
		var user *idp.User
		if err == nil {
			user, err = h.LoadUser(r.Context(), s.User)
		}
		switch {
		case errors.Is(err, idp.ErrNotFound):
			return journey.RedirectTo(w, r, f.AddRequest(journey.SignInPath))
		case err != nil:
			return journey.ExitWithError(err)
		case user.IsLocked():
			return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
		case h.Settings.NoRecoveryCodes:
			return journey.RedirectTo(w, r, journey.AccountPath)
		case s.LastUsedAt(idp.FactorTOTP).Add(factorWindow).Before(h.Accounts.Clock.Now()):
			return journey.RedirectTo(w, r, journey.SignInPath+"?again=1")
		}
		return do(w, r, f, user)
	})
}

// showRecoveryOffer answers GET /sign-in/recovery-codes.
func (h *Handler) showRecoveryOffer(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User) journey.Exit {
	return journey.ExitWithPage(h.writeRecoveryPage(w, r, f, user, templates.RecoveryCodesPage{}))
}

// makeRecoveryCodes answers POST /sign-in/recovery-codes: it makes a set and shows it, once. The form
// names the set that it replaces, so that a reload does not replace the set that was just shown.
func (h *Handler) makeRecoveryCodes(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User) journey.Exit {
	codes, err := h.Accounts.ReplaceRecoverySet(r.Context(), user.ID, r.PostForm.Get(templates.FieldSet), journey.NewOwnEvent(r, audit.RecoveryCodesMade, user.ID))
	switch {
	case errors.Is(err, account.ErrOutdated):
		if user, err = h.LoadUser(r.Context(), user.ID); err != nil {
			return journey.ExitWithError(err)
		}
		return journey.ExitWithPage(h.writeRecoveryPage(w, r, f, user, templates.RecoveryCodesPage{WasShown: user.RecoveryCodes != nil}))
	case errors.Is(err, account.ErrLocked):
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case err != nil:
		return journey.ExitWithError(err)
	}
	return journey.ExitWithDecision(audit.RecoveryCodesMade, user.ID, h.writeRecoveryPage(w, r, f, user, templates.RecoveryCodesPage{Codes: codes}))
}

func (h *Handler) writeRecoveryPage(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User, page templates.RecoveryCodesPage) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		page.Nonce = web.AllowScript(w)
		if page.Codes != nil {
			page.Languages = templates.Languages{} // the codes cannot be shown in another language
		}
		page.Action, page.Request, page.Service = journey.RecoveryCodesPath, string(f.Request.Handle), string(f.Service())
		page.Set, page.HasSet = h.Accounts.RecoverySetMark(user), user.RecoveryCodes != nil
		if page.HasSet {
			page.Left = len(user.RecoveryCodes.Hashes)
		}
		page.NextURL = h.NextURL(f)
		switch {
		case f.Service() != "":
		case f.IsForAccount():
			page.NextPath = journey.AccountPath
		default:
			page.NextPath, page.NextRequest = h.ContinuePath, string(f.Request.Handle)
		}
		return h.Pages.Render(w, http.StatusOK, page)
	}
}
