// Package certs makes and keeps the yearly signing keys and their X.509 certificates.
//
//	Key    the key of one year, with its certificate
//	Dir    the folder of sealed private keys and certificates
//	Vault  a token (PKCS#11) that keeps private keys instead
//
// It also makes certification requests and reads and checks certificates of an
// external authority. It knows no calendar and no state of a year: package rotation has
// the rules, and package keyring chooses the key that signs.
package certs

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"vernal/idp"
)

// Key is the signing key of one year.
type Key struct {
	Year idp.Year
	// Signer is nil once the private key was destroyed.
	Signer crypto.Signer
	// Cert is nil while a key waits for its certificate.
	Cert *x509.Certificate
	// External is set if an external authority issues the certificate. Vernal then makes none.
	External bool

	derivedValue atomic.Value
}

// LookupDerived returns the value that build makes from the key. The value is built once and kept
// with the key, so that no object that can sign remains when the Ring drops the key. All callers
// must use the same T.
func LookupDerived[T any](k *Key, build func(*Key) (T, error)) (T, error) {
	if v, ok := k.derivedValue.Load().(T); ok {
		return v, nil
	}
	v, err := build(k)
	if err == nil && !k.derivedValue.CompareAndSwap(nil, v) {
		v, _ = k.derivedValue.Load().(T) // another caller was first
	}
	return v, err
}

// backdate moves notBefore before the time of issuance, for service providers whose clock is
// behind.
const backdate = 5 * time.Minute

// Spec is the form of new keys and certificates.
type Spec struct {
	// Bits is the length of an RSA key: 2048 (also if it is 0), 3072 or 4096.
	Bits int
	// Subject is the name in certificates.
	Subject Subject
}

// KeyBits returns the length of a new RSA key in bits.
func (s Spec) KeyBits() int {
	return cmp.Or(s.Bits, 2048)
}

// Validate refuses a key length that is not offered.
func (s Spec) Validate() error {
	switch s.KeyBits() {
	case 2048, 3072, 4096:
		return nil
	}
	return fmt.Errorf("signing key of %d bits: use 2048, 3072 or 4096", s.Bits)
}

// Subject is the name in new certificates.
type Subject struct {
	// CommonName is the common name. If it is empty, the host of the base URL is used.
	CommonName string
	// Empty fields are left out of the name.
	Country, Province, Locality, Organization, OrganizationalUnit string
}

// NewKey makes a private key for the year and, with Certify, its certificate. The private key comes
// from the system's random source and not from rand.
func NewKey(rand io.Reader, y idp.Year, endAt time.Time, spec Spec, baseURL string, now time.Time) (*Key, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	signer, err := rsa.GenerateKey(rand, spec.KeyBits())
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", y, err)
	}
	return Certify(rand, signer, y, endAt, spec, baseURL, now)
}

// Certify makes the self-signed certificate of a private key: RSA-SHA256, for
// digital signatures only, no CA, serial of 128 random bits from rand, valid
// from five minutes before now to end.
func Certify(rand io.Reader, signer crypto.Signer, y idp.Year, endAt time.Time, spec Spec, baseURL string, now time.Time) (*Key, error) {
	if !y.IsValid() {
		return nil, fmt.Errorf("signing key: %q is not a year", y)
	}
	if !endAt.After(now) {
		return nil, fmt.Errorf("signing key %s: its certificate would have expired on %s", y, endAt.Format(time.DateOnly))
	}
	name, err := spec.Subject.pkixName(baseURL)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", y, err)
	}
	serial, err := newSerial(rand)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: serial number: %w", y, err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               name,
		NotBefore:             now.UTC().Add(-backdate),
		NotAfter:              endAt,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		SignatureAlgorithm:    x509.SHA256WithRSA,
		BasicConstraintsValid: true, // states that it is not a CA
	}
	der, err := x509.CreateCertificate(rand, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: make certificate: %w", y, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: read back certificate: %w", y, err)
	}
	return &Key{Year: y, Signer: signer, Cert: cert}, nil
}

// newSerial draws a positive serial number of 128 bits (RFC 5280 §4.1.2.2).
func newSerial(rand io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, err
	}
	b[0] |= 0x80 // always the full length; big.Int keeps it positive
	return new(big.Int).SetBytes(b), nil
}

// pkixName returns the subject of a certificate, with the host of baseURL as CommonName if
// the policy sets none.
func (s Subject) pkixName(baseURL string) (pkix.Name, error) {
	name := pkix.Name{
		CommonName:         s.CommonName,
		Country:            listValue(s.Country),
		Province:           listValue(s.Province),
		Locality:           listValue(s.Locality),
		Organization:       listValue(s.Organization),
		OrganizationalUnit: listValue(s.OrganizationalUnit),
	}
	if name.CommonName == "" {
		u, err := url.Parse(baseURL)
		if err != nil || u.Hostname() == "" {
			return name, fmt.Errorf("base URL %q has no host to name the certificate after", baseURL)
		}
		name.CommonName = u.Hostname()
	}
	// RFC 5280 limits a CommonName to 64 characters. No one matches on ours.
	if len(name.CommonName) > 64 {
		name.CommonName = name.CommonName[:64]
	}
	return name, nil
}

func listValue(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// Public returns the public half of the private key or, without that, the key of the
// certificate. It is nil if both are missing.
func (k *Key) Public() crypto.PublicKey {
	if keys := k.publicKeys(); len(keys) > 0 {
		return keys[0]
	}
	return nil
}

// check returns an error if the parts of the key do not belong together.
func (k *Key) check() error {
	if !k.Year.IsValid() {
		return fmt.Errorf("%q is not a year", k.Year)
	}
	if k.Signer == nil && k.Cert == nil {
		return errors.New("the private key and the certificate are both missing")
	}
	for _, pub := range k.publicKeys() {
		rsaKey, ok := pub.(*rsa.PublicKey)
		if !ok {
			return fmt.Errorf("want an RSA key, have %T", pub)
		}
		if n := rsaKey.N.BitLen(); n < 2048 {
			return fmt.Errorf("the RSA key has %d bits, want at least 2048", n)
		}
	}
	if k.Signer != nil && k.Cert != nil && !EqualPublic(k.Signer.Public(), k.Cert.PublicKey) {
		return errors.New("the certificate belongs to another private key")
	}
	return nil
}

func (k *Key) publicKeys() (keys []crypto.PublicKey) {
	if k.Signer != nil {
		keys = append(keys, k.Signer.Public())
	}
	if k.Cert != nil {
		keys = append(keys, k.Cert.PublicKey)
	}
	return keys
}

// EqualPublic reports whether two public keys are the same.
func EqualPublic(a, b crypto.PublicKey) bool {
	x, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && x.Equal(b)
}

// FindKey returns the key of a year, or nil.
func FindKey(keys []*Key, y idp.Year) *Key {
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Year == y })
	if i < 0 {
		return nil
	}
	return keys[i]
}

// CertSHA256 returns the SHA-256 of a certificate's DER in hexadecimal digits, "" for nil.
func CertSHA256(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// FormatFingerprint formats a digest as openssl prints a fingerprint.
func FormatFingerprint(sum []byte) string {
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

// PublicKeySHA256 returns the SHA-256 of a public key's SubjectPublicKeyInfo in hexadecimal
// digits. It is computed from the key and not from a certificate, whose encoding of the same
// key can differ, so that a certificate imported for a waiting key matches it.
func PublicKeySHA256(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
