package authn

import (
	"bytes"
	"context"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/session"
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
	return changeOwn(w, r, s, audit.DevicesForgotten, templates.FieldDevice, doneDevice, h.forgetDevices)
}

// forgetAll is POST /account/devices/forget-all.
func (h *Handler) forgetAll(w http.ResponseWriter, r *http.Request, s *idp.Session) exit {
	return changeOwn(w, r, s, audit.DevicesForgotten, "", doneDevices, h.forgetDevices)
}

// forgetDevices forgets devices. The cookie stays in its browser, and means nothing.
func (h *Handler) forgetDevices(ctx context.Context, s *idp.Session, short string, event idp.AuditEvent) (int, error) {
	return h.Accounts.ForgetDevices(ctx, s.User, short, event)
}
