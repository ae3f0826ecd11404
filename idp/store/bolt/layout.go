// Package bolt implements an idp.Store in one file, with bbolt.
//
// It keeps records and their indexes consistent and makes every change durable
// before it is answered. It decides nothing about users, sessions or service
// providers: the callers decide about lifetimes, limits and releases.
//
// # Changes
//
// Every change goes through one goroutine, see commit.go: it takes all waiting
// changes, runs them in one transaction and syncs once for all of them.
//
// # Secrecy and authenticity
//
// An attacker who can write to the file can delete a record or put back an older one, but can
// never make, change or move a record:
//   - users and their profiles are sealed with a separate key for each user, which
//     user-keys contains wrapped by the master key and DeleteUser deletes;
//   - the buckets marked MAC are guarded: their values end with a MAC over the
//     schema, the bucket, the key and the content, see seal.Ring;
//   - the audit trail is a chain whose head has a MAC;
//   - user-sessions, expiry and audit-users are indexes of those records, and a record that is
//     found through them is compared with its entry.
//
// A value whose MAC does not match never counts as missing, and is never replaced: the method
// returns idp.ErrTampered.
//
// # Layout
//
// Each line is a bucket. "a+b" is a composite key, see pairKey. JSON is the JSON of
// the record in package idp.
//
//	meta              MAC  "schema" -> "4"; "masters" -> JSON, see masterChange;
//	                       "renewal" -> JSON, see renewal; "probe" -> see CheckWrites;
//	                       "restored" -> time of the last restore, see appendTime
//	ring-keys              number/purpose -> wrapped key, see seal.Generation
//	user-keys              UserID -> generation, wrapped key, see userKeyContext
//	providers         MAC  EntityID -> JSON
//	provider-scopes   MAC  EntityID -> NameIDScope, of providers that were removed
//	users                  UserID -> sealed JSON, context "user/ID"
//	profiles               UserID -> sealed JSON, context "profile/ID"
//	user-emails       MAC  keyed hash of the lower-cased email address -> UserID
//	user-tombstones   MAC  UserID -> time of deletion: IDs are never used again
//	name-ids          MAC  NameIDScope+UserID -> NameID, permanent
//	name-id-users     MAC  NameIDScope+NameID -> UserID, permanent
//	sessions          MAC  SessionID -> record, see recordForm
//	user-sessions          UserID+SessionID -> ""
//	requests          MAC  RequestHandle -> record, see recordForm
//	logouts           MAC  RequestHandle -> JSON
//	logout-messages   MAC  EntityID+MessageID -> RequestHandle, of logouts
//	documents         MAC  kind+key -> expiry, then the document unchanged
//	expiry                 time, kind, key of the record -> ""
//	audit                  Seq, 8 bytes -> JSON; the bucket's sequence is the last Seq
//	audit-addresses        Seq -> IP address of the record, see audit.ParseAddress
//	audit-users            UserID+Seq -> "", of records about a user
//	audit-head             "head" -> JSON of the last Seq and Hash, with their MAC
//	audit-checkpoint       "checkpoint" -> JSON, with its MAC; where the trail begins
//
// Requests are found by SP and MessageID through an index in memory, see
// messages.
//
// The layout lets a sign-in with an existing session change few pages: handles, Seq and the expiry
// of requests grow with time, so their entries are adjacent. Only the session can be on any page.
package bolt

import (
	"encoding/binary"
	"fmt"
	"time"
)

// schema is the version of the layout above. Only a store of this schema is opened.
const schema = 4

// Schema is the schema of the stores that this version opens.
const Schema = schema

// bucket is one of the buckets of the layout.
type bucket int

const (
	inMeta bucket = iota
	inRingKeys
	inUserKeys
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
	inLogouts
	inLogoutMessages
	inDocuments
	inExpiry
	inAudit
	inAuditAddresses
	inAuditHead
	inAuditCheckpoint
	inProfiles
	inAuditUsers
	bucketCount
)

var bucketNames = [bucketCount]string{
	"meta", "ring-keys", "user-keys", "providers", "provider-scopes", "users", "user-emails", "user-tombstones",
	"name-ids", "name-id-users", "sessions", "user-sessions", "requests",
	"logouts", "logout-messages", "documents", "expiry", "audit",
	"audit-addresses", "audit-head", "audit-checkpoint", "profiles", "audit-users",
}

func (b bucket) String() string { return bucketNames[b] }

// isGuarded reports whether the values of the bucket end with a MAC.
func (b bucket) isGuarded() bool {
	switch b {
	case inMeta, inProviders, inProviderScopes, inUserEmails, inUserTombstones, inNameIDs, inNameIDUsers,
		inSessions, inRequests, inLogouts, inLogoutMessages, inDocuments:
		return true
	}
	return false
}

// guardKinds contains the kind of record that the MACs of each bucket authenticate.
var guardKinds = func() (kinds [bucketCount]string) {
	for b := range bucketCount {
		kinds[b] = fmt.Sprintf("schema %d/%v", schema, b)
	}
	return kinds
}()

// hasRecordForm reports whether the records of the bucket have the form in record.go.
func (b bucket) hasRecordForm() bool { return b == inSessions || b == inRequests }

// isAppendOnly reports whether new keys of the bucket sort after the old ones. The
// pages of such a bucket are filled up before the next one is begun.
func (b bucket) isAppendOnly() bool {
	return b == inRequests || b == inExpiry || b == inAudit || b == inAuditAddresses
}

// pairKey returns the composite key of a and b. The length comes first, so that no two pairs
// give the same key whatever bytes they contain, and all keys with the same a are adjacent.
func pairKey(a, b string) []byte {
	key := make([]byte, 0, 2+len(a)+len(b))
	key = binary.BigEndian.AppendUint16(key, uint16(len(a)))
	key = append(key, a...)
	return append(key, b...)
}

func seqKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq)
}

// timeLen is the length of a time that appendTime adds.
const timeLen = 12

// appendTime adds a time such that keys sort as times do, over all of
// time.Time's range.
func appendTime(key []byte, at time.Time) []byte {
	key = binary.BigEndian.AppendUint64(key, uint64(at.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(key, uint32(at.Nanosecond()))
}

// decodeTime reads a time that appendTime added.
func decodeTime(key []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(key)^1<<63), int64(binary.BigEndian.Uint32(key[8:]))).UTC()
}

// kind identifies in an expiry key the bucket of the record. Its values are stored on disk.
type kind byte

const (
	sessionKind  kind = 's'
	requestKind  kind = 'r'
	logoutKind   kind = 'l'
	documentKind kind = 'd'
)

// kindBuckets maps each kind to the bucket of its records. inMeta, which is 0, means none.
var kindBuckets = map[kind]bucket{
	sessionKind: inSessions, requestKind: inRequests, logoutKind: inLogouts, documentKind: inDocuments,
}

func expiryKey(at time.Time, k kind, record []byte) []byte {
	key := make([]byte, 0, timeLen+1+len(record))
	key = appendTime(key, at)
	key = append(key, byte(k))
	return append(key, record...)
}
