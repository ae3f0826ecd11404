// Package accounthttp serves the pages of a signed-in user's own account.
//
// A page of the account has an entry in Handler.parts, which is the only list of them: the router,
// the overview and the navigation follow it. Every page and form ends with a decision, as the pages
// of a sign-in do. The rules of changes are in package account, and those of sessions in package
// session.
package accounthttp

import (
	"errors"
	"net/http"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
	"vernal/templates"
)

// URL paths of this package's forms. Package journey has those of the pages.
const (
	endPath       = "/account/sessions/end"
	endOthersPath = "/account/sessions/end-others"
	forgetPath    = "/account/devices/forget"
	forgetAllPath = "/account/devices/forget-all"

	withdrawPath     = "/account/services/withdraw"
	serviceEmailPath = "/account/services/email"
	langPath         = "/account/language"
)

// Handler serves the pages.
type Handler struct {
	*journey.Service
	// Settings are the operator's choices about accounts.
	Settings account.Settings
	// Links and Mails are for mailed links and notices about email addresses.
	Links *maillink.Service
	Mails *usermail.Service
	// ForgotURL is where users set a new password without the current one, and RecoveryCodesURL
	// where they get recovery codes; "" for nowhere.
	ForgotURL, RecoveryCodesURL string
	// Trail is read for the history, whose URLs Sealer protects.
	Trail  idp.AuditStore
	Sealer idp.Sealer
}

// part is a page of the account. Its texts are account.part.NAME for links, and
// account.part.NAME.text for the overview.
type part struct {
	path, name string
	// show answers GET. post answers POST, and is nil for a page without a form of its own path.
	show, post pageStep
}

// parts returns the pages in the order of the navigation.
func (h *Handler) parts() []part {
	return []part{
		{path: journey.AccountPath, name: "overview", show: h.showAccount},
		{path: journey.EmailsPath, name: "emails", show: h.requireRecentFactor(journey.EmailsPath, h.showEmails), post: h.requireRecentFactor(journey.EmailsPath, h.addEmail)},
		{path: journey.PasswordPath, name: "password", show: h.requireRecentFactor(journey.PasswordPath, h.showPassword), post: h.requireRecentFactor(journey.PasswordPath, h.changePassword)},
		{path: journey.FactorsPath, name: "factors", show: h.requireRecentFactor(journey.FactorsPath, h.showFactors)},
		{path: journey.ServicesPath, name: "services", show: h.showServices},
		{path: journey.SessionsPath, name: "sessions", show: h.showSessions},
		{path: journey.HistoryPath, name: "history", show: h.showHistory},
		{path: journey.DataPath, name: "data", show: h.showData, post: h.requireRecentFactor(journey.DataPath, h.downloadData)},
		{path: journey.DeletePath, name: "delete", show: h.requireRecentFactor(journey.DeletePath, h.showDelete), post: h.requireRecentFactor(journey.DeletePath, h.planDeletion)},
	}
}

// Mount adds the pages to the router.
func (h *Handler) Mount(router *web.Router) {
	router.Handle("/", web.Methods{http.MethodGet: h.RunStep(h.showHome)})
	for _, p := range h.parts() {
		methods := web.Methods{http.MethodGet: h.wrapPage(p.show)}
		if p.post != nil {
			methods[http.MethodPost] = h.wrapForm(p.post)
		}
		router.Handle(p.path, methods)
	}
	h.mountSecurity(router)
	for path, post := range map[string]pageStep{withdrawPath: h.withdrawConsent, serviceEmailPath: h.chooseServiceEmail, langPath: h.chooseLang} {
		router.Handle(path, web.Methods{http.MethodPost: h.wrapForm(post)})
	}
	router.Handle(journey.SignOutPath, web.Methods{http.MethodPost: h.RunStep(h.signOut)})
	router.Handle(journey.StayPath, web.Methods{http.MethodGet: h.WrapSessionStep(h.showEnded, h.showStay), http.MethodPost: h.WrapSessionStep(h.showHome, h.staySignedIn)})
	router.Handle(endPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.endSession)})
	router.Handle(endOthersPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.endOtherSessions)})
	router.Handle(forgetPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.forgetDevice)})
	router.Handle(forgetAllPath, web.Methods{http.MethodPost: h.WrapSessionStep(h.showHome, h.forgetAllDevices)})
}

