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

// URL paths of this package's pages.
const (
	endPath       = "/account/sessions/end"
	endOthersPath = "/account/sessions/end-others"
	forgetPath    = "/account/devices/forget"
	forgetAllPath = "/account/devices/forget-all"
)

// Handler serves the pages.
type Handler struct{ *journey.Service }

// Mount adds the pages to the router.
func (h *Handler) Mount(router *web.Router) {
	router.Handle("/", web.Methods{http.MethodGet: h.RunStep(h.showHome)})
	router.Handle(journey.SignInPath, web.Methods{http.MethodGet: h.WrapFlowStep(h.showSignIn), http.MethodPost: h.WrapFlowStep(h.checkSignIn)})
	router.Handle(journey.CodePath, web.Methods{http.MethodGet: h.wrapSignInStep(h.showCode), http.MethodPost: h.wrapSignInStep(h.checkCode)})
	router.Handle(journey.StepUpPath, web.Methods{http.MethodGet: h.wrapStepUp(h.showStepUp), http.MethodPost: h.wrapStepUp(h.checkStepUp)})
	router.Handle(journey.SetUpPath, web.Methods{http.MethodGet: h.wrapSetUp(h.showSetUp), http.MethodPost: h.wrapSetUp(h.addFirstFactor)})
	router.Handle(journey.RecoveryCodesPath, web.Methods{http.MethodGet: h.wrapRecoveryCodes(h.showRecoveryOffer), http.MethodPost: h.wrapRecoveryCodes(h.makeRecoveryCodes)})
	router.Handle(journey.AccountPath, web.Methods{http.MethodGet: h.WrapSessionStep(h.showEnded, h.showAccount)})
	router.Handle(journey.SignOutPath, web.Methods{http.MethodPost: h.RunStep(h.signOut)})
	router.Handle(journey.StayPath, web.Methods{http.MethodGet: h.WrapSessionStep(h.showEnded, h.showStay), http.MethodPost: h.WrapSessionStep(h.showHome, h.staySignedIn)})
	router.Handle(endPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.endSession)})
	router.Handle(endOthersPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.endOtherSessions)})
	router.Handle(forgetPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.forgetDevice)})
	router.Handle(forgetAllPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.forgetAllDevices)})
}
