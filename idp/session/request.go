package session

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// RequestLifetime is how long a stored request waits for its sign-in.
const RequestLifetime = 24 * time.Hour

// maxRequestCookies limits the requests that one browser can have open. The oldest is dropped.
// Browsers and servers limit the size of a Cookie header.
const maxRequestCookies = 8

// maxDroppedCookies limits how many cookies one answer removes. A client that sends thousands made them
// up.
const maxDroppedCookies = 20

// ErrOtherBrowser is returned for a stored request that is not tied to the requesting browser.
var ErrOtherBrowser = errors.New("request belongs to another browser")

// NewHandle returns a new RequestHandle. It begins with the time, so that the store keeps
// requests in the order of arrival.
func NewHandle(now time.Time) idp.RequestHandle {
	var b [15]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:])
	return idp.RequestHandle(handleEncoding.EncodeToString(b[:]))
}

var handleEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// TieRequest binds a request that is about to be stored to the browser that will read the answer: it
// returns the request's own cookie, to set once the request is stored, and sets the hash of
// its secret in req. The session cookie is never used for this, because a POST from another
// site comes without it and must not overwrite it.
func (m *Manager) TieRequest(req *idp.LoginRequest) (cookie *http.Cookie) {
	cookie, req.SecretHash = m.TieHandle(req.Handle, RequestLifetime)
	return cookie
}

// TieHandle returns the cookie that ties a stored request of any kind to a browser, and the hash
// of its secret to store with the request.
func (m *Manager) TieHandle(handle idp.RequestHandle, lifetime time.Duration) (cookie *http.Cookie, hash []byte) {
	secret := newToken()
	return m.newCookie(m.requestCookieName(handle), secret, lifetime), hashValue(secret)
}

// RetieHandle converts a cookie of TieTo for another handle, under which the message was already
// stored.
func (m *Manager) RetieHandle(cookie *http.Cookie, handle idp.RequestHandle) *http.Cookie {
	c := *cookie
	c.Name = m.requestCookieName(handle)
	return &c
}

// HasRequestCookie reports whether the browser holds the cookie of a stored request.
func (m *Manager) HasRequestCookie(r *http.Request, handle idp.RequestHandle, hash []byte) bool {
	c, err := r.Cookie(m.requestCookieName(handle))
	return err == nil && subtle.ConstantTimeCompare(hashValue(c.Value), hash) == 1
}

// LookupRequest loads the request of a handle, from the store or else from the browser that holds
// it, if it is tied to this browser. It returns idp.ErrNotFound when it is gone or expired,
// and ErrOtherBrowser, together with the request, when the tie is missing.
//
// The store comes first, because a request that waited in the browser is stored once it is
// answered.
func (m *Manager) LookupRequest(r *http.Request, handle idp.RequestHandle) (*idp.LoginRequest, error) {
	if len(handle) == 0 || len(handle) > 64 {
		return nil, idp.ErrNotFound
	}
	req, err := m.Store.LoginRequest(r.Context(), idp.RequestKey{Handle: handle})
	if errors.Is(err, idp.ErrNotFound) {
		req, err = m.openHeldRequest(r, handle)
		if err == nil && !req.ReceivedAt.After(m.Store.RestoredAt()) {
			err = idp.ErrNotFound // it may have been answered before the restore
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load request: %w", err)
	}
	if !m.Clock.Now().Before(req.ExpiresAt) {
		return nil, idp.ErrNotFound
	}
	if !m.IsTied(r, req) {
		return req, ErrOtherBrowser
	}
	return req, nil
}

// IsTied reports whether the request belongs to this browser: it holds the
// request's cookie, or the session that the answer was issued from.
func (m *Manager) IsTied(r *http.Request, req *idp.LoginRequest) bool {
	if m.HasRequestCookie(r, req.Handle, req.SecretHash) {
		return true
	}
	if req.AnsweringSession == "" {
		return false
	}
	s := m.findCookieSession(r, "session")
	return len(s) == 1 && subtle.ConstantTimeCompare([]byte(s[0]), []byte(req.AnsweringSession)) == 1
}

// TrimRequestCookies removes the cookies of the oldest requests when a browser has more than
// maxRequestCookies, or holds too many requests itself. The request that the URL names stays.
func (m *Manager) TrimRequestCookies(w http.ResponseWriter, r *http.Request) {
	prefix, current := m.cookieName("request-"), m.requestCookieName(idp.RequestHandle(r.URL.Query().Get("request")))
	var all []*http.Cookie
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *http.Cookie) int {
		switch {
		case a.Name == b.Name:
			return 0
		case a.Name == current:
			return 1
		case b.Name == current:
			return -1
		}
		return strings.Compare(a.Name, b.Name) // handles begin with their time
	})
	var names []string
	for ; len(all) > maxRequestCookies; all = all[1:] {
		names = append(names, all[0].Name)
	}
	names = append(names, listSurplus(all)...)
	for _, name := range names[:min(len(names), maxDroppedCookies)] {
		m.dropCookie(w, name)
	}
}

func (m *Manager) requestCookieName(h idp.RequestHandle) string {
	return m.cookieName("request-") + string(h)
}
