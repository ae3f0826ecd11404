package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// What stands beside a record that came from an address:
//
//	time of the record, 8 bytes, Unix | salt, 16 bytes | the address as text
//
// The record holds the SHA-256 of all that. There are few addresses, so
// without the salt anybody could try them all; with it gone, nobody can.
const (
	timeLen = 8
	saltLen = 16
)

func newAddress(address string, at time.Time) []byte {
	kept := make([]byte, timeLen+saltLen, timeLen+saltLen+len(address))
	binary.BigEndian.PutUint64(kept, uint64(at.Unix()))
	rand.Read(kept[timeLen:])
	return append(kept, address...)
}

func sumOf(kept []byte) string {
	sum := sha256.Sum256(kept)
	return hex.EncodeToString(sum[:])
}

// Address reads what is kept beside a record: the address and when it came;
// false for what is none.
func Address(kept []byte) (address string, at time.Time, ok bool) {
	if len(kept) < timeLen+saltLen {
		return "", time.Time{}, false
	}
	return string(kept[timeLen+saltLen:]), time.Unix(int64(binary.BigEndian.Uint64(kept)), 0).UTC(), true
}
