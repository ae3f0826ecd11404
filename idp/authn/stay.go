package authn

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/session"
	"vernal/idp/web"
	"vernal/templates"
)

// warnBefore is how long before the end of a session its person is warned, with
// one button to stay (WCAG 2.2.1 wants 20 seconds at least).
const warnBefore = 2 * time.Minute

// warnAt is when to warn of the end of the session. Where sessions are short,
// half of one is left.
func (h *Handler) warnAt(s *idp.Session) time.Time {
	return h.Sessions.EndsAt(s).Add(-min(warnBefore, h.Sessions.Idle/2))
}

// warnLater has the browser go to the warning by itself, without a script, when
// it is due. Only pages on which nothing is typed may do that.
func (h *Handler) warnLater(w http.ResponseWriter, s *idp.Session) { h.stayAt(w, h.warnAt(s)) }

func (h *Handler) stayAt(w http.ResponseWriter, at time.Time) {
	wait := at.Sub(h.Sessions.Clock.Now()).Seconds()
	w.Header().Set("Refresh", fmt.Sprintf("%d; url=%s", int(math.Max(1, math.Ceil(wait))), stayPath))
}

// showStay is GET /account/stay: how long the session lasts and, towards its
// end, the warning. Browsers come here by themselves, so to look is no use of
// the session: two tabs that are left open would keep it alive for ever.
func (h *Handler) showStay(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	now, end, warn := h.Sessions.Clock.Now(), h.Sessions.EndsAt(s), h.warnAt(s)
	page := templates.StayPage{
		Base: h.Pages.Base(r, ""), Action: stayPath, AccountURL: AccountPath, SignInURL: SignInPath + "?again=1",
		Due: !now.Before(warn), Final: end.Equal(s.ExpiresAt), EndAt: end,
		Minutes: max(1, int(end.Sub(now).Minutes())),
	}
	page.Nonce = web.AllowScript(w)
	h.stayAt(w, warn)
	if page.Due {
		h.stayAt(w, end)
	}
	return endShown(h.showPage(w, page))
}

// staySignedIn is POST /account/stay: the user is still there.
func (h *Handler) staySignedIn(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	if err := h.Sessions.Touch(r.Context(), s); err != nil {
		return endFailed(err)
	}
	return redirectTo(w, r, AccountPath)
}

// showEnded answers at a page for signed-in users when the browser's session is
// over: it says so once, and takes the cookie back. A browser that never had a
// session is sent to sign in.
func (h *Handler) showEnded(w http.ResponseWriter, r *http.Request) exit {
	why, err := h.Sessions.Lapsed(r)
	if err != nil {
		return endFailed(err)
	}
	page := templates.SessionEndedPage{Base: h.Pages.Base(r, ""), SignInURL: SignInPath}
	switch why {
	case session.LapseIdle:
		page.Why = templates.EndedIdle
	case session.LapseAbsolute:
		page.Why = templates.EndedAbsolute
	case session.LapseEnded:
		page.Why = templates.EndedElsewhere
	default:
		return redirectTo(w, r, SignInPath)
	}
	h.Sessions.Drop(w)
	return endShown(h.showPage(w, page))
}