// visitor is the signed-in user who requests a page, and the session.
type visitor struct {
	session *idp.Session
	user    *idp.User
}

// pageStep answers a request of a signed-in user.
type pageStep func(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit

// wrapPage returns a handler for a page of the account. Loading one counts as use of the session.
func (h *Handler) wrapPage(show pageStep) web.Handler { return h.wrapVisit(h.showEnded, show) }

// wrapForm returns a handler for a form of the account. A browser without a session is redirected
// to the overview, which says why.
func (h *Handler) wrapForm(post pageStep) web.Handler { return h.wrapVisit(h.showHome, post) }

func (h *Handler) wrapVisit(answerEnded journey.Step, do pageStep) web.Handler {
	return h.WrapSessionStep(answerEnded, func(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
		if r.Method != http.MethodHead {
			if err := h.Sessions.Touch(r.Context(), s); err != nil {
				return journey.ExitWithError(err)
			}
		}
		user, err := h.LoadUser(r.Context(), s.User)
		switch {
		case errors.Is(err, idp.ErrNotFound):
			return journey.RedirectTo(w, r, journey.SignInPath)
		case err != nil:
			return journey.ExitWithError(err)
		case user.IsLocked():
			return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
		}
		return do(w, r, visitor{s, user})
	})
}

// hasPart reports whether there is a page with the path, so that others may link to it.
func (h *Handler) hasPart(path string) bool {
	for _, p := range h.parts() {
		if p.path == path {
			return true
		}
	}
	return false
}

// newFrame returns the frame of the page with a path: its navigation, and the result of the last
// form, which the URL names.
func (h *Handler) newFrame(r *http.Request, v visitor, path string) templates.AccountBase {
	frame := templates.AccountBase{
		Base: h.Pages.Base(r, ""), Email: v.user.PrimaryEmail(),
		Notice: doneNotices[r.URL.Query().Get(doneParameter)],
	}
	for _, p := range h.parts() {
		frame.Parts = append(frame.Parts, templates.AccountPart{Name: p.name, URL: p.path, IsCurrent: p.path == path})
	}
	return frame
}

// doneParameter is the URL parameter that names the change a form has made.
const doneParameter = "done"

// Its values.
const (
	doneSession       = "session"
	doneOtherSessions = "others"
	doneDevice        = "device"
	doneDevices       = "devices"

	donePassword         = "password"
	doneFactorAdded      = "factor-added"
	doneFactorRenamed    = "factor-renamed"
	doneFactorRemoved    = "factor-removed"
	doneResetCanceled    = "reset-canceled"
	doneEmailSent        = "email-sent"
	doneEmailRemoved     = "email-removed"
	donePrimaryEmail     = "primary-email"
	doneDeletionPlanned  = "deletion-planned"
	doneDeletionCanceled = "deletion-canceled"

	doneConsent      = "consent"
	doneServiceEmail = "service-email"
	doneLang         = "language"
)

// doneNotices are the texts of these values. The map is read-only.
var doneNotices = map[string]templates.Key{
	doneSession: templates.NoticeSessionEnded, doneOtherSessions: templates.NoticeSessionsEnded,
	doneDevice: templates.NoticeDeviceForgotten, doneDevices: templates.NoticeDevicesForgotten,

	donePassword: templates.NoticePasswordChanged, doneFactorAdded: templates.NoticeFactorAdded, doneFactorRenamed: templates.NoticeFactorRenamed,
	doneFactorRemoved: templates.NoticeFactorRemoved, doneResetCanceled: templates.NoticeResetCanceled,
	doneEmailSent: templates.NoticeEmailSent, doneEmailRemoved: templates.NoticeEmailRemoved, donePrimaryEmail: templates.NoticePrimaryEmail,
	doneDeletionPlanned: templates.NoticeDeletionPlanned, doneDeletionCanceled: templates.NoticeDeletionCanceled,

	doneConsent: templates.NoticeConsentWithdrawn, doneServiceEmail: templates.NoticeServiceEmail, doneLang: templates.NoticeLang,
}

// redirectDone returns a redirect to a page that shows the text of a change.
func redirectDone(w http.ResponseWriter, r *http.Request, path, done string) func() error {
	return journey.WriteRedirect(w, r, path+"?"+doneParameter+"="+done)
}
