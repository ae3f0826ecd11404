package recovery

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/maillink"
	"vernal/idp/usermail"
	"vernal/idp/web"
	"vernal/templates"
)

// showForgot answers GET /sign-in/forgot.
func (h *Handler) showForgot(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	if email := h.FindSentEmail(r); email != "" {
		return journey.ExitWithPage(h.writeForgotSent(w, r, f, http.StatusOK, email, nil))
	}
	return journey.ExitWithPage(h.writeForgot(w, r, f, http.StatusOK, "", nil))
}

// mailLink answers POST /sign-in/forgot: it mails a link to choose a new password. Page, status and
// work are the same for every email address: one without an account gets a mail that says so.
func (h *Handler) mailLink(w http.ResponseWriter, r *http.Request, f journey.Flow) journey.Exit {
	typed := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	isSent := r.PostForm.Get(templates.FieldSent) == "yes"
	email, err := account.NormalizeEmail(typed)
	show := func(status int, problems templates.Problems) func() error {
		if isSent && err == nil {
			return h.writeForgotSent(w, r, f, status, email, problems)
		}
		return h.writeForgot(w, r, f, status, typed, problems)
	}
	switch {
	case h.Pages.ChooseLanguage(w, r):
		return journey.ExitWithPage(show(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	case !h.Mails.CanSend():
		return journey.ExitWithPage(h.writeForgot(w, r, f, http.StatusOK, typed, nil))
	case typed == "":
		return journey.ExitWithPage(show(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemEmailMissing)))
	case err != nil:
		return journey.ExitWithPage(show(http.StatusUnprocessableEntity, templates.NewProblems(templates.ProblemEmailInvalid)))
	}
	countErr := h.Accounts.CountMail(r.Context(), email, web.EventOf(r).Client)
	if throttledErr, ok := errors.AsType[*account.ThrottledError](countErr); ok {
		return h.RetryLater(w, r, audit.MailThrottled, "", throttledErr.RetryAfter, throttledErr.Limit,
			show(http.StatusTooManyRequests, templates.Throttled(throttledErr.RetryAfter)))
	}
	if countErr != nil {
		return journey.ExitWithError(countErr)
	}
	if err := h.queueLink(r.Context(), f, email, h.Pages.Lang(r)); err != nil {
		return journey.ExitWithError(err)
	}
	return journey.RedirectTo(w, r, h.MakeSentURL(f, journey.ForgotPath, email))
}

// queueLink queues the mail for an email address. An address without an account gets a link too, which
// no one receives and which is for no user, so that the work is the same. An address that its user has
// not confirmed may belong to someone else, so it does not open the account.
func (h *Handler) queueLink(ctx context.Context, f journey.Flow, email string, lang templates.Lang) error {
	mail := usermail.Mail{Kind: usermail.ResetUnknown, To: email, Lang: lang}
	link := maillink.Link{Purpose: maillink.ResetPassword, Email: email, SP: f.Provider.EntityID, Request: f.Request.Handle}
	u, err := h.Users.UserByEmail(ctx, email)
	switch {
	case err == nil:
		for _, e := range u.Emails {
			if strings.EqualFold(e.Address, email) && !e.ConfirmedAt.IsZero() {
				mail.Kind, mail.To = usermail.ResetPassword, e.Address
				link.Email, link.User, link.Stamp = e.Address, u.ID, u.LinkStamp()
			}
		}
		if u.Lang != "" && mail.Kind == usermail.ResetPassword {
			mail.Lang = templates.Lang(u.Lang)
		}
	case !errors.Is(err, idp.ErrNotFound):
		return err
	}
	token, err := h.Links.Issue(ctx, link)
	if err != nil {
		return err
	}
	mail.Args = usermail.Args{Minutes: int(maillink.ResetPassword.Lifetime() / time.Minute)}
	if mail.Kind == usermail.ResetPassword {
		mail.Args.URL = h.makeURL(journey.ResetPath, token)
	}
	return h.Mails.Queue(ctx, mail)
}

// makeURL returns the URL of a mailed link.
func (h *Handler) makeURL(path, token string) string {
	return h.Pages.BaseURL + path + "?" + templates.FieldToken + "=" + url.QueryEscape(token)
}

func (h *Handler) writeForgot(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, email string, problems templates.Problems) func() error {
	return func() error {
		page := templates.ForgotPage{
			Base: f.NewPageBase(h.Pages, r), Action: journey.ForgotPath, Request: string(f.Request.Handle), Service: string(f.Service()),
			Email: email, Problems: problems, CanMail: h.Mails.CanSend(), SignInURL: f.AddRequest(journey.SignInPath),
		}
		if page.CanMail {
			setLanguageForm(&page.Base, templates.FormForgot)
		}
		return h.Pages.Render(w, status, page)
	}
}

func (h *Handler) writeForgotSent(w http.ResponseWriter, r *http.Request, f journey.Flow, status int, email string, problems templates.Problems) func() error {
	return func() error {
		page := templates.ForgotSentPage{
			Base: f.NewPageBase(h.Pages, r), Action: journey.ForgotPath, Request: string(f.Request.Handle), Service: string(f.Service()),
			Email: email, Problems: problems, Minutes: int(maillink.ResetPassword.Lifetime() / time.Minute),
			OtherURL: f.AddRequest(journey.ForgotPath),
		}
		setLanguageForm(&page.Base, templates.FormForgot)
		return h.Pages.Render(w, status, page)
	}
}

// setLanguageForm lets a form carry the language switcher, unless the page has none.
func setLanguageForm(b *templates.Base, form string) {
	if len(b.Languages.Langs) > 0 {
		b.Languages.Form = form
	}
}
