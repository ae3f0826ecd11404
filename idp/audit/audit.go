// Package audit is the audit trail: it chains records, finds, verifies, exports and
// prunes them, and keeps unauthenticated senders from filling the disk with records of refusals.
//
// The chain itself is pure. A store asks Link for the next record and writes it in the same
// transaction as the change it records. Place.Next verifies the records of a store or an exported
// file.
//
//	record 1          record 2          record 3
//	prev = 000…  .--> prev = hash  .--> prev = hash
//	hash  -------'    hash  -------'    hash
//
// The chain reveals a record that was changed, removed, moved or inserted. The end of the trail,
// which the store keeps with a MAC and Run copies to the log, reveals a trail that was cut off or
// rebuilt.
//
// IP addresses are kept for 90 days and records permanently. An IP address is therefore stored
// beside its record, which contains only a hash of it (sidecar.go). Stored records are verified
// byte by byte (line.go), because a lenient JSON reader would accept changes.
//
//	audit.go     the chain
//	decisions.go the fields that the record of a decision must have
//	trail.go     Service: one store's trail
//	find.go      records by user, SP, kind, time or error ID, newest first
//	verify.go    verifies the trail in parts, so that no sign-in waits for a long reader
//	prune.go     the checkpoint that replaces records that were exported
//	refusals.go  one record for each repeatable refusal within a budget, then a count
//	run.go       copies the end of the trail to the log every hour
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
)

// FirstPrev is the Prev of record 1.
const FirstPrev = "0000000000000000000000000000000000000000000000000000000000000000"

// recordBody is an AuditRecord without its Hash. Hash is the last field, so the JSON of a record is
// the JSON of its recordBody and a tail.
type recordBody struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	idp.AuditEvent
	AddressSum string `json:"address_sum,omitempty"`
	Prev       string `json:"prev"`
}

// Link returns the record that follows the place, and its stored forms. body is the record's JSON,
// so that a sign-in encodes it only once. address is the sidecar with its IP address, or nil if the
// record has none.
//
// Strings that are not UTF-8 are repaired: JSON cannot contain them, and a record must have
// the same hash after it was read back.
func Link(after Place, event idp.AuditEvent, at time.Time) (rec idp.AuditRecord, body, address []byte) {
	rec = idp.AuditRecord{Seq: after.Seq + 1, At: truncateTime(at), AuditEvent: cleanEvent(event), Prev: after.HashOrFirst()}
	if rec.IPAddress != "" {
		address = newSidecar(rec.IPAddress, rec.At)
		rec.IPAddressSum = hashSidecar(address)
	}
	body = encodeRecord(&rec)
	rec.Hash = hashBody(body)
	body = append(body[:len(body)-1], `,"hash":"`...)
	body = append(body, rec.Hash...)
	return rec, append(body, '"', '}'), address
}

// BrokenError reports the first break of a chain.
type BrokenError struct {
	// Seq is the number of the first faulty record.
	Seq uint64 `json:"seq"`
	// Problem describes the fault, for an operator.
	Problem string `json:"what"`
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit record %d %s", e.Seq, e.Problem)
}

// encodeRecord returns the JSON that is hashed. The IP address is never part of it. It cannot fail:
// every field is a string, a number, or a time that truncateTime has checked.
func encodeRecord(rec *idp.AuditRecord) []byte {
	u := recordBody{Seq: rec.Seq, At: rec.At, AuditEvent: rec.AuditEvent, AddressSum: rec.IPAddressSum, Prev: rec.Prev}
	u.IPAddress = ""
	body, err := json.Marshal(&u)
	if err != nil {
		return []byte("{}")
	}
	return body
}

func hashBody(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// truncateTime returns the time as it comes back from JSON: UTC, without a monotonic
// reading, in a year of four digits (RFC 3339 allows no others).
func truncateTime(at time.Time) time.Time {
	at = at.Round(0).UTC()
	if y := at.Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return at
}

// cleanEvent makes every string of the event valid UTF-8. It does not change the caller's Detail.
func cleanEvent(event idp.AuditEvent) idp.AuditEvent {
	event.Kind = idp.AuditKind(cleanString(string(event.Kind)))
	event.Outcome = cleanString(event.Outcome)
	event.Actor = cleanString(event.Actor)
	event.User = idp.UserID(cleanString(string(event.User)))
	event.SP = idp.EntityID(cleanString(string(event.SP)))
	event.Year = idp.Year(cleanString(string(event.Year)))
	event.RequestID = cleanString(event.RequestID)
	event.ErrorID = cleanString(event.ErrorID)
	event.IPAddress = cleanString(event.IPAddress)
	if event.Detail != nil {
		detail := make(map[string]string, len(event.Detail))
		for name, value := range event.Detail {
			detail[cleanString(name)] = cleanString(value)
		}
		event.Detail = detail
	}
	return event
}

func cleanString(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}
