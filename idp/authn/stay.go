package authn

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/journey"
	"vernal/idp/session"
	"vernal/idp/web"
	"vernal/templates"
)

// warnBefore is how long before the end of a session the user is warned and offered one button
// to stay (WCAG 2.2.1 requires at least 20 seconds).
const warnBefore = 2 * time.Minute

// warnAt returns when to warn of the end of the session. Short sessions warn halfway.
func (h *Handler) warnAt(s *idp.Session) time.Time {
	return h.Sessions.EndsAt(s).Add(-min(warnBefore, h.Sessions.IdleTimeout/2))
}

// scheduleWarning makes the browser load the warning automatically, at its time and without a script. Use
// it only on pages without input, because the reload would discard it.
func (h *Handler) scheduleWarning(w http.ResponseWriter, s *idp.Session) {
	h.scheduleStay(w, h.warnAt(s))
}

func (h *Handler) scheduleStay(w http.ResponseWriter, at time.Time) {
	wait := at.Sub(h.Sessions.Clock.Now()).Seconds()
	w.Header().Set("Refresh", fmt.Sprintf("%d; url=%s", int(math.Max(1, math.Ceil(wait))), journey.StayPath))
}

// showStay answers GET /account/stay: how long the session lasts and, near its end, the
// warning. Browsers load this page automatically, so loading it does not count as use.
// Otherwise two open tabs would keep the session alive permanently.
func (h *Handler) showStay(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	now, endsAt, warnAt := h.Sessions.Clock.Now(), h.Sessions.EndsAt(s), h.warnAt(s)
	page := templates.StayPage{
		Base: h.Pages.Base(r, ""), Action: journey.StayPath, AccountURL: journey.AccountPath, SignInURL: journey.SignInPath + "?again=1",
		IsDue: !now.Before(warnAt), IsFinal: endsAt.Equal(s.ExpiresAt), EndAt: endsAt,
		Minutes: max(1, int(endsAt.Sub(now).Minutes())),
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleStay(w, warnAt)
	if page.IsDue {
		h.scheduleStay(w, endsAt)
	}
	return journey.ExitWithPage(h.WritePage(w, page))
}

// staySignedIn answers POST /account/stay: it extends the session.
func (h *Handler) staySignedIn(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	if err := h.Sessions.Touch(r.Context(), s); err != nil {
		return journey.ExitWithError(err)
	}
	return journey.RedirectTo(w, r, journey.AccountPath)
}

// lapseParameter is the URL parameter with the reason why a session ended, so that the page can be
// shown in another language after its cookie was removed. It is ignored if the browser has a session,
// and discloses nothing.
const lapseParameter = "ended"

// lapseTexts are the texts of its values. The map is read-only.
var lapseTexts = map[session.Lapse]templates.Key{
	session.LapseIdle: templates.EndedIdle, session.LapseAbsolute: templates.EndedAbsolute, session.LapseEnded: templates.EndedElsewhere,
}

// showEnded answers at a page for signed-in users if the browser's session has ended. It shows the
// reason once and removes the cookie. It redirects a browser without a cookie to the sign-in page.
func (h *Handler) showEnded(w http.ResponseWriter, r *http.Request) journey.Exit {
	lapse, err := h.Sessions.LookupLapse(r)
	if err != nil {
		return journey.ExitWithError(err)
	}
	lapse = cmp.Or(lapse, session.Lapse(r.URL.Query().Get(lapseParameter)))
	page := templates.SessionEndedPage{Base: h.Pages.Base(r, ""), SignInURL: journey.SignInPath, Reason: lapseTexts[lapse]}
	if page.Reason == "" {
		return journey.RedirectTo(w, r, journey.SignInPath)
	}
	page.Languages = h.Pages.Languages(journey.AccountPath + "?" + lapseParameter + "=" + string(lapse))
	h.Sessions.DropSessionCookie(w)
	return journey.ExitWithPage(h.WritePage(w, page))
}
