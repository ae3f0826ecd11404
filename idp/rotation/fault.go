package rotation

import (
	"cmp"
	"slices"
	"time"

	"vernal/idp"
)

// MadeKey describes the existing key files of a year.
type MadeKey struct {
	Year idp.Year
	// CertEndAt is the end of its certificate; zero while it has none.
	CertEndAt time.Time
	// HasKey is false once the private key was destroyed.
	HasKey bool
	// CertSHA256 and PublicKeySHA256 are the digests of the certificate and the public key,
	// "" if missing.
	CertSHA256, PublicKeySHA256 string
}

// KeyFault is the reason code of a recorded year that cannot sign: its files are not those that the
// history records. Service providers trust the recorded certificate, so no other one may silently
// replace it. The year is closed until the files are back, or it is revoked.
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
	return slices.Contains([]KeyFault{KeyMissing, CertMissing, KeyDiffers, KeyDamaged}, f)
}

// IsRecorded reports whether the certificate is the recorded one, or completes a waiting key.
func (r Record) IsRecorded(certSHA256 string) bool {
	if r.CertEndAt.IsZero() {
		return r.CertificateSHA256 == ""
	}
	return certSHA256 == r.CertificateSHA256
}

// recordIdentity records the certificate and public key of the year. Recorded values never
// change.
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

// FindFault compares the existing parts of a year with its record. It returns "" if the year can
// sign, or waits for its certificate with the recorded key. A year that is over needs no key.
func (r Record) FindFault(m MadeKey) KeyFault {
	if r.IsOver() {
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

// Begin returns the history of a new installation whose first keys were just made. It is the
// history after the steps of a first start, in manual mode too, so that one year is
// preferred. Only vernal init begins a history: if it is lost, keys and dates do not show
// which year service providers trust.
func (p Policy) Begin(made []MadeKey, now time.Time) History {
	p.Manual = false
	h := p.Adopt(History{}, made, now)
	for _, s := range p.Steps(h, now) {
		if _, made := h.Record(s.Year); made {
			h = h.Apply(s, now.UTC())
		}
	}
	return h
}

// Adopt updates the history with the existing keys. A private key of a year that the history
// does not contain was made by a step that was interrupted before it was recorded: the year
// becomes created.
//
// Recorded facts stay, except that Adopt records an imported certificate for a waiting key,
// and the end of the key of a year that is over. It never changes a digest, and records
// nothing about a certificate or key that differs from the recorded one. A process adopts at
// its start, and so starts the clock.
func (p Policy) Adopt(h History, made []MadeKey, now time.Time) History {
	now = now.UTC()
	h = h.StartClock(now)
	for _, m := range made {
		if _, ok := h.Record(m.Year); !ok && m.Year.IsValid() && m.HasKey {
			h = h.add(m.Year, now)
		}
		h = h.edit(m.Year, func(r *Record) {
			r.adopt(m, now)
			if !m.HasKey && r.IsOver() && r.KeyDestroyedAt.IsZero() {
				r.KeyDestroyedAt = now
			}
		})
	}
	return h
}

// adopt records the key and certificate of the year unless they differ from the recorded
// ones.
func (r *Record) adopt(m MadeKey, now time.Time) {
	hasCert := !m.CertEndAt.IsZero()
	if r.IsOther(m.CertSHA256, m.PublicKeySHA256) || hasCert && !r.IsRecorded(m.CertSHA256) {
		return
	}
	if r.CertEndAt.IsZero() && hasCert {
		r.CertifiedAt, r.CertEndAt = now, m.CertEndAt.UTC()
	}
	if hasCert || r.CertEndAt.IsZero() {
		r.recordIdentity(m.CertSHA256, m.PublicKeySHA256)
	}
}
