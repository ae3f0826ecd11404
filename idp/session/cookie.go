package session

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// cookieName is the full name of one of our cookies.
func (m *Manager) cookieName(short string) string {
	if m.Secure {
		return "__Host-vernal-" + short
	}
	return "vernal-" + short
}

// newCookie makes a cookie. SameSite=Lax: it comes along when a service
// provider sends the browser here by GET, and not with a form that another
// site posts. An age of 0 lasts as long as the browser runs.
func (m *Manager) newCookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: m.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// hashOf is what we keep of a cookie's value.
func hashOf(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// dropCookie takes a cookie back.
func (m *Manager) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, m.newCookie(name, "", -time.Second))
}
