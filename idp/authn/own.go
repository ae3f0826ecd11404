package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/web"
	"vernal/templates"
)

// maxListedSessions limits the sessions on the account page. The most recently used ones are listed,
// and "end all others" includes the rest.
const maxListedSessions = 20

// Values in the account page's URL that name the change a form has made.
const (
	doneSession     = "session"
	doneOtherSessions  = "others"
	doneDevice  = "device"
	doneDevices = "devices"
)

// doneNotices are the texts of these values. It is read-only.
var doneNotices = map[string]templates.Key{
	doneSession: templates.NoticeSessionEnded, doneOtherSessions: templates.NoticeSessionsEnded,
	doneDevice: templates.NoticeDeviceForgotten, doneDevices: templates.NoticeDevicesForgotten,
}

// listSessions adds the user's sessions to the account page, the current one first.
func (h *Handler) listSessions(ctx context.Context, here *idp.Session, page *templates.AccountPage) error {
	all, err := h.Sessions.ListOwnSessions(ctx, here.User)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(s *idp.Session) bool { return s.ID == here.ID }); i > 0 {
		this := all[i]
		copy(all[1:], all[:i])
		all[0] = this
	}
	for i, s := range all {
		if i == maxListedSessions {
			page.UnlistedCount = len(all) - maxListedSessions
			break
		}
		own := templates.OwnSession{
			ID: s.ID.ShortID(), Browser: s.Device.Browser, System: s.Device.System, Network: networkText(s.Device.Network),
			IsCurrent: s.ID == here.ID, IsPending: s.Pending, BegunAt: s.CreatedAt, SeenAt: s.SeenAt,
		}
		for _, p := range s.Participants {
			if name := h.Registry.LookupName(ctx, p.SP); !slices.Contains(own.Services, name) {
				own.Services = append(own.Services, name)
			}
		}
		page.Sessions = append(page.Sessions, own)
	}
	return nil
}

// networkText returns a network in the familiar form of an IP address: "203.0.113.x".
func networkText(network string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	text := p.Addr().String()
	if p.Addr().Is4() {
		return text[:strings.LastIndexByte(text, '.')] + ".x"
	}
	return strings.TrimSuffix(text, "::") + ":x"
}

// wrapSessionStep returns a handler for a page or form of the user's own account. ended answers a browser
// without a session, with the reason or with a redirect to the page that shows it.
func (h *Handler) wrapSessionStep(ended step, do func(http.ResponseWriter, *http.Request, *idp.Session) exit) web.Handler {
	return h.runStep(func(w http.ResponseWriter, r *http.Request) exit {
		s, err := h.currentSession(r)
		if errors.Is(err, idp.ErrNotFound) {
			return ended(w, r)
		}
		if err != nil {
			return exitWithError(err)
		}
		return do(w, r, s)
	})
}

// newOwnEvent returns the audit event of a user's action on their own account.
func newOwnEvent(r *http.Request, d audit.Decision, user idp.UserID) idp.AuditEvent {
	e := web.AuditEvent(r, d, user)
	e.Actor = "user:" + string(user)
	return e
}

// endSession answers POST /account/sessions/end: it ends one other session of the user.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return changeOwnItems(w, r, s, audit.SessionsEnded, templates.FieldSession, doneSession, h.Sessions.EndOwnSessions)
}

// endOtherSessions answers POST /account/sessions/end-others: it ends all of the user's sessions
// except the current one.
func (h *Handler) endOtherSessions(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return changeOwnItems(w, r, s, audit.SessionsEnded, "", doneOtherSessions, h.Sessions.EndOwnSessions)
}

// changeOwnItems ends or removes the item that a field of the form names, or all items without a field.
// An unknown name either no longer exists or belongs to another user. Both get the same answer, and
// nothing of another user changes.
func changeOwnItems(w http.ResponseWriter, r *http.Request, s *idp.Session, d audit.Decision, field, done string,
	change func(ctx context.Context, s *idp.Session, short string, event idp.AuditEvent) (int, error),
) exit {
	short := ""
	if field != "" {
		if err := r.ParseForm(); err != nil {
			return exitWithError(newFormError(err))
		}
		if short = r.PostForm.Get(field); short == "" {
			return exitWithError(newFormError(fmt.Errorf("field %s is missing", field)))
		}
	}
	n, err := change(r.Context(), s, short, newOwnEvent(r, d, s.User))
	if errors.Is(err, idp.ErrSessionEnded) {
		return redirectTo(w, r, AccountPath) // the account page shows the result
	}
	if err != nil {
		return exitWithError(err)
	}
	web.EventOf(r).Note(slog.Int(d.Rule().Name, n))
	to := writeRedirect(w, r, AccountPath+"?done="+done)
	if n == 0 {
		return exitWithPage(to)
	}
	return exitWithDecision(d, s.User, to)
}
