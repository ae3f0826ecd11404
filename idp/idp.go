// Package idp holds the words that the rest of Vernal shares: the records of
// the identity provider, the interfaces through which they are kept, and the
// errors that cross package borders.
//
// It imports nothing of ours. A record here says what a thing is and who owns
// which field; what is done with it lives in the package that does it.
// Every time in a record is UTC.
package idp

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"time"
)

// EntityID names a SAML entity (saml-core §8.3.6): an exact, case-sensitive
// string, in practice a URI.
type EntityID string

// UserID names a person inside Vernal. It is random, never shown to a service
// provider and never reused.
type UserID string

// NameID is the identifier of a person that one service provider or one agency
// sees (saml-core §2.2). It never changes and is never given to another person.
type NameID string

// NameIDScope is the set of service providers that see the same NameID for a
// person: "agency:NAME", or "sp:ENTITYID" for one that stands alone. The two
// kinds never meet, and "sp:ENTITYID#2" is a provider that was removed and
// added again without its old NameIDs.
type NameIDScope string

// RequestHandle names a stored LoginRequest in addresses. It is not a secret:
// it opens nothing without the cookie of the browser that it is tied to.
type RequestHandle string

// SessionID is the hash under which a session is kept. What the browser holds
// is its preimage; the SessionID itself never leaves the server but for its Short.
type SessionID string

// Short is the part of the ID that names a session to operators, and to its own
// person: 64 bits, which open nothing.
func (id SessionID) Short() string { return string(id[:min(len(id), 16)]) }

// HashSessionToken gives the SessionID that a browser's cookie value stands for.
func HashSessionToken(token string) SessionID {
	const label = "vernal session\x00"
	var room [len(label) + 64]byte // a token of ours fits; a longer one costs an allocation
	sum := sha256.Sum256(append(append(room[:0], label...), token...))
	var id [2 * sha256.Size]byte
	hex.Encode(id[:], sum[:])
	return SessionID(id[:])
}

// Year names one yearly set of addresses, key and certificate: four digits and,
// for an emergency key, a lower-case letter ("2026", "2026b"). Years sort as
// strings: by number, then by letter.
type Year string

// YearPattern is the form of a Year, without anchors, as routes use it.
const YearPattern = `[0-9]{4}[a-z]?`

var yearRE = regexp.MustCompile(`^` + YearPattern + `$`)

// Valid reports whether y has the form of a Year.
func (y Year) Valid() bool { return yearRE.MatchString(string(y)) }

// Clock tells the time. It is a field wherever time matters, so that tests can
// turn it; production code sets time.Now.
type Clock func() time.Time

// Now is the time in UTC.
func (c Clock) Now() time.Time { return c().UTC() }
