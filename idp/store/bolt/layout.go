// Package bolt keeps an idp.Store in one file, with bbolt.
//
// It keeps records and their indexes in step and makes every change durable
// before it is answered. It decides nothing about people, sessions or service
// providers: lifetimes, limits and releases are the callers'.
//
// # Changes
//
// Every change goes through one goroutine, see commit.go: it takes all changes
// that wait, runs them in one transaction and syncs once for all of them.
//
// # Layout
//
// Each line is a bucket. "a+b" is a composite key, see pair; JSON is that of
// the record in package idp.
//
//	meta              "schema" -> "2"; "key-check" -> sealed constant;
//	                  "rotation" -> the rotation's document, as it was given
//	providers         EntityID -> JSON
//	provider-scopes   EntityID -> NameIDScope, of providers that were removed
//	users             UserID -> sealed JSON, context "user/ID"
//	profiles          UserID -> sealed JSON, context "profile/ID"
//	user-emails       keyed hash of the lower-cased address -> UserID
//	user-tombstones   UserID -> time of deletion: IDs are never used again
//	name-ids          NameIDScope+UserID -> NameID, for ever
//	name-id-users     NameIDScope+NameID -> UserID, for ever
//	sessions          SessionID -> record, see recordForm
//	user-sessions     UserID+SessionID -> ""
//	requests          RequestHandle -> record, see recordForm
//	logouts           RequestHandle -> JSON
//	logout-messages   EntityID+MessageID -> RequestHandle, of logouts
//	documents         kind+key -> the document, as it was given
//	throttles         keyed hash of the counter's key -> JSON
//	expiry            time, kind, key of the record -> ""
//	audit             Seq, 8 bytes -> JSON; the bucket's sequence is the last Seq
//	audit-addresses   Seq -> network address of the record, see audit.Address
//	audit-head        "head" -> JSON of the last Seq and Hash, with their MAC
//	audit-checkpoint  "checkpoint" -> JSON; where the trail begins
//
// Requests are found by SP and MessageID through an index in memory, see
// messages.
//
// What a warm sign-in writes is laid out so that few pages change: handles,
// Seq and the expiry of requests grow with time, so their entries fall beside
// one another; only the session falls anywhere.
package bolt

import (
	"encoding/binary"
	"time"
)

// schema is the version of the layout above. A store with a newer one is not
// opened, one with an older one is brought up to date first, see migrate.go. A
// bucket that comes to the layout needs no new schema: it goes after lastOfSchema,
// and Open makes it where it is missing. What changes the sense of a record that
// is there needs one.
const schema = 2

// bucket is one of the buckets of the layout.
type bucket int

const (
	inMeta bucket = iota
	inProviders
	inProviderScopes
	inUsers
	inUserEmails
	inUserTombstones
	inNameIDs
	inNameIDUsers
	inSessions
	inUserSessions
	inRequests
	inThrottles
	inLogouts
	inLogoutMessages
	inDocuments
	inExpiry
	inAudit
	inAuditAddresses
	inAuditHead
	inAuditCheckpoint
	inProfiles
	bucketCount
)

// lastOfSchema is the last bucket that every store of the schema was made with: a
// store without one of those is damaged, and that is not made good by an empty one.
const lastOfSchema = inAuditCheckpoint

// addedIn2 are the buckets that stores of schema 1 may lack.
var addedIn2 = []bucket{inLogouts, inLogoutMessages, inDocuments, inAuditAddresses, inAuditHead, inAuditCheckpoint}

func (b bucket) String() string {
	return [bucketCount]string{
		"meta", "providers", "provider-scopes", "users", "user-emails", "user-tombstones",
		"name-ids", "name-id-users", "sessions", "user-sessions", "requests",
		"throttles", "logouts", "logout-messages", "documents", "expiry", "audit",
		"audit-addresses", "audit-head", "audit-checkpoint", "profiles",
	}[b]
}

// grows reports whether new keys of the bucket sort after the old ones. The
// pages of such a bucket are filled up before the next one is begun.
func (b bucket) grows() bool {
	return b == inRequests || b == inExpiry || b == inAudit || b == inAuditAddresses
}

// pair is the composite key of a and b. The length stands first, so that no
// two pairs give the same key whatever bytes they hold, and all keys with the
// same a lie together.
func pair(a, b string) []byte {
	key := make([]byte, 0, 2+len(a)+len(b))
	key = binary.BigEndian.AppendUint16(key, uint16(len(a)))
	key = append(key, a...)
	return append(key, b...)
}

func seqKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq)
}

// timeLen is the length of what appendTime adds.
const timeLen = 12

// appendTime adds a time such that keys sort as times do, over all of
// time.Time's range.
func appendTime(key []byte, at time.Time) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(at.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(key, uint32(at.Nanosecond()))
}

// timeFrom reads what appendTime added.
func timeFrom(key []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(key)^1<<63), int64(binary.BigEndian.Uint32(key[8:]))).UTC()
}

// kind says in an expiry key which bucket the record is in. Its values are on
// disk.
type kind byte

const (
	sessionKind  kind = 's'
	requestKind  kind = 'r'
	throttleKind kind = 't'
	logoutKind   kind = 'l'
)

func expiryKey(at time.Time, k kind, record []byte) []byte {
	key := make([]byte, 0, timeLen+1+len(record))
	key = appendTime(key, at)
	key = append(key, byte(k))
	return append(key, record...)
}
