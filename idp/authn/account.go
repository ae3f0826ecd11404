package authn

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// showHome answers GET /, for a browser that no service provider sent here.
func (h *Handler) showHome(w http.ResponseWriter, r *http.Request) journey.Exit {
	return journey.RedirectTo(w, r, journey.AccountPath)
}

// showAccount answers GET /account, the home page of a signed-in user.
func (h *Handler) showAccount(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	if r.Method != http.MethodHead {
		if err := h.Sessions.Touch(r.Context(), s); err != nil {
			return journey.ExitWithError(err)
		}
	}
	user, err := h.LoadUser(r.Context(), s.User)
	if errors.Is(err, idp.ErrNotFound) {
		return journey.RedirectTo(w, r, journey.SignInPath)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	if user.IsLocked() {
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	page := templates.AccountPage{
		Base: h.Pages.Base(r, ""), Email: user.PrimaryEmail(), Action: journey.SignOutPath,
		EndAction: endPath, EndOthersAction: endOthersPath,
		ForgetAction: forgetPath, ForgetAllAction: forgetAllPath,
		Idle: int(h.Sessions.IdleTimeout.Minutes()), EndAt: s.ExpiresAt,
	}
	page.Notice = doneNotices[r.URL.Query().Get("done")]
	for _, p := range s.Participants {
		visit := templates.Visit{SPName: h.Registry.LookupName(r.Context(), p.SP), At: p.At}
		if provider, err := h.Registry.Lookup(r.Context(), p.SP); err == nil {
			visit.SPLogo = provider.LogoPath()
		}
		page.Visits = append(page.Visits, visit)
	}
	if err := h.listSessions(r.Context(), s, &page); err != nil {
		return journey.ExitWithError(err)
	}
	h.listDevices(r, user, &page)
	page.Nonce = web.AllowScript(w)
	h.scheduleWarning(w, s)
	return journey.ExitWithPage(h.WritePage(w, page))
}

// signOut answers POST /account/sign-out. It ends the session here and does not notify service
// providers.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) journey.Exit {
	s, err := h.CurrentSession(r)
	decision, user := audit.NothingDecided, idp.UserID("")
	switch {
	case err == nil:
		decision, user = audit.SignedOut, s.User
		err = h.Sessions.End(w, r, journey.NewOwnEvent(r, audit.SignedOut, s.User))
	case errors.Is(err, idp.ErrNotFound):
		err = h.Sessions.End(w, r) // removes the rest of an earlier session
	}
	if err != nil {
		return journey.ExitWithError(err) // the page must not claim that a live session has ended
	}
	page := templates.SignedOutPage{Base: h.Pages.Base(r, ""), SignInURL: journey.SignInPath}
	return journey.ExitWithDecision(decision, user, h.WritePage(w, page))
}
