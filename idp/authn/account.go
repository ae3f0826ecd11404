package authn

import (
	"errors"
	"io"
	"net/http"

	"vernal/idp"
	"vernal/templates"
)

// home is GET /: whoever comes without a service provider in mind.
func (h *Handler) home(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, AccountPath)
}

// showAccount is GET /account, the home of a person who is signed in.
func (h *Handler) showAccount(w http.ResponseWriter, r *http.Request) error {
	s, err := h.Sessions.Current(r)
	if errors.Is(err, idp.ErrNotFound) {
		return h.ended(w, r)
	}
	if err != nil {
		return err
	}
	if r.Method != http.MethodHead {
		if err := h.Sessions.Touch(r.Context(), s); err != nil {
			return err
		}
	}
	user, err := h.user(r.Context(), s.User)
	if errors.Is(err, idp.ErrNotFound) {
		return redirect(w, r, SignInPath)
	}
	if err != nil {
		return err
	}
	if user.Locked() {
		return idp.Refuse(idp.RefusedAccountLocked, "account", "")
	}
	page := templates.AccountPage{
		Base: h.Pages.Base(r, ""), Email: user.PrimaryEmail(), Action: SignOutPath,
		EndAction: endPath, EndOthersAction: endOthersPath,
		ForgetAction: forgetPath, ForgetAllAction: forgetAllPath,
		Idle: int(h.Sessions.Idle.Minutes()), EndAt: s.ExpiresAt,
	}
	page.Notice = doneNotices[r.URL.Query().Get("done")]
	for _, p := range s.Participants {
		page.Visits = append(page.Visits, templates.Visit{SPName: h.Registry.NameOf(r.Context(), p.SP), At: p.At})
	}
	if err := h.listOwn(r.Context(), s, &page); err != nil {
		return err
	}
	h.listDevices(r, user, &page)
	h.warnLater(w, s)
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.Account(b, page) })
}

// signOut is POST /account/sign-out. It ends the session here; service
// providers are not told.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) error {
	s, err := h.Sessions.Current(r)
	switch {
	case err == nil:
		err = h.Sessions.End(w, r, ownEvent(r, "sign_out", s.User))
	case errors.Is(err, idp.ErrNotFound):
		err = h.Sessions.End(w, r) // whatever is left of it
	}
	if err != nil {
		return err // nobody is told that they are signed out when they are not
	}
	page := templates.SignedOutPage{Base: h.Pages.Base(r, ""), SignInURL: SignInPath}
	return h.Pages.Render(w, http.StatusOK, func(b io.Writer) error { return h.Pages.Set.SignedOut(b, page) })
}
