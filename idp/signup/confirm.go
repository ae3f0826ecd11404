package signup

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/web"
	"vernal/templates"
)

// lookupLink returns the link of a token, which registers a user or completes an invitation.
func (h *Handler) lookupLink(ctx context.Context, token string) (*maillink.Link, error) {
	link, err := h.Links.Lookup(ctx, maillink.SignUp, token)
	switch {
	case err == nil && !h.OffersSignUp():
		return nil, idp.ErrNotFound // the operator has closed the registration since
	case errors.Is(err, idp.ErrNotFound):
		link, err = h.Links.Lookup(ctx, maillink.Invitation, token)
	}
	return link, err
}

// showConfirm answers GET /sign-up/confirm. Mail scanners open it too, so it changes nothing.
func (h *Handler) showConfirm(w http.ResponseWriter, r *http.Request) journey.Exit {
	token := r.URL.Query().Get(templates.FieldToken)
	link, err := h.lookupLink(r.Context(), token)
	if errors.Is(err, idp.ErrNotFound) {
		return h.answerUsedLink(w, r)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	f, err := h.FindLinkFlow(r, link.SP, link.Request)
	if err != nil {
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(h.writeConfirmPage(w, r, f, link, token, http.StatusOK, templates.SignUpConfirmPage{}))
}

// confirm answers POST /sign-up/confirm: it uses the link up and creates the account. A user whose
// account is not created because of a crash asks for another link. It also completes the account of
// an invitation.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	ctx, token := r.Context(), r.PostForm.Get(templates.FieldToken)
	link, err := h.lookupLink(ctx, token)
	if errors.Is(err, idp.ErrNotFound) {
		// A form that was sent twice is answered by a redirect to GET, because the second form
		// was sent before the cookies of the first answer arrived.
		return journey.RedirectTo(w, r, journey.SignUpConfirmPath+"?"+templates.FieldToken+"="+url.QueryEscape(token))
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	f, err := h.FindLinkFlow(r, link.SP, link.Request)
	if err != nil {
		return journey.ExitWithError(err)
	}
	page := templates.SignUpConfirmPage{
		HasRules: r.PostForm.Get(templates.FieldRules) == "yes", HasPrivacy: r.PostForm.Get(templates.FieldPrivacy) == "yes",
	}
	if h.Pages.ChooseLanguage(w, r) {
		page.Problems = templates.ParseProblems(r.PostForm[templates.FieldProblem])
		return journey.ExitWithPage(h.writeConfirmPage(w, r, f, link, token, http.StatusOK, page))
	}
	password := r.PostForm.Get(templates.FieldPassword)
	if page.Problems = h.findProblems(password, link.Email, page); len(page.Problems) > 0 {
		return journey.ExitWithPage(h.writeConfirmPage(w, r, f, link, token, http.StatusUnprocessableEntity, page))
	}
	hash, err := h.Accounts.HashOwnPassword(ctx, password, link.Email)
	if err != nil {
		return journey.ExitWithError(err)
	}
	registration := account.Registration{
		Email: link.Email, PasswordHash: hash, Lang: string(h.Pages.Lang(r)), Accepted: h.Settings.AcceptTexts(h.Clock.Now()),
	}
	if link.Purpose == maillink.Invitation {
		return h.completeInvitation(w, r, f, link, token, registration)
	}
	if link, err = h.Links.Redeem(ctx, link.Purpose, token); errors.Is(err, idp.ErrNotFound) {
		return h.answerUsedLink(w, r)
	} else if err != nil {
		return journey.ExitWithError(err)
	}
	return h.register(w, r, f, link, registration)
}

// findProblems returns all problems of the form.
func (h *Handler) findProblems(password, email string, page templates.SignUpConfirmPage) templates.Problems {
	var passwordProblem, rulesProblem, privacyProblem templates.Key
	var inputErr *account.InputError
	switch err := account.CheckOwnPassword(password, email); {
	case password == "":
		passwordProblem = templates.ProblemPasswordMissing
	case errors.As(err, &inputErr):
		passwordProblem = passwordProblems[inputErr.Problem]
	}
	if len(h.Settings.Rules) > 0 && !page.HasRules {
		rulesProblem = templates.ProblemRulesMissing
	}
	if len(h.Settings.Privacy) > 0 && !page.HasPrivacy {
		privacyProblem = templates.ProblemPrivacyMissing
	}
	return templates.NewProblems(passwordProblem, rulesProblem, privacyProblem)
}

// passwordProblems are the texts of InputError.Problem. The map is read-only.
var passwordProblems = map[string]templates.Key{
	"too_short": templates.ProblemPasswordShort, "too_long": templates.ProblemPasswordLong, "common": templates.ProblemPasswordCommon,
	"contains_email": templates.ProblemPasswordEmail, "invalid": templates.ProblemPasswordChars,
}

// register creates the account of a user whose link is used up.
func (h *Handler) register(w http.ResponseWriter, r *http.Request, f journey.Flow, link *maillink.Link, registration account.Registration) journey.Exit {
	user, err := h.Accounts.Register(r.Context(), registration, func(id idp.UserID) idp.AuditEvent {
		return journey.NewOwnEvent(r, audit.Registered, id)
	})
	if errors.Is(err, idp.ErrExists) {
		return journey.ExitWithPage(h.writeExistsPage(w, r, f, link.Email))
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	return h.beginSetUp(w, r, f, audit.Registered, user, link.Email)
}

// completeInvitation completes the account of an invited user, and uses the link up. It does so last,
// because an invited user cannot ask for another link after a crash. The account accepts one
// completion.
func (h *Handler) completeInvitation(w http.ResponseWriter, r *http.Request, f journey.Flow, link *maillink.Link, token string, registration account.Registration) journey.Exit {
	event := journey.NewOwnEvent(r, audit.InvitationCompleted, link.User)
	user, err := h.Accounts.CompleteInvitation(r.Context(), link.User, link.Stamp, registration, event)
	if err == nil {
		if _, err = h.Links.Redeem(r.Context(), link.Purpose, token); errors.Is(err, idp.ErrNotFound) {
			err = nil // it has expired at this moment
		}
	}
	switch {
	case errors.Is(err, account.ErrOutdated), errors.Is(err, idp.ErrNotFound):
		return h.answerUsedLink(w, r)
	case errors.Is(err, account.ErrLocked):
		web.EventOf(r).User = link.User
		return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
	case err != nil:
		return journey.ExitWithError(err)
	}
	return h.beginSetUp(w, r, f, audit.InvitationCompleted, user, link.Email)
}

// beginSetUp begins the sign-in of a user who has just chosen a password. It continues with the second
// factor.
func (h *Handler) beginSetUp(w http.ResponseWriter, r *http.Request, f journey.Flow, d audit.Decision, user *idp.User, email string) journey.Exit {
	web.EventOf(r).User = user.ID
	_, err := h.Sessions.StartPending(w, r, user.ID, h.Accounts.EmailMark(user.ID, email))
	if err != nil && !errors.Is(err, idp.ErrNotFound) { // deleted at this moment: the next page says so
		return journey.ExitWithError(err)
	}
	next := journey.SetUpPath
	if !account.MayAddFirstFactor(user) {
		next = journey.CodePath
	}
	return journey.ExitWithDecision(d, user.ID, journey.WriteRedirect(w, r, f.AddRequest(next)))
}

// answerUsedLink answers a link that cannot be used. A browser that used it continues where it was.
func (h *Handler) answerUsedLink(w http.ResponseWriter, r *http.Request) journey.Exit {
	pending, err := h.Sessions.LookupPending(r)
	if err == nil {
		user, err := h.LoadUser(r.Context(), pending.User)
		switch {
		case err == nil && account.MayAddFirstFactor(user):
			return journey.RedirectTo(w, r, journey.SetUpPath)
		case err == nil:
			return journey.RedirectTo(w, r, journey.CodePath)
		case !errors.Is(err, idp.ErrNotFound):
			return journey.ExitWithError(err)
		}
	} else if !errors.Is(err, idp.ErrNotFound) {
		return journey.ExitWithError(err)
	}
	page := templates.SignUpLinkPage{Base: h.Pages.Base(r, ""), SignInURL: journey.SignInPath}
	if h.OffersSignUp() {
		page.SignUpURL = journey.SignUpPath
	}
	return journey.ExitWithPage(func() error { return h.Pages.Render(w, http.StatusGone, page) })
}

func (h *Handler) writeConfirmPage(w http.ResponseWriter, r *http.Request, f journey.Flow, link *maillink.Link, token string, status int, page templates.SignUpConfirmPage) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		page.Nonce, page.Languages = web.AllowScript(w), page.Languages.WithForm(templates.FormSignUp)
		page.Action, page.Token, page.Email = journey.SignUpConfirmPath, token, link.Email
		page.IsInvited = link.Purpose == maillink.Invitation
		page.Rules = templates.ChooseOperatorText(h.Settings.Rules, page.Lang)
		page.Privacy = templates.ChooseOperatorText(h.Settings.Privacy, page.Lang)
		return h.Pages.Render(w, status, page)
	}
}

// writeExistsPage writes the sign-in page for the owner of an email address that got an account
// while the link waited.
func (h *Handler) writeExistsPage(w http.ResponseWriter, r *http.Request, f journey.Flow, email string) func() error {
	return func() error {
		page := templates.SignInPage{
			Base: f.NewPageBase(h.Pages, r), Action: journey.SignInPath, Request: string(f.Request.Handle), Email: email,
			Notice: templates.NoticeAccountExists, HelpText: f.Provider.HelpText,
		}
		page.Nonce, page.Languages = web.AllowScript(w), page.Languages.WithForm(templates.FormSignIn)
		return h.Pages.Render(w, http.StatusUnprocessableEntity, page)
	}
}
