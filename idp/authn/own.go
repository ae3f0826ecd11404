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
	slices.SortStableFunc(all, func(a, b *idp.Session) int { return first(b.ID == here.ID) - first(a.ID == here.ID) })
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

func first(yes bool) int {
	if yes {
		return 1
	}
	return 0
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

// own makes a handler of what a person does about their own, in a session. Who
// has none any more is led to the account page, which says what became of it.
func (h *Handler) own(do func(http.ResponseWriter, *http.Request, *idp.Session) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := h.Sessions.Current(r)
		if errors.Is(err, idp.ErrNotFound) {
			return redirect(w, r, AccountPath)
		}
		if err != nil {
			return err
		}
		return do(w, r, s)
	}
}

// named is what a form of the account page names in a field.
func named(r *http.Request, field string) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", badForm(err)
	}
	name := r.PostForm.Get(field)
	if name == "" {
		return "", badForm(fmt.Errorf("no %s is named", field))
	}
	return name, nil
}

// ownEvent is what the audit trail is told of what a person does for themselves.
func ownEvent(r *http.Request, kind string, user idp.UserID) idp.AuditEvent {
	e := web.EventOf(r)
	return idp.AuditEvent{Kind: kind, Outcome: "ok", Actor: "user:" + string(user), User: user, RequestID: e.ID, Address: e.Address}
}

// endOne is POST /account/sessions/end: one other session of the person's.
func (h *Handler) endOne(w http.ResponseWriter, r *http.Request, s *idp.Session) error {
	short, err := named(r, templates.FieldSession)
	if err != nil {
		return err
	}
	return h.endOwn(w, r, s, short, doneOne)
}

// endOthers is POST /account/sessions/end-others: all of the person's sessions
// but this one.
func (h *Handler) endOthers(w http.ResponseWriter, r *http.Request, s *idp.Session) error {
	return h.endOwn(w, r, s, "", doneOthers)
}

// endOwn ends sessions. One that is not there has ended already, or is somebody
// else's: both get the same answer, and the latter stays.
func (h *Handler) endOwn(w http.ResponseWriter, r *http.Request, s *idp.Session, short, done string) error {
	n, err := h.Sessions.EndOwn(r.Context(), s, short, ownEvent(r, "session.end", s.User))
	if errors.Is(err, idp.ErrSessionEnded) {
		return redirect(w, r, AccountPath) // which says so
	}
	if err != nil {
		return err
	}
	web.EventOf(r).Note(slog.Int("sessions_ended", n))
	return redirect(w, r, AccountPath+"?done="+done)
}
