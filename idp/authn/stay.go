package authn

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"time"

	"vernal/idp"
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
func (h *Handler) scheduleWarning(w http.ResponseWriter, s *idp.Session) { h.scheduleStay(w, h.warnAt(s)) }

func (h *Handler) scheduleStay(w http.ResponseWriter, at time.Time) {
	wait := at.Sub(h.Sessions.Clock.Now()).Seconds()
	w.Header().Set("Refresh", fmt.Sprintf("%d; url=%s", int(math.Max(1, math.Ceil(wait))), stayPath))
}

// showStay answers GET /account/stay: how long the session lasts and, near its end, the
// warning. Browsers load this page automatically, so loading it does not count as use.
// Otherwise two open tabs would keep the session alive permanently.
func (h *Handler) showStay(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	now, end, warn := h.Sessions.Clock.Now(), h.Sessions.EndsAt(s), h.warnAt(s)
	page := templates.StayPage{
		Base: h.Pages.Base(r, ""), Action: stayPath, AccountURL: AccountPath, SignInURL: SignInPath + "?again=1",
		IsDue: !now.Before(warn), IsFinal: end.Equal(s.ExpiresAt), EndAt: end,
		Minutes: max(1, int(end.Sub(now).Minutes())),
	}
	page.Nonce = web.AllowScript(w)
	h.scheduleStay(w, warn)
	if page.IsDue {
		h.scheduleStay(w, end)
	}
	return exitWithPage(h.writePage(w, page))
}

// staySignedIn answers POST /account/stay: the user is still there.
func (h *Handler) staySignedIn(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	if err := h.Sessions.Touch(r.Context(), s); err != nil {
		return exitWithError(err)
	}
	return redirectTo(w, r, AccountPath)
}

// lapseParameter is the URL parameter with the reason why a session ended, so that the page can be
// shown in another language although the cookie is gone. It is believed only without a session, and
// discloses nothing.
const lapseParameter = "ended"

// lapseTexts are the texts of its values. It is read-only.
var lapseTexts = map[session.Lapse]templates.Key{
	session.LapseIdle: templates.EndedIdle, session.LapseAbsolute: templates.EndedAbsolute, session.LapseEnded: templates.EndedElsewhere,
}

// showEnded answers at a page for signed-in users when the browser's session is over. It shows that
// once and removes the cookie. A browser that never had a session is sent to the sign-in page.
func (h *Handler) showEnded(w http.ResponseWriter, r *http.Request) exit {
	why, err := h.Sessions.LookupLapse(r)
	if err != nil {
		return exitWithError(err)
	}
	why = cmp.Or(why, session.Lapse(r.URL.Query().Get(lapseParameter)))
	page := templates.SessionEndedPage{Base: h.Pages.Base(r, ""), SignInURL: SignInPath, Reason: lapseTexts[why]}
	if page.Reason == "" {
		return redirectTo(w, r, SignInPath)
	}
	page.Languages = h.Pages.Languages(AccountPath + "?" + lapseParameter + "=" + string(why))
	h.Sessions.DropSessionCookie(w)
	return exitWithPage(h.writePage(w, page))
}
