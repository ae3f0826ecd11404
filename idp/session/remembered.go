package session

import (
	"net/http"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
)

// deviceCookie is the name of the cookie of a remembered device. A browser has one, which belongs
// to the user who asked for it last. Users who share a browser cannot see that other users are
// remembered there.
const deviceCookie = "device"

// NewDevice returns the cookie by which a browser is remembered, and the record of it to store for
// the user. The cookie is always a new one: a cookie that an attacker has planted in the browser is
// never remembered.
func (m *Manager) NewDevice(r *http.Request) (cookie *http.Cookie, record idp.RememberedDevice) {
	token := newToken()
	device := m.DescribeDevice(r)
	record = idp.RememberedDevice{Hash: hashValue(token), Browser: device.Browser, System: device.System}
	return m.newCookie(m.cookieName(deviceCookie), token, assurance.RememberedDeviceLifetime), record
}

// DeviceHash returns the hash of the browser's cookie of a remembered device, nil without one.
func (m *Manager) DeviceHash(r *http.Request) []byte {
	c, err := r.Cookie(m.cookieName(deviceCookie))
	if err != nil || c.Value == "" {
		return nil
	}
	return hashValue(c.Value)
}

// LookupRemembered returns the use of the browser as a second factor of the user. ok is false if
// the browser is not remembered, or was remembered too long ago.
func (m *Manager) LookupRemembered(r *http.Request, u *idp.User) (use idp.FactorUse, ok bool) {
	at, ok := u.RememberedAt(m.DeviceHash(r))
	if !ok || !m.Clock.Now().Before(RememberedEndsAt(at)) {
		return idp.FactorUse{}, false
	}
	return idp.FactorUse{Factor: idp.FactorRememberedDevice, At: at}, true
}

// RememberedEndsAt returns when a device remembered at a time stops counting as a second
// factor.
func RememberedEndsAt(at time.Time) time.Time { return at.Add(assurance.RememberedDeviceLifetime) }
