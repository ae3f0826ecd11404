package authn

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// limit is the time until which a code is accepted, and the time at which the user is warned. It is
// isFinal if the user cannot get more time.
type limit struct {
	warnAt, endsAt time.Time
	isFinal        bool
}

// newPendingLimit returns the limit of a sign-in that waits for its code.
func (h *Handler) newPendingLimit(s *idp.Session) limit {
	warnAt := s.ExpiresAt.Add(-min(journey.WarnBefore, h.Sessions.TimeForCode()/2))
	return limit{warnAt, s.ExpiresAt, !s.ExpiresAt.Before(h.Sessions.PendingEndsAt(s))}
}

// newSessionLimit returns the limit of a step-up, which ends with the session.
func (h *Handler) newSessionLimit(s *idp.Session) limit {
	endsAt := h.Sessions.EndsAt(s)
	return limit{h.SessionWarnsAt(s), endsAt, !endsAt.Before(s.ExpiresAt)}
}

// showMoreTime answers the button of the code page that asks for more time, once the time is
// extended. Ticked boxes stay ticked. The typed part of the code is not shown again, because it is
// a secret and would probably expire before the user sends it.
func (h *Handler) showMoreTime(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User, page templates.CodePage, codeLimit limit) journey.Exit {
	page.Notice, page.NoticeArgs = templates.NoticeMoreTime, nil
	page.IsRemembered = page.OffersRemember && r.PostForm.Get(templates.FieldRemember) == "yes"
	web.EventOf(r).Note(slog.String("more_time", "given"))
	return journey.ExitWithPage(h.writeCodePage(w, r, f, user, http.StatusOK, page, codeLimit))
}

func (h *Handler) extendPending(w http.ResponseWriter, r *http.Request, f journey.Flow, pending *idp.Session, user *idp.User) journey.Exit {
	err := h.Sessions.ExtendPending(r.Context(), pending)
	if errors.Is(err, idp.ErrNotFound) {
		return h.answerStaleCode(w, r, f)
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	page := h.newCodePage(f)
	if r.URL.Path == journey.RecoveryCodePath {
		page = h.newRecoveryCodePage(f)
	}
	return h.showMoreTime(w, r, f, user, page, h.newPendingLimit(pending))
}

// writeCodePage returns a function that writes the code page. The page's stylesheet shows a warning
// before the time is over, even without a script. The page does not reload, because that would
// discard the user's input.
func (h *Handler) writeCodePage(w http.ResponseWriter, r *http.Request, f journey.Flow, user *idp.User, status int, page templates.CodePage, codeLimit limit) func() error {
	return func() error {
		page.Base = f.NewPageBase(h.Pages, r)
		page.Nonce, page.Languages.Form = web.AllowScript(w), chooseLanguageForm(page.Languages, templates.FormCode)
		page.Request, page.Service = string(f.Request.Handle), string(f.Service())
		page.Email = user.PrimaryEmail()
		page.Time = h.newCodeTime(f, codeLimit)
		return h.Pages.Render(w, status, page)
	}
}

func (h *Handler) newCodeTime(f journey.Flow, codeLimit limit) templates.CodeTime {
	left := codeLimit.endsAt.Sub(h.Sessions.Clock.Now())
	warningTime := min(codeLimit.endsAt.Sub(codeLimit.warnAt), left)
	return templates.CodeTime{
		// Rounding may make the warning early and the end late, not the reverse.
		WarnIn: max(0, int((left - warningTime).Seconds())), EndIn: max(1, int(math.Ceil(left.Seconds()))),
		Minutes: max(1, int(warningTime.Minutes())), IsFinal: codeLimit.isFinal, RestartURL: f.AddRequest(journey.SignInPath),
	}
}
