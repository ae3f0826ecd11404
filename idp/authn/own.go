package authn

import (
	"context"
	"errors"
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

// endOne is POST /account/sessions/end: one other session of the person's.
func (h *Handler) endOne(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	short := r.PostForm.Get(templates.FieldSession)
	if short == "" {
		return badForm(errors.New("no session is named"))
	}
	return h.endOwn(w, r, short, doneOne)
}

// endOthers is POST /account/sessions/end-others: all of the person's sessions
// but this one.
func (h *Handler) endOthers(w http.ResponseWriter, r *http.Request) error {
	return h.endOwn(w, r, "", doneOthers)
}

// endOwn ends sessions. One that is not there has ended already, or is somebody
// else's: both get the same answer, and the latter stays.
func (h *Handler) endOwn(w http.ResponseWriter, r *http.Request, short, done string) error {
	s, err := h.Sessions.Current(r)
	if errors.Is(err, idp.ErrNotFound) {
		return redirect(w, r, AccountPath) // which says what became of the session
	}
	if err != nil {
		return err
	}
	e := web.EventOf(r)
	n, err := h.Sessions.EndOwn(r.Context(), s, short, idp.AuditEvent{
		Kind: "session.end", Outcome: "ok", Actor: "user:" + string(s.User), User: s.User, RequestID: e.ID, Address: e.Address,
	})
	if errors.Is(err, idp.ErrSessionEnded) {
		return redirect(w, r, AccountPath)
	}
	if err != nil {
		return err
	}
	e.Note(slog.Int("sessions_ended", n))
	return redirect(w, r, AccountPath+"?done="+done)
}
