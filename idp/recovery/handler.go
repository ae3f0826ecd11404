// Package recovery serves the pages of users who lost their password or their second factor.
//
//	/sign-in/forgot          email address ─► mail with a link, the same answer for every address
//	/sign-in/reset           link ─► new password; the second factor is still needed
//	/sign-in/lost            what to do without a second factor; plans the deletion of the account
//	/account/delete/cancel   link ─► the deletion is canceled
//
// A mailed link never removes or replaces a second factor. The page for recovery codes is a step of
// the sign-in and belongs to package authn.
package recovery

import (
	"net/http"

	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
)

// Handler serves the pages. All fields are required.
type Handler struct {
	*journey.Service
	Mails *usermail.Service
	Links *maillink.Service
}

// Mount adds the pages to the router.
func (h *Handler) Mount(router *web.Router) {
	router.Handle(journey.ForgotPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showForgot), http.MethodPost: h.WrapFlowStep(h.mailLink)})
	router.Handle(journey.ResetPath, web.Methods{http.MethodGet: h.RunStep(h.showReset), http.MethodPost: h.RunStep(h.resetPassword)})
	router.Handle(journey.LostPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showLost), http.MethodPost: h.WrapFlowStep(h.planDeletion)})
	router.Handle(journey.CancelDeletionPath, web.Methods{http.MethodGet: h.RunStep(h.showKeep), http.MethodPost: h.RunStep(h.keepAccount)})
}
