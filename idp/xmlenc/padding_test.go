package xmlenc_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// contentKey decrypts the EncryptedKey of a document to recipientKey.
func contentKey(t *testing.T, doc string, hash crypto.Hash) []byte {
	t.Helper()
	root, err := xmltree.Parse([]byte(doc), xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	wrapped := root.Child(nsEnc, "EncryptedData").Child(nsDsig, "KeyInfo").Child(nsEnc, "EncryptedKey")
	key, err := recipientKey().Decrypt(nil, readCipherValue(t, wrapped), &rsa.OAEPOptions{Hash: hash, MGFHash: crypto.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestContentKeysAreRandom checks that each document has its own random key.
func TestContentKeysAreRandom(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		a, b := contentKey(t, encryptedID(t, m.mode, m.digest), m.hash), contentKey(t, encryptedID(t, m.mode, m.digest), m.hash)
		for _, key := range [][]byte{a, b} {
			if bytes.Count(key, []byte{0}) > 8 {
				t.Errorf("%s: the content key is %x", m.name, key)
			}
		}
		if bytes.Equal(a, b) {
			t.Errorf("%s: two documents have the same content key", m.name)
		}
	}
}

// The last byte of CBC is the length of the padding, 1 to 16 bytes. Data that is not whole
// blocks after the IV is refused before it is decrypted.
func TestDecryptCBC(t *testing.T) {
	t.Parallel()
	doc := encryptedID(t, idp.EncryptionCBC, idp.DigestSHA256)
	block, err := aes.NewCipher(contentKey(t, doc, crypto.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	seal := func(last byte, text string) []byte {
		plain := append([]byte(text), make([]byte, 16-len(text)%16)...)
		plain[len(plain)-1] = last
		sealed := make([]byte, 16+len(plain))
		cipher.NewCBCEncrypter(block, sealed[:16]).CryptBlocks(sealed[16:], plain)
		return sealed
	}
	start, end := strings.LastIndex(doc, "<xenc:CipherValue>")+len("<xenc:CipherValue>"), strings.LastIndex(doc, "</xenc:CipherValue>")
	tests := []struct {
		name   string
		sealed []byte
		want   string
		ok     bool
	}{
		{"one byte of padding", seal(1, "fifteen letters"), "fifteen letters", true},
		{"a block of padding", seal(16, "sixteen letters."), "sixteen letters.", true},
		{"nothing but padding", seal(16, ""), "", true},
		{"no padding", seal(0, "fifteen letters"), "", false},
		{"more than a block of padding", seal(17, "sixteen letters."), "", false},
		{"more padding than there is", seal(255, "x"), "", false},
		{"no block", seal(1, "x")[:16], "", false},
		{"half an IV", seal(1, "x")[:8], "", false},
		{"half a block", seal(1, "x")[:24], "", false},
		{"a block and a half", seal(1, "fifteen letters, and more")[:40], "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := decrypt(t, doc[:start]+base64.StdEncoding.EncodeToString(tt.sealed)+doc[end:], recipientKey())
			switch {
			case tt.ok && (err != nil || string(got) != tt.want):
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			case !tt.ok && (err != xmlenc.ErrDecrypt || got != nil):
				t.Errorf("%q, %v; want it refused", got, err)
			}
		})
	}
}
