package accounthttp

import (
	"net/http"

	"vernal/idp/journey"
	"vernal/idp/web"
)

// mountSecurity adds the pages and forms about how a user signs in, beside those of Handler.parts.
func (h *Handler) mountSecurity(router *web.Router) {
	router.Handle(journey.AccountConfirmPath, web.Methods{http.MethodGet: h.wrapPage(h.showConfirm), http.MethodPost: h.wrapForm(h.checkConfirm)})
	router.Handle(addFactorPath, web.Methods{
		http.MethodGet:  h.wrapPage(h.requireRecentFactor(addFactorPath, h.showAddFactor)),
		http.MethodPost: h.wrapForm(h.requireRecentFactor(addFactorPath, h.addFactor)),
	})
	for path, post := range map[string]pageStep{renameFactorPath: h.renameFactor, removeFactorPath: h.removeFactor} {
		router.Handle(path, web.Methods{http.MethodPost: h.wrapForm(h.requireRecentFactor(journey.FactorsPath, post))})
	}
	router.Handle(cancelResetPath, web.Methods{http.MethodPost: h.wrapForm(h.cancelReset)})
	for path, post := range map[string]pageStep{removeEmailPath: h.removeEmail, primaryEmailPath: h.choosePrimary} {
		router.Handle(path, web.Methods{http.MethodPost: h.wrapForm(h.requireRecentFactor(journey.EmailsPath, post))})
	}
	for _, l := range []emailLink{h.confirmLink(), h.undoLink()} {
		router.Handle(l.path, web.Methods{http.MethodGet: h.RunStep(h.showLink(l)), http.MethodPost: h.RunStep(h.useLink(l))})
	}
	router.Handle(keepPath, web.Methods{http.MethodPost: h.wrapForm(h.cancelDeletion)})
}
