package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrMAC is returned for a record that this installation did not write, or did not write under this
// key.
var ErrMAC = errors.New("MAC of the record does not match")

// purposes are the uses of ring keys. Each generation has one key for each purpose.
var purposes = [...]string{"mac", "index", "browser"}

const (
	macKey = iota
	indexKey
	browserKey
)

// Generation is one set of ring keys.
type Generation struct {
	redaction
	// Number counts generations, from 1.
	Number byte
	keys   [len(purposes)][]byte
	macs   sync.Pool // of hash.Hash, with the key for MACs
}

// NewGeneration makes random keys.
func NewGeneration(number byte) *Generation {
	g := &Generation{Number: number}
	for i := range g.keys {
		g.keys[i] = newKey()
	}
	return g.initMACs()
}

func (g *Generation) initMACs() *Generation {
	g.macs.New = func() any { return hmac.New(sha256.New, g.keys[macKey]) }
	return g
}

func (g *Generation) buildContext(purpose string) string {
	return fmt.Sprintf("ring/%d/%s", g.Number, purpose)
}

// Wrap returns the wrapped keys of the generation by their purpose.
func (g *Generation) Wrap(m *Masters) map[string][]byte {
	output := make(map[string][]byte, len(purposes))
	for i, purpose := range purposes {
		output[purpose] = m.Wrap(g.buildContext(purpose), g.keys[i])
	}
	return output
}

// OpenGeneration is the reverse of Wrap.
func OpenGeneration(number byte, wrapped map[string][]byte, m *Masters) (*Generation, error) {
	g := &Generation{Number: number}
	for i, purpose := range purposes {
		key, err := m.Unwrap(g.buildContext(purpose), wrapped[purpose])
		if err != nil {
			return nil, err
		}
		g.keys[i] = key
	}
	return g.initMACs(), nil
}

// Ring holds the generations in force, at most two. It seals with the newest. Output of the
// previous one is accepted until Set removes that generation. It implements idp.Sealer and
// is safe for concurrent use.
type Ring struct {
	redaction
	list atomic.Pointer[[]*Generation]
}

// NewRing returns a Ring with the generations in force.
func NewRing(list ...*Generation) *Ring {
	r := new(Ring)
	r.Set(list...)
	return r
}

// Set changes which generations are in force.
func (r *Ring) Set(list ...*Generation) {
	if len(list) == 0 {
		panic("seal: a ring needs a generation")
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *Generation) int { return int(b.Number) - int(a.Number) })
	r.list.Store(&list)
}

// Generations returns the generations in force, the newest first.
func (r *Ring) Generations() []*Generation { return slices.Clone(*r.list.Load()) }

func (r *Ring) findNewest() *Generation { return (*r.list.Load())[0] }

// macSize is the length of a MAC on a record: HMAC-SHA256 cut to 128 bits (RFC 2104 §5). Guesses
// can be tested no faster than the store can be read.
const macSize = 16

// trailerSize is the number of bytes that Protect adds.
const trailerSize = 1 + macSize

// Protect appends to a record the MAC over its kind, its key and its content. The
// kind covers everything that decides how the record is read.
func (r *Ring) Protect(kind string, key, content []byte) []byte {
	g := r.findNewest()
	output := make([]byte, len(content), len(content)+trailerSize+sha256.Size)
	copy(output, content)
	output = append(output, g.Number)
	return g.appendMAC(output, kind, key, content)[:len(content)+trailerSize]
}

// Verify is the reverse of Protect. The content points into protected.
func (r *Ring) Verify(kind string, key, protected []byte) (content []byte, err error) {
	contentSize := len(protected) - trailerSize
	if contentSize < 0 {
		return nil, ErrMAC
	}
	content = protected[:contentSize:contentSize]
	for _, g := range *r.list.Load() {
		if g.Number != protected[contentSize] {
			continue
		}
		var buffer [sha256.Size]byte
		if hmac.Equal(g.appendMAC(buffer[:0], kind, key, content)[:macSize], protected[contentSize+1:]) {
			return content, nil
		}
	}
	return nil, ErrMAC
}

// TrimMAC returns the content of a protected record without verifying it, and unchanged what is
// too short to have a MAC. The result decides nothing except which error is shown.
func TrimMAC(protected []byte) []byte {
	if len(protected) < trailerSize {
		return protected
	}
	return protected[:len(protected)-trailerSize]
}

// IsNewest reports whether a record was protected by the newest generation.
func (r *Ring) IsNewest(protected []byte) bool {
	contentSize := len(protected) - trailerSize
	return contentSize >= 0 && protected[contentSize] == r.findNewest().Number
}

// appendMAC appends to out. The lengths come first, so that no two records give the same
// bytes.
func (g *Generation) appendMAC(output []byte, kind string, key, content []byte) []byte {
	h := g.macs.Get().(hash.Hash)
	defer g.macs.Put(h)
	h.Reset()
	var lengths [16]byte
	binary.BigEndian.PutUint64(lengths[:8], uint64(len(kind)))
	binary.BigEndian.PutUint64(lengths[8:], uint64(len(key)))
	h.Write(lengths[:])
	h.Write([]byte(kind))
	h.Write(key)
	h.Write(content)
	return h.Sum(output)
}

// MAC returns the HMAC-SHA256 over the context and the data.
func (r *Ring) MAC(context string, data []byte) []byte {
	return r.findNewest().appendMAC(nil, "value/"+context, nil, data)
}

// VerifyMAC reports whether mac is the output of MAC with a generation in force.
func (r *Ring) VerifyMAC(context string, data, mac []byte) bool {
	for _, g := range *r.list.Load() {
		if hmac.Equal(g.appendMAC(nil, "value/"+context, nil, data), mac) {
			return true
		}
	}
	return false
}

// Hash returns a keyed hash, for look-ups by a value that must not be readable in the
// store. Without the key, no one can test whether a hash belongs to a guessed value.
func (r *Ring) Hash(context string, data []byte) []byte {
	return computeHash(r.findNewest().keys[indexKey], context, data)
}

// OlderHashes returns the hashes of the other generations in force, under which an entry may
// still be found.
func (r *Ring) OlderHashes(context string, data []byte) (hashes [][]byte) {
	for _, g := range (*r.list.Load())[1:] {
		hashes = append(hashes, computeHash(g.keys[indexKey], context, data))
	}
	return hashes
}

func computeHash(key []byte, context string, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(context)))
	h.Write(size[:])
	h.Write([]byte(context))
	h.Write(data)
	return h.Sum(nil)
}

// Seal seals a value that leaves the installation and returns, for example a cookie. Every context
// has its own key.
func (r *Ring) Seal(context string, plaintext []byte) []byte {
	return r.findNewest().deriveBrowserKey(context).Seal(context, plaintext)
}

// Open is the reverse of Seal.
func (r *Ring) Open(context string, sealed []byte) ([]byte, error) {
	for _, g := range *r.list.Load() {
		if plaintext, err := g.deriveBrowserKey(context).Open(context, sealed); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrOpen
}

func (g *Generation) deriveBrowserKey(context string) *DataKey {
	return newDataKey(computeHash(g.keys[browserKey], context, nil))
}
