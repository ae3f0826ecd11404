package usage

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// A tally is stored as numbers (binary.AppendVarint). A board of ten thousand providers
// reads tens of thousands of tallies at once, for which JSON takes half a second:
//
//	version First Last Signed Unsigned Relay.Bytes Relay.At Relay.Last
//	Clock.Day Clock.Millis Days.Last n Counts… n (length certificate last-verified)… index-of-Cert+1
const codecVersion = 1

var errDamaged = errors.New("not a tally of this version")

func (g *Tally) encode() []byte {
	b := make([]byte, 0, 64+2*len(g.Days.Counts)+72*len(g.Certs))
	signed := int64(0)
	if g.Signed {
		signed = 1
	}
	for _, n := range []int64{
		codecVersion, g.First, g.Last, signed, g.Unsigned, int64(g.Relay.Bytes), g.Relay.At, g.Relay.Last, g.Clock.Day, g.Clock.Millis,
		g.Days.Last, int64(len(g.Days.Counts)),
	} {
		b = binary.AppendVarint(b, n)
	}
	for _, n := range g.Days.Counts {
		b = binary.AppendVarint(b, int64(n))
	}
	certs := slices.Sorted(maps.Keys(g.Certs))
	b = binary.AppendVarint(b, int64(len(certs)))
	for _, sha := range certs {
		b = binary.AppendVarint(b, int64(len(sha)))
		b = append(b, sha...)
		b = binary.AppendVarint(b, g.Certs[sha])
	}
	return binary.AppendVarint(b, int64(slices.Index(certs, g.Cert)+1))
}

// decodeTally returns errDamaged for anything that encode did not write.
func decodeTally(doc []byte) (*Tally, error) {
	r := reader{rest: doc}
	if r.number() != codecVersion {
		return nil, errDamaged
	}
	g := &Tally{First: r.number(), Last: r.number(), Signed: r.number() == 1, Unsigned: r.number()}
	g.Relay = Relay{int(r.number()), r.number(), r.number()}
	g.Clock = Delay{r.number(), r.number()}
	g.Days.Last = r.number()
	g.Days.Counts = make([]int, r.count(KeepDays))
	for i := range g.Days.Counts {
		g.Days.Counts[i] = int(r.number())
	}
	certs := make([]string, r.count(keepCerts))
	if len(certs) > 0 {
		g.Certs = make(map[string]int64, len(certs))
	}
	for i := range certs {
		certs[i] = string(r.bytes(r.count(maxSHA256)))
		g.Certs[certs[i]] = r.number()
	}
	if i := r.count(len(certs)); i > 0 {
		g.Cert = certs[i-1]
	}
	if r.damaged || len(r.rest) > 0 || len(g.Certs) != len(certs) {
		return nil, errDamaged
	}
	return g, nil
}

// reader stops at the first damaged byte.
type reader struct {
	rest    []byte
	damaged bool
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.damaged, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count reads a number from 0 to limit.
func (r *reader) count(limit int) int {
	n := r.number()
	if n < 0 || n > int64(limit) {
		r.damaged, r.rest = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if len(r.rest) < n {
		r.damaged, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
