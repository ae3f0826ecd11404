// Package seal encrypts what is secret at rest under one master key, and keeps
// the file that the master key lives in.
//
// Two keys are derived from the master key with HKDF-SHA256, one for each
// purpose, so that no key is used with two algorithms:
//
//	master (32 bytes) ── "vernal seal v1" ──► AES-256-GCM: Seal, Open
//	                  └─ "vernal hash v1" ──► HMAC-SHA256: Hash
//
// A sealed value is
//
//	version 0x01 | nonce, 12 random bytes | ciphertext | tag, 16 bytes
//
// with the context as additional data. Random nonces of 96 bits allow 2^32
// values under one key (NIST SP 800-38D §8.3); at 100 writes a second that is
// more than a year, so a very busy installation renews its master key.
//
// The package does not decide what is sealed, nor under which context: that is
// the business of whoever keeps the value.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
)

// MasterSize is the length of a master key in bytes.
const MasterSize = 32

// version is the first byte of every sealed value. Another algorithm gets
// another version, so that old values stay readable beside new ones.
const version = 0x01

// ErrOpen is returned by Open for a value that was not sealed with this key and
// this context, or was changed since. It does not tell which.
var ErrOpen = errors.New("sealed value does not open with this master key")

// Key seals and hashes under one master key; it implements idp.Sealer. It is
// safe for concurrent use.
type Key struct {
	aead cipher.AEAD
	mac  []byte
}

// NewKey derives a Key from a master key of MasterSize bytes. The slice is not
// kept.
func NewKey(master []byte) (*Key, error) {
	if len(master) != MasterSize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(master), MasterSize)
	}
	enc, err := hkdf.Key(sha256.New, master, nil, "vernal seal v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	mac, err := hkdf.Key(sha256.New, master, nil, "vernal hash v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive hashing key: %w", err)
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	// The random-nonce mode is the one that FIPS 140-3 approves; it puts the
	// nonce in front of the ciphertext itself.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &Key{aead: aead, mac: mac}, nil
}

// Seal encrypts plaintext for the context. Sealing the same value twice gives
// two different results.
func (k *Key) Seal(context string, plaintext []byte) []byte {
	out := make([]byte, 1, 1+k.aead.Overhead()+len(plaintext))
	out[0] = version
	return k.aead.Seal(out, nil, plaintext, []byte(context))
}

// Open is the reverse of Seal. A value of a context other than the one it was
// sealed for gives ErrOpen: this is what keeps somebody who can write to the
// store from moving one person's secret into another person's record.
func (k *Key) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+k.aead.Overhead() {
		return nil, fmt.Errorf("open %s: value of %d bytes is too short: %w", context, len(sealed), ErrOpen)
	}
	if sealed[0] != version {
		return nil, fmt.Errorf("open %s: unknown version %d: %w", context, sealed[0], ErrOpen)
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], []byte(context))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", context, ErrOpen)
	}
	return plain, nil
}

// Hash is HMAC-SHA256 over the context, with its length, and the data. Without
// the master key nobody can tell whether a hash stands for a guessed value.
func (k *Key) Hash(context string, data []byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(context)))
	h.Write(n[:])
	h.Write([]byte(context))
	h.Write(data)
	return h.Sum(nil)
}

// String keeps a Key out of every message that prints it.
func (k *Key) String() string { return "seal.Key(hidden)" }

// GoString is String, for %#v.
func (k *Key) GoString() string { return k.String() }

// LogValue is String, for slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
