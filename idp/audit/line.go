package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"vernal/idp"
)

// A stored record ends with its hashes, at fixed positions:
//
//	{"seq":7,"at":…[,"address_sum":"…64…"],"prev":"…64…","hash":"…64…"}
//
// so a record is verified without decoding it.
const (
	hexLen   = 2 * sha256.Size
	seqMark  = `{"seq":`
	sumMark  = `,"address_sum":"`
	prevMark = `","prev":"`
	hashMark = `","hash":"`
	endMark  = `"}`
	// tailLen is the length of the text after the value before prev, without the quotation mark
	// that ends that value.
	tailLen = len(prevMark) - 1 + hexLen + len(hashMark) + hexLen + len(endMark)
)

// Place is a position in the chain: a record's number and its hash. The zero Place is the one
// before record 1.
type Place struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// Line contains the hashes of a stored record.
type Line struct {
	Seq                         uint64
	Prev, Hash                  string
	AddressSum                  string
	isHashValid, isAddressValid bool
}

// ReadLine reads the hashes of a stored record. ok is false if the line is not a record.
func ReadLine(stored idp.AuditLine) (l Line, ok bool) {
	raw := stored.JSON
	digits, isRecord := bytes.CutPrefix(raw, []byte(seqMark))
	comma := bytes.IndexByte(digits, ',')
	tailStart := len(raw) - tailLen
	if !isRecord || comma < 1 || comma > 20 || tailStart < len(seqMark)+comma {
		return l, false
	}
	seq, err := strconv.ParseUint(string(digits[:comma]), 10, 64)
	if err != nil {
		return l, false
	}
	l.Seq = seq
	tail := raw[tailStart:]
	prev, hasPrev := bytes.CutPrefix(tail, []byte(prevMark[1:]))
	hash, hasHash := bytes.CutPrefix(prev[min(hexLen, len(prev)):], []byte(hashMark))
	if !hasPrev || !hasHash || !bytes.HasSuffix(raw, []byte(endMark)) {
		return l, false
	}
	l.Prev, l.Hash = string(prev[:hexLen]), string(hash[:hexLen])

	h := sha256.New()
	h.Write(raw[:len(raw)-len(hashMark)-hexLen-len(endMark)])
	h.Write([]byte(endMark))
	var sum [sha256.Size]byte
	var text [hexLen]byte
	hex.Encode(text[:], h.Sum(sum[:0]))
	l.isHashValid = string(text[:]) == l.Hash

	// The hash of the IP address, if any, ends where the tail begins.
	if sumStart := tailStart - hexLen - 1; sumStart > len(sumMark) && bytes.Equal(raw[sumStart-len(sumMark):sumStart], []byte(sumMark)) {
		l.AddressSum = string(raw[sumStart : sumStart+hexLen])
	}
	l.isAddressValid = stored.IPAddress == nil || len(stored.IPAddress) >= timeLen+saltLen && hashSidecar(stored.IPAddress) == l.AddressSum
	return l, true
}

// Next verifies that a stored record follows the place, and returns the place of that
// record, or a *BrokenError.
func (p Place) Next(stored idp.AuditLine) (Place, error) {
	newBreak := func(format string, args ...any) (Place, error) {
		return p, &BrokenError{Seq: p.Seq + 1, Problem: fmt.Sprintf(format, args...)}
	}
	l, ok := ReadLine(stored)
	switch {
	case stored.Place == 0:
		return newBreak("is unknown: the trail contains an entry with the number 0")
	case stored.Place != p.Seq+1:
		return newBreak("is missing: record %d is the next", stored.Place)
	case !ok:
		return newBreak("was changed: its content is not a record")
	case !l.isHashValid:
		return newBreak("was changed: its hash does not match its content")
	case l.Seq != stored.Place:
		return newBreak("was moved: record %d is in its place", l.Seq)
	case l.Prev != p.HashOrFirst():
		return newBreak("does not follow the record before it: one of the two was replaced")
	case !l.isAddressValid:
		return newBreak("has a different IP address than the one recorded with it")
	}
	return Place{Seq: l.Seq, Hash: l.Hash}, nil
}

// HashOrFirst returns the Prev of the record after the place.
func (p Place) HashOrFirst() string { return cmp.Or(p.Hash, FirstPrev) }

// CheckpointText returns the text that the signature and the MAC of a checkpoint cover.
func CheckpointText(c idp.AuditCheckpoint) []byte {
	return fmt.Appendf(nil, "vernal audit checkpoint 1\nseq %d\nhash %s\nat %s\nissuer %q\nyear %s\ncert_sha256 %s\n",
		c.Seq, c.Hash, truncateTime(c.At).Format("2006-01-02T15:04:05.999999999Z"), c.Issuer, c.Year, c.SHA256)
}
