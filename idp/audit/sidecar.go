package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// A sidecar is stored beside each record that came from an IP address:
//
//	time of the record, 8 bytes, Unix | salt, 16 bytes | the IP address as text
//
// The record contains the SHA-256 of the sidecar. An attacker could try every IP address against a
// plain hash. The salt prevents that: once it is deleted, the hash discloses nothing.
const (
	timeLen = 8
	saltLen = 16
)

func newSidecar(address string, at time.Time) []byte {
	sidecar := make([]byte, timeLen+saltLen, timeLen+saltLen+len(address))
	binary.BigEndian.PutUint64(sidecar, uint64(at.Unix()))
	rand.Read(sidecar[timeLen:])
	return append(sidecar, address...)
}

func hashSidecar(sidecar []byte) string {
	sum := sha256.Sum256(sidecar)
	return hex.EncodeToString(sum[:])
}

// ParseAddress parses the sidecar of a record. It returns the IP address and the time of the record, and
// false if sidecar is not a sidecar.
func ParseAddress(sidecar []byte) (address string, at time.Time, ok bool) {
	if len(sidecar) < timeLen+saltLen {
		return "", time.Time{}, false
	}
	return string(sidecar[timeLen+saltLen:]), time.Unix(int64(binary.BigEndian.Uint64(sidecar)), 0).UTC(), true
}
