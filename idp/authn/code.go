package authn

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/web"
	"vernal/templates"
)

// showCode is GET /sign-in/code.
func (h *Handler) showCode(w http.ResponseWriter, r *http.Request) error {
	f, err := h.flowOf(r, r.URL.Query().Get(templates.FieldRequest))
	if err != nil {
		return err
	}
	_, user, err := h.begun(r)
	if errors.Is(err, idp.ErrNotFound) {
		return h.nothingPending(w, r, f)
	}
	if err != nil {
		return f.fail(err)
	}
	return h.codePage(w, r, f, user, http.StatusOK, templates.CodePage{})
}

// checkCode is POST /sign-in/code: the second factor, and the new session.
func (h *Handler) checkCode(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f, err := h.flowOf(r, r.PostForm.Get(templates.FieldRequest))
	if err != nil {
		return err
	}
	pending, user, err := h.begun(r)
	if errors.Is(err, idp.ErrNotFound) {
		return h.nothingPending(w, r, f)
	}
	if err != nil {
		return f.fail(err)
	}

	// People type codes as their application shows them, in two groups.
	code := strings.Map(dropSpace, r.PostForm.Get(templates.FieldCode))
	if problem := codeProblem(code); problem != "" {
		return h.codePage(w, r, f, user, http.StatusUnprocessableEntity, templates.CodePage{Problem: problem})
	}
	err = h.Accounts.CheckTOTP(r.Context(), user.ID, code, web.EventOf(r).Client)
	var throttled *account.ThrottledError
	switch {
	case errors.As(err, &throttled):
		key, args := h.noteThrottled(w, r, throttled, user.ID)
		return h.codePage(w, r, f, user, http.StatusTooManyRequests, templates.CodePage{Problem: key, ProblemArgs: args})
	case errors.Is(err, account.ErrWrong):
		web.EventOf(r).Note(slog.String("refused", "code"))
		h.Pages.Refused(r, "code", user.ID)
		return h.codePage(w, r, f, user, http.StatusUnprocessableEntity, templates.CodePage{Problem: templates.ProblemCodeWrong})
	case errors.Is(err, account.ErrLocked):
		return f.fail(idp.Refuse(idp.RefusedAccountLocked, "account", "").With(err))
	case errors.Is(err, account.ErrNoFactor):
		return f.fail(idp.Refuse(idp.RefusedNoFactor, "authentication", "").With(err))
	case err != nil:
		return f.fail(fmt.Errorf("check code: %w", err))
	}
	return h.complete(w, r, f, pending)
}

// begun is the sign-in that waits for its code, and whose it is;
// idp.ErrNotFound if there is none, or the person was deleted meanwhile.
func (h *Handler) begun(r *http.Request) (*idp.Session, *idp.User, error) {
	pending, err := h.Sessions.Pending(r)
	if err != nil {
		return nil, nil, err
	}
	user, err := h.user(r.Context(), pending.User)
	if err == nil {
		web.EventOf(r).User = user.ID
	}
	return pending, user, err
}

// nothingPending answers at the code page when no sign-in waits for a code.
// With a live session another tab was faster, or the back button led here: the
// person is signed in, and what more is needed is not for this page to say.
// Without one they were too slow, and begin again.
func (h *Handler) nothingPending(w http.ResponseWriter, r *http.Request, f flow) error {
	_, err := h.Sessions.Current(r)
	switch {
	case err == nil:
		return redirect(w, r, h.next(f))
	case !errors.Is(err, idp.ErrNotFound):
		return f.fail(err)
	}
	return h.signInPage(w, r, f, http.StatusUnprocessableEntity, templates.SignInPage{Notice: templates.NoticeTimedOut})
}

// complete gives the browser its session and sends it on.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request, f flow, pending *idp.Session) error {
	e := web.EventOf(r)
	event := idp.AuditEvent{
		Kind: "authn", Outcome: "ok", Actor: "user:" + string(pending.User), User: pending.User,
		RequestID: e.ID, Address: e.Address,
		Detail: map[string]string{"factors": "password+totp"},
	}
	if f.request != nil {
		event.SP, event.Year = f.request.SP, f.request.Year
	}
	if before, err := h.Sessions.Current(r); err == nil && before.User == pending.User {
		event.Kind = "step_up" // they were signed in, and that was not enough
	}
	_, err := h.Sessions.Complete(w, r, pending, idp.FactorTOTP, event)
	if errors.Is(err, idp.ErrSessionEnded) || errors.Is(err, idp.ErrNotFound) {
		return h.nothingPending(w, r, f) // locked, deleted or changed at this moment
	}
	if err != nil {
		return f.fail(err)
	}
	e.Note(slog.String("user", string(pending.User)))
	return redirect(w, r, h.next(f))
}

func dropSpace(c rune) rune {
	if c == ' ' || c == '\t' || c == '-' || c == '\u00a0' {
		return -1
	}
	return c
}

func codeProblem(code string) templates.Key {
	if code == "" {
		return templates.ProblemCodeMissing
	}
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		return templates.ProblemCodeFormat
	}
	return ""
}

func (h *Handler) codePage(w http.ResponseWriter, r *http.Request, f flow, user *idp.User, status int, page templates.CodePage) error {
	page.Base = f.base(h.Pages, r)
	page.Action = CodePath
	page.Request = f.handle()
	page.Email = user.PrimaryEmail()
	return h.Pages.Render(w, status, func(b io.Writer) error { return h.Pages.Set.Code(b, page) })
}
