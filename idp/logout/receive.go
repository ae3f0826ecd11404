package logout

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/web"
	"vernal/templates"
)

// receiveRequest serves GET and POST /api/saml/logout{year}. A GET brings the session's cookie
// and is judged at once. A POST from another site does not, so the request is stored and then
// judged by the GET that follows the 303.
func (h *Handler) receiveRequest(w http.ResponseWriter, r *http.Request, a *acceptedRequest) error {
	visit, err := h.Access.Begin(r)
	if err != nil {
		return h.offerSignOut(err)
	}
	msg, err := web.ReadMessage(r)
	err = visit.Refuse(err)
	if refusal, ok := errors.AsType[*idp.Refusal](err); ok && refusal.Code == idp.RefusedRequestMissing {
		return h.askUser(w, r)
	}
	if err != nil {
		return err
	}
	if err := h.acceptRequest(r, a, &visit, msg, inbound.LogoutRequest, h.Clock.Now()); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodHead:
		return nil // a HEAD ends nothing
	case http.MethodGet:
		return h.answerRequest(w, r, a)
	}
	return h.storeRequest(w, r, a)
}

// offerSignOut makes the page of an ended year offer to sign out here, because the year can no
// longer do so for a service provider.
func (h *Handler) offerSignOut(err error) error {
	var goneYear *web.GoneYear
	if errors.As(err, &goneYear) {
		goneYear.SignOut = h.SignOutPath
	}
	return err
}

// askUser shows the confirmation page, because a link alone must sign no user out.
func (h *Handler) askUser(w http.ResponseWriter, r *http.Request) error {
	page := templates.ConfirmPage{
		Base:  h.Pages.Base(r, ""),
		Title: templates.ConfirmSignOutTitle, Text: templates.ConfirmSignOutText, Button: templates.ConfirmSignOutButton,
		Action: h.SignOutPath, CancelURL: h.AccountPath,
	}
	return h.Pages.Render(w, http.StatusOK, page)
}
