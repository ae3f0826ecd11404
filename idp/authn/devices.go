package authn

import (
	"bytes"
	"context"
	"net/http"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/journey"
	"vernal/idp/session"
	"vernal/templates"
)

// listDevices adds the user's remembered browsers to the account page, the newest first. It
// omits expired ones.
func (h *Handler) listDevices(r *http.Request, u *idp.User, page *templates.AccountPage) {
	currentHash, now := h.Sessions.DeviceHash(r), h.Sessions.Clock.Now()
	for i := len(u.Devices) - 1; i >= 0; i-- {
		d := &u.Devices[i]
		expiresAt := session.RememberedEndsAt(d.At)
		if !now.Before(expiresAt) {
			continue
		}
		page.Devices = append(page.Devices, templates.OwnDevice{
			ID: d.ShortHash(), Browser: d.Browser, System: d.System, IsCurrent: len(currentHash) > 0 && bytes.Equal(d.Hash, currentHash),
			At: d.At, UntilAt: expiresAt, UsedAt: d.UsedAt,
		})
	}
}

// forgetDevice answers POST /account/devices/forget: it removes one of the user's remembered
// browsers, which may be the current one.
func (h *Handler) forgetDevice(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	return changeOwnItems(w, r, s, audit.DevicesForgotten, templates.FieldDevice, doneDevice, h.removeDevices)
}

// forgetAllDevices answers POST /account/devices/forget-all.
func (h *Handler) forgetAllDevices(w http.ResponseWriter, r *http.Request, s *idp.Session) journey.Exit {
	return changeOwnItems(w, r, s, audit.DevicesForgotten, "", doneDevices, h.removeDevices)
}

// removeDevices removes remembered devices. The cookie stays in its browser and no longer has
// any effect.
func (h *Handler) removeDevices(ctx context.Context, s *idp.Session, shortID string, event idp.AuditEvent) (int, error) {
	return h.Accounts.ForgetDevices(ctx, s.User, shortID, event)
}
