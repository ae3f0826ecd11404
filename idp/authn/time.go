package authn

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/web"
	"vernal/templates"
)

// limit is until when a code is taken, and when the person is warned of that. It
// is final if they cannot have more time.
type limit struct {
	warnAt, end time.Time
	final       bool
}

// pendingLimit is that of a sign-in that waits for its code.
func (h *Handler) pendingLimit(s *idp.Session) limit {
	warnAt := s.ExpiresAt.Add(-min(warnBefore, h.Sessions.TimeForCode()/2))
	return limit{warnAt, s.ExpiresAt, !s.ExpiresAt.Before(h.Sessions.PendingUntil(s))}
}

// sessionLimit is that of a step-up, which ends with the session.
func (h *Handler) sessionLimit(s *idp.Session) limit {
	end := h.Sessions.EndsAt(s)
	return limit{h.warnAt(s), end, !end.Before(s.ExpiresAt)}
}

// moreTime answers the button of the code page by which a person asks for more
// time, after they got it. What was ticked is ticked again. What was typed of
// the code is not shown again: codes change every minute at most, so that by the
// time it is sent it would count as a wrong one; and it is a secret.
func (h *Handler) moreTime(w http.ResponseWriter, r *http.Request, f flow, user *idp.User, page templates.CodePage, l limit) exit {
	page.Notice, page.NoticeArgs = templates.NoticeMoreTime, nil
	page.Remembered = page.Remember && r.PostForm.Get(templates.FieldRemember) == "yes"
	web.EventOf(r).Note(slog.String("more_time", "given"))
	return endShown(h.codePage(w, r, f, user, http.StatusOK, page, l))
}

// extendPending gives a sign-in that was begun more time.
func (h *Handler) extendPending(w http.ResponseWriter, r *http.Request, f flow, pending *idp.Session, user *idp.User) exit {
	err := h.Sessions.ExtendPending(r.Context(), pending)
	if errors.Is(err, idp.ErrNotFound) {
		return h.nothingPending(w, r, f)
	}
	if err != nil {
		return endFailed(err)
	}
	return h.moreTime(w, r, f, user, h.askCode(f), h.pendingLimit(pending))
}

// codePage writes the page that asks for a code. Before the time for it is over the
// page's own stylesheet shows a warning, also without a script: no reload may take
// away what the user is typing.
func (h *Handler) codePage(w http.ResponseWriter, r *http.Request, f flow, user *idp.User, status int, page templates.CodePage, l limit) func() error {
	return func() error {
		left := l.end.Sub(h.Sessions.Clock.Now())
		warned := min(l.end.Sub(l.warnAt), left)
		page.Base = f.pageBase(h.Pages, r)
		page.Nonce, page.Languages.Form = web.AllowScript(w), languageForm(page.Languages, templates.FormCode)
		page.Request = string(f.request.Handle)
		page.Email = user.PrimaryEmail()
		page.Time = templates.CodeTime{
			// Rounded so that the warning comes early rather than late, and the end late.
			WarnIn: max(0, int((left - warned).Seconds())), EndIn: max(1, int(math.Ceil(left.Seconds()))),
			Minutes: max(1, int(warned.Minutes())), Final: l.final, AgainURL: f.withRequest(SignInPath),
		}
		return h.Pages.Render(w, status, page)
	}
}
