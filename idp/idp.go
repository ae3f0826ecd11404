// Package idp defines the parts that the rest of Vernal shares: the records of the identity
// provider, the interfaces that store them, and the errors that cross package boundaries.
//
// It imports no other package of ours. A record here defines its meaning and the owner of each
// field. The package that uses a record contains the behavior. Every time in a record is UTC.
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

// UserID identifies a user inside Vernal. It is random, never shown to a service provider and
// never reused.
type UserID string

// NameID is the identifier of a user that one service provider or one agency sees (saml-core
// §2.2). It never changes and is never given to another user.
type NameID string

// NameIDScope is the set of service providers that see the same NameID for a user:
// "agency:NAME", or "sp:ENTITYID" for a provider without an agency. The two kinds never
// overlap. "sp:ENTITYID#2" is a provider that was removed and added again without its old
// NameIDs.
type NameIDScope string

// RequestHandle identifies a stored LoginRequest in URLs. It is not a secret, because it gives
// no access without the cookie of the browser that the request is tied to.
type RequestHandle string

// SessionID is the hash under which a session is stored. The browser holds its preimage. Only
// the Short form of the SessionID ever leaves the server.
type SessionID string

// ShortID returns the part of the ID that identifies a session to operators and to its own user:
// 64 bits, which give no access.
func (id SessionID) ShortID() string { return string(id[:min(len(id), 16)]) }

// HashSessionToken returns the SessionID for a browser's cookie value.
func HashSessionToken(token string) SessionID {
	const label = "vernal session\x00"
	var room [len(label) + 64]byte // our tokens fit; a longer one costs an allocation
	sum := sha256.Sum256(append(append(room[:0], label...), token...))
	var id [2 * sha256.Size]byte
	hex.Encode(id[:], sum[:])
	return SessionID(id[:])
}

// Year names one yearly set of endpoint URLs, key and certificate: four digits and, for an
// emergency key, a lower-case letter ("2026", "2026b"). Years sort as strings: by number, then
// by letter.
type Year string

// YearPattern matches a Year. It is not anchored, because routes use it.
const YearPattern = `[0-9]{4}[a-z]?`

var yearRE = regexp.MustCompile(`^` + YearPattern + `$`)

// IsValid reports whether y has the form of a Year.
func (y Year) IsValid() bool { return yearRE.MatchString(string(y)) }

// Clock returns the current time. It is a field wherever time matters so that tests can set
// it. Production code uses time.Now.
type Clock func() time.Time

// Now returns the time in UTC.
func (c Clock) Now() time.Time { return c().UTC() }
