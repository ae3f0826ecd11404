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

// maxListed bounds the sessions on the account page. Those used last are
// listed; "end all others" reaches the rest.
const maxListed = 20

// What the account page says was done, in its address after a form.
const (
	doneOne     = "session"
	doneOthers  = "others"
	doneDevice  = "device"
	doneDevices = "devices"
)

// doneNotices say it in words; read-only.
var doneNotices = map[string]templates.Key{
	doneOne: templates.NoticeSessionEnded, doneOthers: templates.NoticeSessionsEnded,
	doneDevice: templates.NoticeDeviceForgotten, doneDevices: templates.NoticeDevicesForgotten,
}

// listOwn puts the person's sessions on the account page, this one first.
func (h *Handler) listOwn(ctx context.Context, here *idp.Session, page *templates.AccountPage) error {
	all, err := h.Sessions.Own(ctx, here.User)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(s *idp.Session) bool { return s.ID == here.ID }); i > 0 {
		this := all[i]
		copy(all[1:], all[:i])
		all[0] = this
	}
	for i, s := range all {
		if i == maxListed {
			page.More = len(all) - maxListed
			break
		}
		own := templates.OwnSession{
			ID: s.ID.Short(), Browser: s.Device.Browser, System: s.Device.System, Network: networkText(s.Device.Network),
			Current: s.ID == here.ID, Pending: s.Pending, BegunAt: s.CreatedAt, SeenAt: s.SeenAt,
		}
		for _, p := range s.Participants {
			if name := h.Registry.NameOf(ctx, p.SP); !slices.Contains(own.Services, name) {
				own.Services = append(own.Services, name)
			}
		}
		page.Sessions = append(page.Sessions, own)
	}
	return nil
}

// networkText is a network as people know addresses: "203.0.113.x".
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

// inSession makes a handler of what a user does or sees about their own account. ended
// answers a browser without a session: with what became of it, or with a redirect to the
// page that says so.
func (h *Handler) inSession(ended step, do func(http.ResponseWriter, *http.Request, *idp.Session) exit) web.Handler {
	return h.runStep(func(w http.ResponseWriter, r *http.Request) exit {
		s, err := h.currentSession(r)
		if errors.Is(err, idp.ErrNotFound) {
			return ended(w, r)
		}
		if err != nil {
			return endFailed(err)
		}
		return do(w, r, s)
	})
}

// ownEvent records what a user does for themselves.
func ownEvent(r *http.Request, d audit.Decision, user idp.UserID) idp.AuditEvent {
	e := web.AuditEvent(r, d, user)
	e.Actor = "user:" + string(user)
	return e
}

// endOne is POST /account/sessions/end: one other session of the user's.
func (h *Handler) endOne(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return changeOwn(w, r, s, audit.SessionsEnded, templates.FieldSession, doneOne, h.Sessions.EndOwn)
}

// endOthers is POST /account/sessions/end-others: all of the user's sessions but
// this one.
func (h *Handler) endOthers(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return changeOwn(w, r, s, audit.SessionsEnded, "", doneOthers, h.Sessions.EndOwn)
}

// changeOwn ends or forgets what a field of the form names, or all with no field. What
// is not there is gone already, or is another user's: both get the same answer, and
// the latter stays.
func changeOwn(w http.ResponseWriter, r *http.Request, s *idp.Session, d audit.Decision, field, done string,
	change func(ctx context.Context, s *idp.Session, short string, event idp.AuditEvent) (int, error),
) exit {
	short := ""
	if field != "" {
		if err := r.ParseForm(); err != nil {
			return endFailed(badForm(err))
		}
		if short = r.PostForm.Get(field); short == "" {
			return endFailed(badForm(fmt.Errorf("field %s is missing", field)))
		}
	}
	n, err := change(r.Context(), s, short, ownEvent(r, d, s.User))
	if errors.Is(err, idp.ErrSessionEnded) {
		return redirectTo(w, r, AccountPath) // which says so
	}
	if err != nil {
		return endFailed(err)
	}
	web.EventOf(r).Note(slog.Int(d.Rule().Name, n))
	to := writeRedirect(w, r, AccountPath+"?done="+done)
	if n == 0 {
		return endShown(to)
	}
	return endDecided(d, s.User, to)
}
