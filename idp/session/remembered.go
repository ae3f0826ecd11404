package session

import (
	"crypto/sha256"
	"net/http"

	"vernal/idp"
	"vernal/idp/assurance"
)

// deviceCookie is the name of the cookie of a remembered device. A browser has
// one, and so remembers the person who asked for it last: who shares it with
// others is not told that others are remembered there.
const deviceCookie = "device"

// NewDevice makes the cookie by which a browser is remembered, and the hash of
// its value that is kept with the person. It is always a new one: a cookie that
// somebody else has put into the browser is never remembered.
func (m *Manager) NewDevice() (cookie *http.Cookie, hash []byte) {
	token := newToken()
	sum := sha256.Sum256([]byte(token))
	return m.cookie(m.cookieName(deviceCookie), token, assurance.RememberedFor), sum[:]
}

// deviceHash is the hash of the browser's cookie of a remembered device; nil
// without one.
func (m *Manager) deviceHash(r *http.Request) []byte {
	c, err := r.Cookie(m.cookieName(deviceCookie))
	if err != nil || c.Value == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(c.Value))
	return sum[:]
}

// Remembered is the use of the browser as a second factor of the person; ok is
// false if it is not remembered, or was too long ago.
func (m *Manager) Remembered(r *http.Request, u *idp.User) (use idp.FactorUse, ok bool) {
	at, ok := u.Remembers(m.deviceHash(r))
	if !ok || m.Clock.Now().Sub(at) >= assurance.RememberedFor {
		return idp.FactorUse{}, false
	}
	return idp.FactorUse{Factor: idp.FactorRememberedDevice, At: at}, true
}
