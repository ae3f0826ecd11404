// Package signup serves the pages on which users create an account.
//
// Its flow: email address → mailed link → password → set-up of the first factor (package authn), or
// the code page for a user who has a factor. An operator's invitation begins at the mailed link.
//
// The page, its status, and the number and kind of store operations do not depend on whether an
// email address has an account. Only the mail does.
package signup

import (
	"net/http"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
)

// Handler serves the pages. All fields are required.
type Handler struct {
	*journey.Service
	Links *maillink.Service
	Mails *usermail.Service
	Clock idp.Clock
	// BaseURL is base_url, for the links in mails.
	BaseURL string
}

// Mount adds the pages to the router. Invitations are completed in every mode.
func (h *Handler) Mount(router *web.Router) {
	router.Handle(journey.SignUpConfirmPath, web.Methods{http.MethodGet: h.RunStep(h.showConfirm), http.MethodPost: h.RunStep(h.confirm)})
	switch {
	case h.Settings.SignUpMode() == account.SignUpOff:
	case h.OffersSignUp():
		router.Handle(journey.SignUpPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showSignUp), http.MethodPost: h.WrapFlowStep(h.requestLink)})
	default:
		router.Handle(journey.SignUpPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showInvite)})
	}
}
