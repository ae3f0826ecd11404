package certs

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"vernal/idp"
)

// KeyFault is the reason code of a recorded year that cannot sign: its files
// are not those that the history records. Service providers trust the recorded
// certificate, so no other one may take its place without a word. The year is
// closed until the files are back, or it is revoked.
type KeyFault string

const (
	// KeyMissing: the private key is missing.
	KeyMissing KeyFault = "key_missing"
	// CertMissing: the private key is there, its certificate is missing.
	CertMissing KeyFault = "certificate_missing"
	// KeyDiffers: there is a private key or a certificate, and it is another one.
	KeyDiffers KeyFault = "key_differs"
	// KeyDamaged: a file of the year cannot be read, or its files contradict one
	// another.
	KeyDamaged KeyFault = "key_damaged"
)

// isKnown reports whether f is one of the faults.
func (f KeyFault) isKnown() bool {
	switch f {
	case KeyMissing, CertMissing, KeyDiffers, KeyDamaged:
		return true
	}
	return false
}

// UnusableKeyError is returned when the preferred year cannot sign because of
// its key. It matches ErrNoSigner.
type UnusableKeyError struct {
	Year  idp.Year
	Fault KeyFault
}

// Error implements error.
func (e *UnusableKeyError) Error() string {
	return fmt.Sprintf("the preferred year %s cannot sign: %s", e.Year, e.Fault)
}

// Suggested is what helps if the key is lost for good.
func (e *UnusableKeyError) Suggested() []idp.Suggestion {
	return []idp.Suggestion{e.Fault.Suggestion(e.Year)}
}

// Is reports whether target is ErrNoSigner.
func (e *UnusableKeyError) Is(target error) bool { return target == ErrNoSigner }

// CertSHA256 is the SHA-256 of a certificate's DER, in hexadecimal digits; ""
// for nil.
func CertSHA256(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
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

// isRecorded reports whether the certificate is the one that the record names, or
// comes for a key that waits for one.
func (r Record) isRecorded(certSHA256 string) bool {
	if r.CertEndAt.IsZero() {
		return r.CertificateSHA256 == ""
	}
	return certSHA256 == r.CertificateSHA256
}

// recordIdentity notes which certificate and public key the year has. What is
// recorded already is never changed.
func (r *Record) recordIdentity(certSHA256, publicKeySHA256 string) {
	r.CertificateSHA256 = cmp.Or(r.CertificateSHA256, certSHA256)
	r.PublicKeySHA256 = cmp.Or(r.PublicKeySHA256, publicKeySHA256)
}

// isOther reports whether the digests are of another certificate or public key
// than the recorded one. An empty digest is unknown and matches.
func (r Record) isOther(certSHA256, publicKeySHA256 string) bool {
	differs := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differs(r.CertificateSHA256, certSHA256) || differs(r.PublicKeySHA256, publicKeySHA256)
}

// isWaitingFor reports whether the step brings the very key that waits for its
// certificate.
func (r Record) isWaitingFor(s Step) bool {
	return s.Kind == StepImport && r.CertEndAt.IsZero() && r.PublicKeySHA256 != "" && r.PublicKeySHA256 == s.PublicKeySHA256
}

// fault compares what is there of a year with its record; "" if it can sign, or
// waits for its certificate with the recorded key. A year that is over needs no
// key.
func (r Record) fault(m Made) KeyFault {
	if r.over() {
		return ""
	}
	hasCert := !m.CertEndAt.IsZero()
	switch {
	case r.isOther(m.CertSHA256, m.PublicKeySHA256), hasCert && !r.isRecorded(m.CertSHA256):
		return KeyDiffers
	case !m.HasKey:
		return KeyMissing
	case !hasCert && !r.CertEndAt.IsZero():
		return CertMissing
	}
	return ""
}

// faultOf is the fault of the year with what is usable of its key. The one that
// WithFaults gave says more: which parts were there before.
func (r Record) faultOf(usable *Key) KeyFault {
	f := r.fault(usable.Made())
	if f != "" && r.KeyFault != "" {
		return r.KeyFault
	}
	return f
}

// Faults finds the recorded years that cannot sign as recorded. damaged are the
// years that could not be loaded.
func (h History) Faults(keys []*Key, damaged []DamagedYear) map[idp.Year]KeyFault {
	faults := map[idp.Year]KeyFault{}
	for _, r := range h.Records {
		m := Made{Year: r.Year}
		if k := findKey(keys, r.Year); k != nil {
			m = k.Made()
		}
		f := r.fault(m)
		if f != "" && slices.ContainsFunc(damaged, func(d DamagedYear) bool { return d.Year == r.Year }) {
			f = KeyDamaged
		}
		if f != "" {
			faults[r.Year] = f
		}
	}
	return faults
}

// WithFaults is the history with the given faults and no others. They are what
// one process finds in its folder, so they are not stored.
func (h History) WithFaults(faults map[idp.Year]KeyFault) History {
	if !slices.ContainsFunc(h.Records, func(r Record) bool { return r.KeyFault != faults[r.Year] }) {
		return h
	}
	h.Records = slices.Clone(h.Records)
	for i := range h.Records {
		h.Records[i].KeyFault = faults[h.Records[i].Year]
	}
	return h
}

// Usable gives of each key what may stay in memory under this history, sorted,
// with an entry for every recorded year. A year that is over keeps no private
// key, so that nothing signs with it any more. Nor does one that has a
// KeyFault, and of its certificate only the recorded one stays. A key that
// needs no change stays the same pointer.
func (h History) Usable(keys []*Key) []*Key {
	usable := make([]*Key, 0, max(len(keys), len(h.Records)))
	for _, r := range h.Records {
		k := findKey(keys, r.Year)
		if k == nil {
			k = &Key{Year: r.Year}
		}
		usable = append(usable, r.usable(k))
	}
	for _, k := range keys {
		if _, recorded := h.Record(k.Year); !recorded {
			usable = append(usable, k)
		}
	}
	slices.SortFunc(usable, func(a, b *Key) int { return strings.Compare(string(a.Year), string(b.Year)) })
	return usable
}

func (r Record) usable(k *Key) *Key {
	m := k.Made()
	cert := k.Cert
	if cert != nil && (r.isOther(m.CertSHA256, "") || !r.isRecorded(m.CertSHA256)) {
		cert = nil
	}
	signer := k.Signer
	if r.over() || r.fault(m) != "" {
		signer = nil
	}
	if (signer == nil) == (k.Signer == nil) && cert == k.Cert {
		return k
	}
	return &Key{Year: k.Year, Signer: signer, Cert: cert, Elsewhere: k.Elsewhere}
}

func findKey(keys []*Key, y idp.Year) *Key {
	i := slices.IndexFunc(keys, func(k *Key) bool { return k.Year == y })
	if i < 0 {
		return nil
	}
	return keys[i]
}
