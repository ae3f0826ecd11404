package authn

import (
	"bytes"
	"log/slog"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/session"
	"vernal/idp/web"
	"vernal/templates"
)

// listDevices puts the browsers that the person is remembered in on the account
// page, the newest first. Those that are not remembered any more are not listed.
func (h *Handler) listDevices(r *http.Request, u *idp.User, page *templates.AccountPage) {
	here, now := h.Sessions.DeviceHash(r), h.Sessions.Clock.Now()
	for i := len(u.Devices) - 1; i >= 0; i-- {
		d := &u.Devices[i]
		until := session.RememberedUntil(d.At)
		if !now.Before(until) {
			continue
		}
		page.Devices = append(page.Devices, templates.OwnDevice{
			ID: d.Short(), Browser: d.Browser, System: d.System, Current: len(here) > 0 && bytes.Equal(d.Hash, here),
			At: d.At, UntilAt: until, UsedAt: d.UsedAt,
		})
	}
}

// forgetOne is POST /account/devices/forget: one browser that the user is remembered
// in, this one or another.
func (h *Handler) forgetOne(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	short, err := named(r, templates.FieldDevice)
	if err != nil {
		return badForm(err)
	}
	return h.forget(w, r, s, short, doneDevice)
}

// forgetAll is POST /account/devices/forget-all.
func (h *Handler) forgetAll(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return h.forget(w, r, s, "", doneDevices)
}

// forget forgets devices. One that is not there was forgotten already, or is another
// user's: both get the same answer, and the latter stays.
func (h *Handler) forget(w http.ResponseWriter, r *http.Request, s *idp.Session, short, done string) exit {
	n, err := h.Accounts.ForgetDevices(r.Context(), s.User, short, ownEvent(r, audit.DevicesForgotten, s.User))
	if err != nil {
		return fail(err)
	}
	web.EventOf(r).Note(slog.Int("devices_forgotten", n))
	// The cookie stays in its browser, and stands for nothing.
	to := redirectTo(w, r, AccountPath+"?done="+done)
	if n == 0 {
		return show(to)
	}
	return answer(audit.DevicesForgotten, s.User, to)
}
