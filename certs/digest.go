package certs

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// CertSHA256 is the SHA-256 of a certificate's DER, in hexadecimal digits; ""
// for nil.
func CertSHA256(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Colons writes a digest as openssl shows a fingerprint.
func Colons(sum []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// EncodePEM writes certificates as PEM, the form in which registrations keep them.
func EncodePEM(list ...*x509.Certificate) string {
	var out []byte
	for _, c := range list {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(out)
}

// PublicKeySHA256 is the SHA-256 of a public key's SubjectPublicKeyInfo, in
// hexadecimal digits. It is computed from the key and not from a certificate,
// whose encoding of the same key can differ, so that a certificate that comes
// for a waiting key matches it.
func PublicKeySHA256(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
