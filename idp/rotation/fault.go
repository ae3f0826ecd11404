package rotation

import (
	"cmp"
	"slices"

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

// IsRecorded reports whether the certificate is the one that the record names, or
// comes for a key that waits for one.
func (r Record) IsRecorded(certSHA256 string) bool {
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

// IsOther reports whether the digests are of another certificate or public key
// than the recorded one. An empty digest is unknown and matches.
func (r Record) IsOther(certSHA256, publicKeySHA256 string) bool {
	differs := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differs(r.CertificateSHA256, certSHA256) || differs(r.PublicKeySHA256, publicKeySHA256)
}

// isWaitingFor reports whether the step brings the very key that waits for its
// certificate.
func (r Record) isWaitingFor(s Step) bool {
	return s.Kind == StepImport && r.CertEndAt.IsZero() && r.PublicKeySHA256 != "" && r.PublicKeySHA256 == s.PublicKeySHA256
}

// Fault compares what is there of a year with its record; "" if it can sign, or
// waits for its certificate with the recorded key. A year that is over needs no
// key.
func (r Record) Fault(m Made) KeyFault {
	if r.Over() {
		return ""
	}
	hasCert := !m.CertEndAt.IsZero()
	switch {
	case r.IsOther(m.CertSHA256, m.PublicKeySHA256), hasCert && !r.IsRecorded(m.CertSHA256):
		return KeyDiffers
	case !m.HasKey:
		return KeyMissing
	case !hasCert && !r.CertEndAt.IsZero():
		return CertMissing
	}
	return ""
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
