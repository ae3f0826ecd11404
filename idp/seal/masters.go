package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"sync/atomic"
)

// MasterSize is the length of a master key in bytes.
const MasterSize = 32

// idSize is the length of a master key's ID.
const idSize = 8

// Master is a master key, which only wraps other keys. It is safe for concurrent use.
type Master struct {
	redaction
	secret []byte
	id     [idSize]byte
	wrappingKey   *DataKey
}

// NewMaster makes a Master of MasterSize bytes, which it copies. HKDF-SHA256 derives the wrapping
// key, for AES-256-GCM, and the ID from the key.
func NewMaster(secret []byte) (*Master, error) {
	if len(secret) != MasterSize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(secret), MasterSize)
	}
	m := &Master{secret: append([]byte(nil), secret...)}
	wrap, err := hkdf.Key(sha256.New, secret, nil, "vernal wrap v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("derive the wrapping key: %w", err)
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "vernal master id v1", idSize)
	if err != nil {
		return nil, fmt.Errorf("derive the ID of the master key: %w", err)
	}
	m.wrappingKey = newDataKey(wrap)
	copy(m.id[:], id)
	return m, nil
}

// ID names the key and discloses nothing about it: 16 hex digits.
func (m *Master) ID() string { return hex.EncodeToString(m.id[:]) }

// FileText returns the key in the form of its file. It is a secret.
func (m *Master) FileText() string { return hex.EncodeToString(m.secret) + "\n" }

// Equal reports whether both are the same key.
func (m *Master) Equal(o *Master) bool { return subtle.ConstantTimeCompare(m.secret, o.secret) == 1 }

// WrapFor wraps this master key by another one, whose UnwrapMaster recovers it. See Masters.
func (m *Master) WrapFor(o *Master) []byte {
	return o.wrappingKey.Seal(buildMasterContext(m.ID()), m.secret)
}

// UnwrapMaster is the reverse of WrapFor. id is the ID of the key that is wrapped.
func (m *Master) UnwrapMaster(id string, wrapped []byte) (*Master, error) {
	secret, err := m.wrappingKey.Open(buildMasterContext(id), wrapped)
	if err != nil {
		return nil, err
	}
	return NewMaster(secret)
}

func buildMasterContext(id string) string { return "master/" + id }

// maxSlots bounds the master keys that one key is wrapped by.
const maxSlots = 2

// Masters are the master keys in force: one, or two while one replaces the other. A
// key is wrapped by all of them, and any of them opens it. It is safe for concurrent
// use.
type Masters struct{ list atomic.Pointer[[]*Master] }

// NewMasters begins with one master key.
func NewMasters(m *Master) *Masters {
	s := new(Masters)
	s.Set(m)
	return s
}

// Set changes which master keys are in force, one or two. The first is the one that
// the installation is configured with.
func (s *Masters) Set(list ...*Master) {
	if len(list) == 0 || len(list) > maxSlots {
		panic(fmt.Sprintf("seal: %d master keys in force", len(list)))
	}
	s.list.Store(&list)
}

// Configured returns the master key that the installation was opened with.
func (s *Masters) Configured() *Master { return (*s.list.Load())[0] }

// A wrapped key has one slot for each master key:
//
//	form | number of slots | ID of the master key, sealed key | ...
var slotSize = idSize + 1 + newDataKey(make([]byte, keySize)).aead.Overhead() + keySize

// Wrap wraps a key for the context by every master key in force.
func (s *Masters) Wrap(context string, key []byte) []byte {
	list := *s.list.Load()
	out := make([]byte, 0, 2+len(list)*slotSize)
	out = append(out, formWrapped, byte(len(list)))
	for _, m := range list {
		out = append(out, m.id[:]...)
		out = append(out, m.wrappingKey.Seal("key/"+context, key)...)
	}
	return out
}

