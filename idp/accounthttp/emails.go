package accounthttp

import (
	"context"
	"errors"
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

// URL paths of the forms about email addresses.
const (
	removeEmailPath  = "/account/emails/remove"
	primaryEmailPath = "/account/emails/primary"
)

// showEmails answers GET /account/emails.
func (h *Handler) showEmails(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	return journey.ExitWithPage(h.writeEmails(w, r, v, http.StatusOK, "", nil))
}

func (h *Handler) writeEmails(w http.ResponseWriter, r *http.Request, v visitor, status int, typed string, problems templates.Problems) func() error {
	return func() error {
		page := templates.EmailsPage{
			AccountBase: h.newFrame(r, v, journey.EmailsPath), CanSend: h.Mails.CanSend(),
			IsFull: len(v.user.Emails) >= account.MaxEmails, Max: account.MaxEmails, Typed: typed, Problems: problems,
			Action: journey.EmailsPath, RemoveAction: removeEmailPath, PrimaryAction: primaryEmailPath,
		}
		if page.CanSend && !page.IsFull && len(page.Languages.Langs) > 0 {
			page.Languages.Form = templates.FormAddEmail
		}
		for i, e := range v.user.Emails {
			page.Emails = append(page.Emails, templates.OwnEmail{
				Address: e.Address, IsPrimary: i == 0, IsConfirmed: !e.ConfirmedAt.IsZero(), CanRemove: account.CanRemoveEmail(v.user, e.Address),
				ConfirmedAt: e.ConfirmedAt, LastSignInAt: e.LastSignInAt,
			})
		}
		page.Nonce = allowLocalTimes(w)
		return h.Pages.Render(w, status, page)
	}
}

// addEmail answers POST /account/emails: it mails a link to the email address. The answer, the
// stored records and the mail are as many whether or not it belongs to another account.
func (h *Handler) addEmail(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	typed := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	showAgain := func(status int, problems templates.Problems) func() error {
		return h.writeEmails(w, r, v, status, typed, problems)
	}
	if h.Pages.ChooseLanguage(w, r) {
		return journey.ExitWithPage(showAgain(http.StatusOK, templates.ParseProblems(r.PostForm[templates.FieldProblem])))
	}
	address, err := account.NormalizeEmail(typed)
	problem := templates.Key("")
	switch {
	case typed == "":
		problem = templates.ProblemEmailMissing
	case err != nil:
		problem = templates.ProblemEmailInvalid
	case isConfirmed(v.user, address):
		problem = templates.ProblemEmailOwn
	case len(v.user.Emails) >= account.MaxEmails && !hasEmail(v.user, address):
		problem = templates.ProblemEmailFull
	}
	if problem != "" {
		return journey.ExitWithPage(showAgain(http.StatusUnprocessableEntity, templates.NewProblems(problem)))
	}
	err = h.Accounts.CountMail(r.Context(), address, web.EventOf(r).Client)
	if throttled, ok := errors.AsType[*account.ThrottledError](err); ok {
		return h.RetryLater(w, r, audit.MailThrottled, "", throttled.RetryAfter, throttled.Limit,
			showAgain(http.StatusTooManyRequests, templates.Throttled(throttled.RetryAfter)))
	}
	if err == nil {
		err = h.mailEmailLink(r, v, address)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	return journey.ExitWithPage(redirectDone(w, r, journey.EmailsPath, doneEmailSent))
}

func hasEmail(u *idp.User, address string) bool {
	for _, e := range u.Emails {
		if strings.EqualFold(e.Address, address) {
			return true
		}
	}
	return false
}

func isConfirmed(u *idp.User, address string) bool {
	for _, e := range u.Emails {
		if strings.EqualFold(e.Address, address) {
			return !e.ConfirmedAt.IsZero()
		}
	}
	return false
}

// mailEmailLink mails a link to confirm the email address or, if it belongs to another account, says
// so to its owner. A link is issued in both cases, so that they take the same work.
func (h *Handler) mailEmailLink(r *http.Request, v visitor, address string) error {
	ctx := r.Context()
	owner, err := h.Users.UserByEmail(ctx, address)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return err
	}
	token, err := h.Links.Issue(ctx, maillink.Link{Purpose: maillink.AddEmail, Email: address, User: v.user.ID, Stamp: v.user.LinkStamp()})
	if err != nil {
		return err
	}
	mail := usermail.Mail{Kind: usermail.AddEmail, To: address, Lang: h.mailLang(r, v.user), Args: usermail.Args{
		Email: address, URL: h.linkURL(journey.EmailConfirmPath, token), Hours: int(maillink.AddEmail.Lifetime().Hours()),
	}}
	if owner != nil && owner.ID != v.user.ID {
		mail.Kind, mail.Args = usermail.AddEmailTaken, usermail.Args{}
	}
	return h.Mails.Queue(ctx, mail)
}

// mailLang returns the language of mails to a user: the chosen one or, before a choice, that of the
// page.
func (h *Handler) mailLang(r *http.Request, u *idp.User) templates.Lang {
	if u.Lang != "" {
		return templates.Lang(u.Lang)
	}
	return h.Pages.Lang(r)
}

// linkURL returns the URL of a mailed link.
func (h *Handler) linkURL(path, token string) string {
	return h.Pages.BaseURL + path + "?" + templates.FieldToken + "=" + url.QueryEscape(token)
}

// removeEmail answers POST /account/emails/remove: it asks first, and then removes the email address.
// That gets a mail too, because it gets no later notices.
func (h *Handler) removeEmail(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	address := r.PostForm.Get(templates.FieldEmail)
	switch {
	case !hasEmail(v.user, address): // removed in another tab
		return journey.RedirectTo(w, r, journey.EmailsPath)
	case !account.CanRemoveEmail(v.user, address):
		return h.refuseEmail(w, r, v, templates.ProblemEmailNeeded)
	case r.PostForm.Get(templates.FieldSure) != "yes":
		page := templates.ConfirmPage{
			Base: h.newPageBase(r, journey.EmailsPath), Title: templates.EmailRemoveTitle, Text: templates.EmailRemoveText, Button: templates.EmailRemoveButton,
			Args: []string{address}, Action: removeEmailPath, CancelURL: journey.EmailsPath,
			Fields: []templates.Field{{Name: templates.FieldEmail, Value: address}, {Name: templates.FieldSure, Value: "yes"}},
		}
		if isDisclosed(v.user, address) {
			page.Text = templates.EmailRemoveDisclosed
		}
		return journey.ExitWithPage(h.WritePage(w, page))
	}
	if h.Mails.CanSend() && isConfirmed(v.user, address) {
		// Before the change, so that no email address is removed without a mail to it.
		err := h.Mails.Queue(r.Context(), usermail.Mail{Kind: usermail.Changed, To: address, Lang: h.mailLang(r, v.user),
			Args: usermail.Args{Change: idp.AuditUserRemoveEmail, By: "user", At: h.Accounts.Clock.Now()}})
		if err != nil {
			return journey.ExitWithError(err)
		}
	}
	err := h.Accounts.RemoveEmail(r.Context(), h.newChange(r, v, audit.EmailRemoved), address)
	if _, isInput := errors.AsType[*account.InputError](err); isInput { // it became the primary one in another tab
		return h.refuseEmail(w, r, v, templates.ProblemEmailNeeded)
	}
	if errors.Is(err, idp.ErrNotFound) {
		return journey.RedirectTo(w, r, journey.EmailsPath)
	}
	return h.endChange(w, r, v, audit.EmailRemoved, err, redirectDone(w, r, journey.EmailsPath, doneEmailRemoved))
}

func isDisclosed(u *idp.User, address string) bool {
	for _, e := range u.Emails {
		if strings.EqualFold(e.Address, address) {
			return len(e.DisclosedTo) > 0
		}
	}
	return false
}

func (h *Handler) refuseEmail(w http.ResponseWriter, r *http.Request, v visitor, problem templates.Key) journey.Exit {
	return journey.ExitWithPage(h.writeEmails(w, r, v, http.StatusUnprocessableEntity, "", templates.NewProblems(problem)))
}

// choosePrimary answers POST /account/emails/primary. The earlier primary email address gets a link
// to undo the change, before the change is made: no change can be without its link.
func (h *Handler) choosePrimary(w http.ResponseWriter, r *http.Request, v visitor) journey.Exit {
	if err := r.ParseForm(); err != nil {
		return journey.ExitWithError(journey.NewFormError(err))
	}
	address := r.PostForm.Get(templates.FieldEmail)
	switch {
	case !hasEmail(v.user, address), strings.EqualFold(v.user.PrimaryEmail(), address): // changed in another tab
		return journey.RedirectTo(w, r, journey.EmailsPath)
	case !isConfirmed(v.user, address):
		return h.refuseEmail(w, r, v, templates.ProblemEmailUnconfirmed)
	}
	if err := h.mailUndoLink(r, v); err != nil {
		return journey.ExitWithError(err)
	}
	err := h.Accounts.ChoosePrimaryEmail(r.Context(), h.newChange(r, v, audit.PrimaryEmailChosen), address)
	if _, isInput := errors.AsType[*account.InputError](err); isInput || errors.Is(err, idp.ErrNotFound) {
		return journey.RedirectTo(w, r, journey.EmailsPath)
	}
	return h.endChange(w, r, v, audit.PrimaryEmailChosen, err, redirectDone(w, r, journey.EmailsPath, donePrimaryEmail))
}

// mailUndoLink mails the link with which the owner of the primary email address can undo its
// replacement. One that is not confirmed may be in someone else's hands, and gets no link.
func (h *Handler) mailUndoLink(r *http.Request, v visitor) error {
	primary := v.user.PrimaryEmail()
	if !h.Mails.CanSend() || !isConfirmed(v.user, primary) {
		return nil
	}
	token, err := h.Links.Issue(r.Context(), maillink.Link{Purpose: maillink.UndoPrimary, Email: primary, User: v.user.ID, Stamp: v.user.LinkStamp()})
	if err != nil {
		return err
	}
	return h.Mails.Queue(r.Context(), usermail.Mail{Kind: usermail.PrimaryChanged, To: primary, Lang: h.mailLang(r, v.user), Args: usermail.Args{
		URL: h.linkURL(journey.EmailUndoPath, token), Days: int(maillink.UndoPrimary.Lifetime().Hours() / 24),
	}})
}

// emailLink is a mailed link about an email address: its pages, and the change that it makes.
type emailLink struct {
	purpose             maillink.Purpose
	path                string
	title, text, button templates.Key
	doneTitle, doneText templates.Key
	decision            audit.Decision
	change              func(ctx context.Context, c account.OwnChange, address, stamp string) error
	doneLink            templates.Key
	doneURL             string
}

func (h *Handler) confirmLink() emailLink {
	return emailLink{
		purpose: maillink.AddEmail, path: journey.EmailConfirmPath, decision: audit.EmailAdded, change: h.Accounts.ConfirmEmail,
		title: templates.EmailConfirmTitle, text: templates.EmailConfirmText, button: templates.EmailConfirmButton,
		doneTitle: templates.EmailConfirmedTitle, doneText: templates.EmailConfirmedText, doneLink: templates.EmailToEmails, doneURL: journey.EmailsPath,
	}
}

func (h *Handler) undoLink() emailLink {
	l := emailLink{
		purpose: maillink.UndoPrimary, path: journey.EmailUndoPath, decision: audit.PrimaryEmailRestored, change: h.Accounts.RestorePrimaryEmail,
		title: templates.EmailUndoTitle, text: templates.EmailUndoText, button: templates.EmailUndoButton,
		doneTitle: templates.EmailUndoneTitle, doneText: templates.EmailUndoneText, doneLink: templates.EmailUndoneSignIn, doneURL: journey.SignInPath,
	}
	if h.ForgotURL != "" {
		l.doneLink, l.doneURL = templates.EmailUndoneReset, h.ForgotURL
	}
	return l
}

// showLink returns the step that answers GET at a mailed link. It changes nothing, because mail
// scanners follow links, and works in any browser.
func (h *Handler) showLink(l emailLink) journey.Step {
	return func(w http.ResponseWriter, r *http.Request) journey.Exit {
		token := r.URL.Query().Get(templates.FieldToken)
		link, err := h.Links.Lookup(r.Context(), l.purpose, token)
		if err == nil {
			err = h.checkStamp(r.Context(), link)
		}
		if errors.Is(err, idp.ErrNotFound) {
			return h.refuseLink(w, r)
		}
		if err != nil {
			return journey.ExitWithError(err)
		}
		return journey.ExitWithPage(h.WritePage(w, templates.ConfirmPage{
			Base: h.Pages.Base(r, ""), Title: l.title, Text: l.text, Button: l.button, Args: []string{link.Email},
			Action: l.path, Fields: []templates.Field{{Name: templates.FieldToken, Value: token}},
		}))
	}
}

// checkStamp returns idp.ErrNotFound for a link that a new password voided.
func (h *Handler) checkStamp(ctx context.Context, link *maillink.Link) error {
	u, err := h.LoadUser(ctx, link.User)
	if err != nil {
		return err
	}
	if u.LinkStamp() != link.Stamp {
		return idp.ErrNotFound
	}
	return nil
}

// useLink returns the step that answers POST at a mailed link: it makes the change for the link's
// user, even if another user is signed in, and uses the link up.
func (h *Handler) useLink(l emailLink) journey.Step {
	return func(w http.ResponseWriter, r *http.Request) journey.Exit {
		if err := r.ParseForm(); err != nil {
			return journey.ExitWithError(journey.NewFormError(err))
		}
		token := r.PostForm.Get(templates.FieldToken)
		link, err := h.Links.Lookup(r.Context(), l.purpose, token)
		if err == nil {
			web.EventOf(r).User = link.User
			c := account.OwnChange{User: link.User, Event: journey.NewOwnEvent(r, l.decision, link.User)}
			err = l.change(r.Context(), c, link.Email, link.Stamp)
		}
		// The link is used up last, so that a crash does not leave the user without it: no page
		// gives the user another link that undoes the change.
		if err == nil {
			if _, err = h.Links.Redeem(r.Context(), l.purpose, token); errors.Is(err, idp.ErrNotFound) {
				err = nil // another tab was as fast
			}
		}
		page := templates.OutcomePage{Base: h.newPageBase(r, journey.AccountPath), Title: l.doneTitle, Text: l.doneText, Link: l.doneLink, URL: l.doneURL}
		_, isFull := errors.AsType[*account.InputError](err)
		switch {
		case errors.Is(err, idp.ErrNotFound):
			return h.refuseLink(w, r)
		case errors.Is(err, idp.ErrExists), isFull:
			page.Title, page.Text, page.Link, page.URL, page.HasSupport = templates.EmailTakenTitle, templates.EmailTakenText, templates.EmailToEmails, journey.EmailsPath, true
			page.Args = []string{link.Email}
			return journey.ExitWithPage(func() error { return h.Pages.Render(w, http.StatusUnprocessableEntity, page) })
		case errors.Is(err, account.ErrLocked):
			return journey.ExitWithError(idp.Refuse(idp.RefusedAccountLocked, "account", "").WithCause(err))
		case err != nil:
			return journey.ExitWithError(err)
		}
		page.Args = []string{link.Email}
		return journey.ExitWithDecision(l.decision, link.User, h.WritePage(w, page))
	}
}

// refuseLink answers at a link that cannot be used. The reason is not disclosed.
func (h *Handler) refuseLink(w http.ResponseWriter, r *http.Request) journey.Exit {
	page := templates.OutcomePage{
		Base: h.newPageBase(r, journey.AccountPath), Title: templates.EmailStaleTitle, Text: templates.EmailStaleText,
		Link: templates.EmailToEmails, URL: journey.EmailsPath, HasSupport: true,
	}
	return journey.ExitWithPage(func() error { return h.Pages.Render(w, http.StatusGone, page) })
}
