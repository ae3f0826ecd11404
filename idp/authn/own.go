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
	"vernal/idp/journey"
	"vernal/idp/web"
	"vernal/templates"
)

// maxListedSessions limits the sessions on the account page to the most recently used ones.
// "End all others" also ends the sessions that are not listed.
const maxListedSessions = 20

// Values in the account page's URL that name the change a form has made.
const (
	doneSession       = "session"
	doneOtherSessions = "others"
	doneDevice        = "device"
	doneDevices       = "devices"
)

// doneNotices are the texts of these values. The map is read-only.
var doneNotices = map[string]templates.Key{
	doneSession: templates.NoticeSessionEnded, doneOtherSessions: templates.NoticeSessionsEnded,
	doneDevice: templates.NoticeDeviceForgotten, doneDevices: templates.NoticeDevicesForgotten,
}

// listSessions adds the user's sessions to the account page, the current one first.
func (h *Handler) listSessions(ctx context.Context, current *idp.Session, page *templates.AccountPage) error {
	sessions, err := h.Sessions.ListOwnSessions(ctx, current.User)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(sessions, func(s *idp.Session) bool { return s.ID == current.ID }); i > 0 {
		first := sessions[i]
		copy(sessions[1:], sessions[:i])
		sessions[0] = first
	}
	for i, s := range sessions {
		if i == maxListedSessions {
			page.UnlistedCount = len(sessions) - maxListedSessions
			break
		}
		ownSession := templates.OwnSession{
			ID: s.ID.ShortID(), Browser: s.Device.Browser, System: s.Device.System, Network: networkText(s.Device.Network),
			IsCurrent: s.ID == current.ID, IsPending: s.Pending, BegunAt: s.CreatedAt, SeenAt: s.SeenAt,
		}
		for _, p := range s.Participants {
			if name := h.Registry.LookupName(ctx, p.SP); !slices.Contains(ownSession.Services, name) {
				ownSession.Services = append(ownSession.Services, name)
			}
		}
		page.Sessions = append(page.Sessions, ownSession)
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

// endSession answers POST /account/sessions/end: it ends one other session of the user.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	return changeOwnItems(w, r, s, audit.SessionsEnded, templates.FieldSession, doneSession, h.Sessions.EndOwnSessions)
}

// endOtherSessions answers POST /account/sessions/end-others: it ends all of the user's sessions
// except the current one.
func (h *Handler) endOtherSessions(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	return changeOwnItems(w, r, s, audit.SessionsEnded, "", doneOtherSessions, h.Sessions.EndOwnSessions)
}

// changeOwnItems ends or removes the item that a field of the form names, or all items without a
// field. An item that no longer exists and one of another user get the same answer, and neither
// changes.
func changeOwnItems(w http.ResponseWriter, r *http.Request, s *idp.Session, d audit.Decision, field, doneValue string,
	change func(ctx context.Context, s *idp.Session, shortID string, event idp.AuditEvent) (int, error),
) journey.Exit {
	shortID := ""
	if field != "" {
		if err := r.ParseForm(); err != nil {
			return journey.ExitWithError(journey.NewFormError(err))
		}
		if shortID = r.PostForm.Get(field); shortID == "" {
			return journey.ExitWithError(journey.NewFormError(fmt.Errorf("field %s is missing", field)))
		}
	}
	n, err := change(r.Context(), s, shortID, journey.NewOwnEvent(r, d, s.User))
	if errors.Is(err, idp.ErrSessionEnded) {
		return journey.RedirectTo(w, r, journey.AccountPath) // the account page shows the result
	}
	if err != nil {
		return journey.ExitWithError(err)
	}
	web.EventOf(r).Note(slog.Int(d.Rule().Name, n))
	redirect := journey.WriteRedirect(w, r, journey.AccountPath+"?done="+doneValue)
	if n == 0 {
		return journey.ExitWithPage(redirect)
	}
	return journey.ExitWithDecision(d, s.User, redirect)
}