// Unwrap is the reverse of Wrap. It returns ErrOpen if no master key in force wrapped this
// key for this context.
func (s *Masters) Unwrap(context string, wrapped []byte) ([]byte, error) {
	slots, err := parseSlots(wrapped)
	if err != nil {
		return nil, err
	}
	for _, m := range *s.list.Load() {
		if sealed, ok := slots[m.id]; ok {
			return m.wrappingKey.Open("key/"+context, sealed)
		}
	}
	return nil, ErrOpen
}

// Rewrap wraps a wrapped key by the master keys in force now and no other, and
// reports whether that changed anything.
func (s *Masters) Rewrap(context string, wrapped []byte) (out []byte, changed bool, err error) {
	slots, err := parseSlots(wrapped)
	if err != nil {
		return nil, false, err
	}
	list := *s.list.Load()
	current := len(slots) == len(list)
	for _, m := range list {
		_, ok := slots[m.id]
		current = current && ok
	}
	if current {
		return wrapped, false, nil
	}
	key, err := s.Unwrap(context, wrapped)
	if err != nil {
		return nil, false, err
	}
	return s.Wrap(context, key), true, nil
}

func parseSlots(wrapped []byte) (map[[idSize]byte][]byte, error) {
	if len(wrapped) < 2 || wrapped[0] != formWrapped {
		return nil, ErrOpen
	}
	n, rest := int(wrapped[1]), wrapped[2:]
	if n < 1 || n > maxSlots || len(rest) != n*slotSize {
		return nil, ErrOpen
	}
	slots := make(map[[idSize]byte][]byte, n)
	for ; len(rest) > 0; rest = rest[slotSize:] {
		slots[[idSize]byte(rest)] = rest[idSize:slotSize]
	}
	if len(slots) != n {
		return nil, ErrOpen
	}
	return slots, nil
}

// NewDataKey makes a random key for the data of the context, and its wrapped form.
func (s *Masters) NewDataKey(context string) (key *DataKey, wrapped []byte) {
	secret := newKey()
	return newDataKey(secret), s.Wrap(context, secret)
}

// OpenDataKey opens a wrapped key.
func (s *Masters) OpenDataKey(context string, wrapped []byte) (*DataKey, error) {
	secret, err := s.Unwrap(context, wrapped)
	if err != nil {
		return nil, err
	}
	return newDataKey(secret), nil
}

// Seal seals a value that is stored separately, such as a file, with a new key. The wrapped key is
// stored with the value.
func (s *Masters) Seal(context string, plaintext []byte) []byte {
	key, wrapped := s.NewDataKey(context)
	out := append([]byte{formEnvelope}, wrapped...)
	return append(out, key.Seal(context, plaintext)...)
}

// Open is the reverse of Seal.
func (s *Masters) Open(context string, sealed []byte) ([]byte, error) {
	wrapped, value, err := splitEnvelope(sealed)
	if err != nil {
		return nil, err
	}
	key, err := s.OpenDataKey(context, wrapped)
	if err != nil {
		return nil, err
	}
	return key.Open(context, value)
}

// RewrapSealed does what Rewrap does, for the output of Seal.
func (s *Masters) RewrapSealed(context string, sealed []byte) (out []byte, changed bool, err error) {
	wrapped, value, err := splitEnvelope(sealed)
	if err != nil {
		return nil, false, err
	}
	wrapped, changed, err = s.Rewrap(context, wrapped)
	if err != nil || !changed {
		return sealed, false, err
	}
	return append(append([]byte{formEnvelope}, wrapped...), value...), true, nil
}

func splitEnvelope(sealed []byte) (wrapped, value []byte, err error) {
	if len(sealed) < 3 || sealed[0] != formEnvelope {
		return nil, nil, ErrOpen
	}
	size := 2 + int(sealed[2])*slotSize
	if len(sealed) < 1+size {
		return nil, nil, ErrOpen
	}
	return sealed[1 : 1+size], sealed[1+size:], nil
}
