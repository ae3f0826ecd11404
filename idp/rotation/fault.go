package rotation

import (
	"cmp"
	"slices"

	"vernal/idp"
)

// KeyFault is the reason code of a recorded year that cannot sign, because its files differ
// from the history. Service providers trust the recorded certificate, so no other one may
// replace it unnoticed. The year is closed until the files are restored, or it is revoked.
type KeyFault string

const (
	// KeyMissing: the private key is missing.
	KeyMissing KeyFault = "key_missing"
	// CertMissing: the private key exists, but not its certificate.
	CertMissing KeyFault = "certificate_missing"
	// KeyDiffers: the private key or the certificate is not the recorded one.
	KeyDiffers KeyFault = "key_differs"
	// KeyDamaged: a file of the year cannot be read, or its files contradict each other.
	KeyDamaged KeyFault = "key_damaged"
)

func (f KeyFault) isKnown() bool {
	switch f {
	case KeyMissing, CertMissing, KeyDiffers, KeyDamaged:
		return true
	}
	return false
}

// IsRecorded reports whether the certificate is the recorded one, or comes for a waiting key.
func (r Record) IsRecorded(certSHA256 string) bool {
	if r.CertEndAt.IsZero() {
		return r.CertificateSHA256 == ""
	}
	return certSHA256 == r.CertificateSHA256
}

// recordIdentity records the certificate and public key of the year. Recorded values never change.
func (r *Record) recordIdentity(certSHA256, publicKeySHA256 string) {
	r.CertificateSHA256 = cmp.Or(r.CertificateSHA256, certSHA256)
	r.PublicKeySHA256 = cmp.Or(r.PublicKeySHA256, publicKeySHA256)
}

// IsOther reports whether a digest differs from the recorded one. An empty digest is
// unknown and matches.
func (r Record) IsOther(certSHA256, publicKeySHA256 string) bool {
	differs := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differs(r.CertificateSHA256, certSHA256) || differs(r.PublicKeySHA256, publicKeySHA256)
}

// isWaitingFor reports whether the step brings the certificate of the waiting key.
func (r Record) isWaitingFor(s Step) bool {
	return s.Kind == StepImport && r.CertEndAt.IsZero() && r.PublicKeySHA256 != "" && r.PublicKeySHA256 == s.PublicKeySHA256
}

// Fault compares the existing parts of a year with its record. It returns "" if the year can
// sign, or waits for its certificate with the recorded key. A year that is over needs no key.
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

// WithFaults returns the history with only the given faults. They are not stored, because
// they describe the folder of one process.
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
