package authn

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/web"
	"vernal/templates"
)

// showSignIn is GET /sign-in. It does not look for a live session: whoever
// sends a person here has decided that they must sign in.
func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request) error {
	f, err := h.flowOf(r, r.URL.Query().Get(templates.FieldRequest))
	if err != nil {
		return err
	}
	page := templates.SignInPage{}
	if f.request != nil && f.request.ForceAuthn {
		if _, err := h.Sessions.Current(r); err == nil {
			page.Notice, page.NoticeArgs = templates.NoticeForceAuthn, []string{f.spName()}
		}
	}
	// Towards the end of a session people may begin another one before it.
	if f.request == nil && !r.URL.Query().Has("again") {
		if _, err := h.Sessions.Current(r); err == nil {
			return redirect(w, r, AccountPath)
		}
	}
	return h.signInPage(w, r, f, http.StatusOK, page)
}

// checkSignIn is POST /sign-in: the password.
func (h *Handler) checkSignIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f, err := h.flowOf(r, r.PostForm.Get(templates.FieldRequest))
	if err != nil {
		return err
	}
	email := strings.TrimSpace(r.PostForm.Get(templates.FieldEmail))
	password := r.PostForm.Get(templates.FieldPassword)
	if problem := signInProblem(email, password); problem != "" {
		return h.signInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Email: email, Problem: problem})
	}

	user, err := h.Accounts.CheckPassword(r.Context(), email, password, web.EventOf(r).Client)
	var throttled *account.ThrottledError
	switch {
	case errors.As(err, &throttled):
		key, args := h.noteThrottled(w, r, throttled, "")
		return h.signInPage(w, r, f, http.StatusTooManyRequests, templates.SignInPage{Email: email, Problem: key, ProblemArgs: args})
	case errors.Is(err, account.ErrWrong):
		web.EventOf(r).Note(slog.String("refused", "password"))
		h.Pages.Refused(r, "password", account.Mistaken(err))
		return h.signInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Email: email, Problem: templates.ProblemSignInWrong})
	case errors.Is(err, account.ErrLocked):
		return f.fail(idp.Refuse(idp.RefusedAccountLocked, "account", "").With(err))
	case err != nil:
		return f.fail(err)
	}
	web.EventOf(r).User = user.ID
	return h.begin(w, r, f, user, email)
}

// begin goes on with a person whose password was right: to the code page, or
// past it in a browser that is remembered. Two factors, always: a password alone
// proves too little to any service provider.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, f flow, user *idp.User, email string) error {
	now := h.Accounts.Clock.Now()
	known := &idp.Session{User: user.ID, Factors: []idp.FactorUse{{Factor: idp.FactorPassword, At: now}}}
	if err := f.obstacle(known, user, now); err != nil {
		return err
	}
	pending, err := h.Sessions.StartPending(w, r, user.ID, h.Accounts.AddressMark(user.ID, email))
	if errors.Is(err, idp.ErrNotFound) { // deleted at this moment
		return h.signInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Email: email, Problem: templates.ProblemSignInWrong})
	}
	if err != nil {
		return f.fail(err)
	}
	// The record is read again now that there is a pending session: whoever
	// locks the account or changes its password from here on ends that. Who was
	// faster than that has not, so it ends here.
	latest, err := h.user(r.Context(), user.ID)
	if err != nil || latest.Locked() || !latest.PasswordChangedAt.Equal(user.PasswordChangedAt) {
		if err := h.Sessions.Abandon(w, r, pending); err != nil {
			return f.fail(err)
		}
	}
	switch {
	case errors.Is(err, idp.ErrNotFound), err == nil && !latest.PasswordChangedAt.Equal(user.PasswordChangedAt):
		return h.signInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Email: email, Problem: templates.ProblemSignInWrong})
	case err != nil:
		return f.fail(err)
	case latest.Locked():
		return f.fail(idp.Refuse(idp.RefusedAccountLocked, "account", ""))
	}
	if device, ok := h.Sessions.Remembered(r, latest); ok && f.remembers() {
		// Forgotten at this moment it is one that is not remembered.
		device.At, err = h.Accounts.UseDevice(r.Context(), user.ID, h.Sessions.DeviceHash(r), pending.CameAs)
		if err == nil {
			return h.complete(w, r, f, pending, device, nil)
		}
		if !errors.Is(err, idp.ErrNotFound) {
			return f.fail(err)
		}
	}
	return redirect(w, r, f.withRequest(CodePath))
}

// signInProblem is what can be said of a form without looking anyone up.
func signInProblem(email, password string) templates.Key {
	switch {
	case email == "":
		return templates.ProblemEmailMissing
	case !strings.Contains(email, "@") || len(email) > 254:
		return templates.ProblemEmailInvalid
	case password == "":
		return templates.ProblemPasswordMissing
	}
	return ""
}

func (h *Handler) signInPage(w http.ResponseWriter, r *http.Request, f flow, status int, page templates.SignInPage) error {
	page.Base = f.base(h.Pages, r)
	page.Action = SignInPath
	if f.provider != nil {
		page.HelpText = f.provider.HelpText
	}
	page.Request = f.handle()
	return h.Pages.Render(w, status, func(b io.Writer) error { return h.Pages.Set.SignIn(b, page) })
}
