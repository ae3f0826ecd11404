// Package seal keeps the keys under which an installation's data is secret and
// authentic, and the file of the master key.
//
// # Hierarchy
//
// The master key wraps other keys and nothing else. Those keys are random, and are stored wrapped,
// beside the data that they protect:
//
//	master key ─┬─ ring keys   one set per generation: MACs, look-up indexes, browser
//	            ├─ user keys   one per user: their record and their profile
//	            └─ year keys   one per year: the private signing key
//
// A deleted user's key is deleted with the user, and so is the key of a year whose
// signing key is destroyed. Data that they sealed may remain in free pages of a file
// and in backups, and so may the wrapped key. The data can be read only while the
// master key that wrapped the key there exists.
//
// # Changing keys
//
// While the master key is being changed, two are in force (see Masters), and both
// wrap every key. The ring keys are renewed one generation at a time (see Ring):
// values of the generation before are accepted until all of them are made again.
//
// The packages that keep a value decide whether it is sealed, and under which context.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"log/slog"
)

// keySize is the length in bytes of every key here.
const keySize = 32

// The first byte of each output names its form. A new algorithm gets a new byte, so that both old
// and new values can be read.
const (
	formSealed   = 0x01 // form, nonce, ciphertext, tag
	formWrapped  = 0x02 // form, number of slots, slots
	formEnvelope = 0x03 // form, wrapped key, sealed value
)

// ErrOpen is returned for a value that was not sealed with this key and this
// context, or was changed since. It does not say which.
var ErrOpen = errors.New("sealed value does not open with this key")

// DataKey seals the data of one user or one year. It is safe for concurrent use.
type DataKey struct {
	redaction
	aead cipher.AEAD
}

// newKey returns a new random key.
func newKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

// newDataKey makes a DataKey of keySize bytes. In this mode, which FIPS 140-3
// approves, the cipher makes the nonces: 96 random bits each, enough for 2^32 values
// under one key (NIST SP 800-38D §8.3). No user's record is written that often.
func newDataKey(key []byte) *DataKey {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of another size is a mistake in this package
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &DataKey{aead: aead}
}

// Seal encrypts plaintext for the context. Sealing the same value twice gives two
// different results.
func (k *DataKey) Seal(context string, plaintext []byte) []byte {
	out := make([]byte, 1, 1+k.aead.Overhead()+len(plaintext))
	out[0] = formSealed
	return k.aead.Seal(out, nil, plaintext, []byte(context))
}

// Open is the reverse of Seal. It returns ErrOpen for a value that was sealed for another
// context, so an attacker who can write to the store cannot move one user's secret into
// another user's record.
func (k *DataKey) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+k.aead.Overhead() || sealed[0] != formSealed {
		return nil, ErrOpen
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], []byte(context))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// redaction is a part of every type that holds keys, so that no message shows them.
type redaction struct{}

// String hides the keys.
func (redaction) String() string { return "seal.Key(hidden)" }

// GoString hides the keys from %#v.
func (h redaction) GoString() string { return h.String() }

// LogValue hides the keys from slog.
func (h redaction) LogValue() slog.Value { return slog.StringValue(h.String()) }
