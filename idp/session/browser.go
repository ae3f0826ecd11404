package session

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// browserCookie is the name of the cookie by which a browser is known to users who signed in
	// there. It proves nothing: it only prevents a notice, and a limit on guesses of others.
	browserCookie = "browser"
	// browserLifetime is how long a browser is known after the last sign-in.
	browserLifetime = 365 * 24 * time.Hour
	// maxBrowserTokens limits the users to whom one browser is known. Each user has their own
	// token in the cookie, so that one that another person has planted there is not known to
	// them, and the store does not show which users share a browser.
	maxBrowserTokens = 5
	tokenLen         = 43 // of newToken
)

func (m *Manager) readBrowserTokens(r *http.Request) (tokens []string) {
	c, err := r.Cookie(m.cookieName(browserCookie))
	if err != nil || len(c.Value) > maxBrowserTokens*(tokenLen+1) {
		return nil
	}
	for token := range strings.SplitSeq(c.Value, ".") {
		if len(token) == tokenLen && !slices.Contains(tokens, token) {
			tokens = append(tokens, token)
		}
	}
	return tokens[:min(len(tokens), maxBrowserTokens)]
}

// BrowserHashes returns the hashes of the tokens by which the browser may be known to users.
func (m *Manager) BrowserHashes(r *http.Request) (hashes [][]byte) {
	for _, token := range m.readBrowserTokens(r) {
		hashes = append(hashes, hashValue(token))
	}
	return hashes
}

// NewBrowser returns a cookie by which the browser is known to one more user, under the hash. The
// user who signed in longest ago is forgotten if there are too many.
func (m *Manager) NewBrowser(r *http.Request) (cookie *http.Cookie, hash []byte) {
	token := newToken()
	tokens := append([]string{token}, m.readBrowserTokens(r)...)
	return m.newBrowserCookie(tokens), hashValue(token)
}

// RenewBrowser returns a cookie by which the browser stays known under the hash, which is one of
// BrowserHashes.
func (m *Manager) RenewBrowser(r *http.Request, hash []byte) *http.Cookie {
	tokens := m.readBrowserTokens(r)
	slices.SortStableFunc(tokens, func(a, b string) int {
		return isToken(b, hash) - isToken(a, hash)
	})
	return m.newBrowserCookie(tokens)
}

// isToken returns 1 if the hash is that of the token, otherwise 0.
func isToken(token string, hash []byte) int {
	if string(hashValue(token)) == string(hash) {
		return 1
	}
	return 0
}

func (m *Manager) newBrowserCookie(tokens []string) *http.Cookie {
	value := strings.Join(tokens[:min(len(tokens), maxBrowserTokens)], ".")
	return m.newCookie(m.cookieName(browserCookie), value, browserLifetime)
}
