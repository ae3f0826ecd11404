package idp

import (
	"crypto/subtle"
	"slices"
	"time"
)

// KnownBrowser is a browser in which a user has signed in with two factors.
type KnownBrowser struct {
	// Hash is the SHA-256 of the user's part of the browser's cookie.
	Hash []byte `json:"hash"`
	// At is the last sign-in.
	At time.Time `json:"at"`
}

// MaxKnownBrowsers limits the known browsers of one user. The oldest is dropped first.
const MaxKnownBrowsers = 10

// UseBrowser records a sign-in in a browser whose cookie has the hashes, and reports whether it was
// known. If not, it adds the browser under newHash.
func (u *User) UseBrowser(hashes [][]byte, newHash []byte, now time.Time) (isKnown bool) {
	b := KnownBrowser{Hash: newHash, At: now}
	browsers := slices.DeleteFunc(slices.Clone(u.Browsers), func(known KnownBrowser) bool {
		isMatch := known.isAmong(hashes)
		if isMatch {
			b.Hash, isKnown = known.Hash, true
		}
		return isMatch
	})
	browsers = append(browsers, b)
	u.Browsers = browsers[max(0, len(browsers)-MaxKnownBrowsers):]
	return isKnown
}

// KnowsBrowser returns the hash under which a browser is known to the user, nil if it is not.
func (u *User) KnowsBrowser(hashes [][]byte) (hash []byte) {
	for _, known := range u.Browsers {
		if known.isAmong(hashes) {
			hash = known.Hash
		}
	}
	return hash
}

func (b *KnownBrowser) isAmong(hashes [][]byte) (isMatch bool) {
	for _, h := range hashes {
		if len(h) > 0 && subtle.ConstantTimeCompare(b.Hash, h) == 1 {
			isMatch = true
		}
	}
	return isMatch
}
