// Package authn authenticates users: the pages for password and code.
//
// Its flow: sign-in page → password → pending session → code page → code → session → back to
// the caller. A remembered browser skips the code page if the request allows it. A signed-in
// user who must prove one more factor sees only the step-up page.
//
// If a LoginRequest is waiting ("request" in the URL), the caller is the continue URL of
// package sso, which alone decides the next step. Otherwise it is the account page.
//
// Package account decides whether a password or code is right, and limits the attempts. Every
// handler returns an exit, which names the decision. The table of package audit defines the audit
// record of each decision.
package authn

import (
	"net/http"

	"vernal/idp/journey"
	"vernal/idp/web"
)

// Handler serves the pages.
type Handler struct{ *journey.Service }

// Mount adds the pages to the router.
func (h *Handler) Mount(router *web.Router) {
	router.Handle(journey.SignInPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showSignIn), http.MethodPost: h.WrapFlowStep(h.checkSignIn)})
	router.Handle(journey.CodePath, web.Methods{http.MethodGet: h.wrapSignInStep(h.showCode), http.MethodPost: h.wrapSignInStep(h.checkCode)})
	router.Handle(journey.RecoveryCodePath, web.Methods{http.MethodGet: h.wrapSignInStep(h.showRecoveryCode), http.MethodPost: h.wrapSignInStep(h.checkRecoveryCode)})
	router.Handle(codeUsedPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showCodeUsed)})
	router.Handle(journey.ToServicePath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showToService)})
	router.Handle(journey.StepUpPath, web.Methods{http.MethodGet: h.wrapStepUp(h.showStepUp), http.MethodPost: h.wrapStepUp(h.checkStepUp)})
	router.Handle(journey.SetUpPath, web.Methods{http.MethodGet: h.wrapSetUp(h.showSetUp), http.MethodPost: h.wrapSetUp(h.addFirstFactor)})
	router.Handle(journey.RecoveryCodesPath, web.Methods{http.MethodGet: h.wrapRecoveryCodes(h.showRecoveryOffer), http.MethodPost: h.wrapRecoveryCodes(h.makeRecoveryCodes)})
}
