package signup

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
	"vernal/templates"
)

// showSignUp answers GET /sign-up. It leaves any session as it is.
func (h *Handler) showSignUp(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	if email := h.FindSentEmail(r); email != "" {
		return journey.ExitWithPage(h.writeSentPage(w, r, f, http.StatusOK, templates.SignUpSentPage{Email: email}))
	}
	return journey.ExitWithPage(h.writeSignUpPage(w, r, f, http.StatusOK, templates.SignUpPage{}))
}

// showInvite answers GET /sign-up where users need an invitation.
func (h *Handler) showInvite(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	page := templates.InvitePage{Base: f.NewPageBase(h.Pages, r), SignInURL: f.AddRequest(journey.SignInPath)}
	return journey.ExitWithPage(h.WritePage(w, page))
}

// requestLink answers POST /sign-up: it mails a link to the email address.
func (h *Handler) requestLink(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	typed := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	wasSent := r.PostForm.Get(templates.FieldSent) == "yes"
	email, emailErr := account.NormalizeEmail(typed)
	showAgain := func(status int, problems templates.Problems) func() error {
		if wasSent && emailErr == nil {
			return h.writeSentPage(w, r, f, status, templates.SignUpSentPage{Email: email, Problems: problems})
		}
		return h.writeSignUpPage(w, r, f, status, templates.SignUpPage{Email: typed, Problems: problems})
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(showAgain(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	switch {
	case typed == "":
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemEmailMissing)))
	case emailErr != nil:
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemEmailInvalid)))
	}
	err := h.Accounts.CountMail(r.Context(), email, web.EventOf(r).Client)
	if throttledErr, ok := errors.AsType[*account.ThrottledError](err); ok {
		return h.RetryLater(w, r, audit.MailThrottled, "", throttledErr.RetryAfter, throttledErr.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter)))
	}
	if err == nil {
		err = h.mailLink(r, f, email)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	return journey.RedirectTo(w, r, h.MakeSentURL(f, journey.SignUpPath, email))
}

// mailLink queues a mail with a link to register. To an email address with an account it queues a
// mail that says so, at the same cost: the link is issued all the same, and its token is discarded.
func (h *Handler) mailLink(r *http.Request, f journey.Flow, email string) error {
	ctx := r.Context()
	owner, err := h.Users.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return fmt.Errorf("look up account: %w", err)
	}
	token, err := h.Links.Issue(ctx, maillink.Link{Purpose: maillink.SignUp, Email: email, SP: f.Provider.EntityID, Request: f.Request.Handle})
	if err != nil {
		return err
	}
	lang := h.Pages.Lang(r)
	mail := usermail.Mail{Kind: usermail.SignUp, To: email, Lang: lang, Args: usermail.Args{
		URL:   h.BaseURL + journey.SignUpConfirmPath + "?" + templates.FieldToken + "=" + url.QueryEscape(token),
		Hours: int(maillink.SignUp.Lifetime().Hours()), SP: f.Provider.Name, Email: email,
	}}
	if owner != nil {
		// The stored email address, because a look-up ignores differences that reach another
		// mailbox.
		mail = usermail.Mail{Kind: usermail.SignUpKnown, To: findAddress(owner, email), Lang: cmp.Or(templates.Lang(owner.Lang), lang)}
		mail.Args = usermail.Args{SP: f.Provider.Name, Email: mail.To}
	}
	return h.Mails.Queue(ctx, mail)
}

// findAddress returns the user's email address that a look-up of email finds.
func findAddress(u *idp.User, email string) string {
	for _, e := range u.Emails {
		if strings.EqualFold(e.Address, email) {
			return e.Address
		}
	}
	return u.PrimaryEmail()
}

func (h *Handler) writeSignUpPage(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, page templates.SignUpPage) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		page.Languages = page.Languages.WithForm(templates.FormSignUp)
		page.Action, page.SignInURL = journey.SignUpPath, f.AddRequest(journey.SignInPath)
		page.Request, page.Service = string(f.Request.Handle), string(f.Service())
		return h.Pages.Render(w, status, page)
	}
}

func (h *Handler) writeSentPage(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, page templates.SignUpSentPage) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		page.Languages = page.Languages.WithForm(templates.FormSignUp)
		page.Action, page.OtherURL = journey.SignUpPath, f.AddRequest(journey.SignUpPath)
		page.Request, page.Service = string(f.Request.Handle), string(f.Service())
		page.Hours = int(maillink.SignUp.Lifetime().Hours())
		return h.Pages.Render(w, status, page)
	}
}
