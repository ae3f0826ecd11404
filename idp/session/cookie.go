package session

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// cookieName returns the full name of one of our cookies.
func (m *Manager) cookieName(short string) string {
	if m.Secure {
		return "__Host-vernal-" + short
	}
	return "vernal-" + short
}

// newCookie returns a cookie. SameSite=Lax: the browser sends it when a service provider
// redirects it here by GET, and not with a form that another site posts. With an age of 0, it
// lasts as long as the browser runs.
func (m *Manager) newCookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: m.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// hashValue returns the hash of a cookie's value, which we store instead of the value.
func hashValue(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

func (m *Manager) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, m.newCookie(name, "", -time.Second))
}
