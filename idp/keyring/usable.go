package keyring

import (
	"cmp"
	"fmt"
	"slices"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// DescribeKey returns the facts about a key that the rotation rules need.
func DescribeKey(k *certs.Key) rotation.MadeKey {
	m := rotation.MadeKey{Year: k.Year, HasKey: k.Signer != nil, CertSHA256: certs.CertSHA256(k.Cert)}
	if k.Cert != nil {
		m.CertEndAt = k.Cert.NotAfter
	}
	if pub := k.Public(); pub != nil {
		m.PublicKeySHA256 = certs.PublicKeySHA256(pub)
	}
	return m
}

// UnusableKeyError is returned when the preferred year cannot sign because of
// its key. It matches ErrNoSigner.
type UnusableKeyError struct {
	Year  idp.Year
	Fault rotation.KeyFault
}

func (e *UnusableKeyError) Error() string {
	return fmt.Sprintf("the preferred year %s cannot sign: %s", e.Year, e.Fault)
}

// Suggested returns the next step if the key is permanently lost.
func (e *UnusableKeyError) Suggested() []idp.Suggestion {
	return []idp.Suggestion{e.Fault.Suggestion(e.Year)}
}

// Is reports whether target is ErrNoSigner.
func (e *UnusableKeyError) Is(target error) bool { return target == ErrNoSigner }

// findFault returns the fault of the year, given the usable part of its key. A fault recorded
// by WithFaults is more precise, because it knows which parts were there before.
func findFault(r rotation.Record, usable *certs.Key) rotation.KeyFault {
	f := r.FindFault(DescribeKey(usable))
	if f != "" && r.KeyFault != "" {
		return r.KeyFault
	}
	return f
}

// FindFaults finds the recorded years that cannot sign as recorded. damaged lists the years
// that could not be loaded.
func FindFaults(h rotation.History, keys []*certs.Key, damaged []certs.DamagedYear) map[idp.Year]rotation.KeyFault {
	faults := map[idp.Year]rotation.KeyFault{}
	for _, r := range h.Records {
		f := r.FindFault(DescribeKey(cmp.Or(certs.FindKey(keys, r.Year), &certs.Key{Year: r.Year})))
		if f != "" && slices.ContainsFunc(damaged, func(d certs.DamagedYear) bool { return d.Year == r.Year }) {
			f = rotation.KeyDamaged
		}
		if f != "" {
			faults[r.Year] = f
		}
	}
	return faults
}

// SelectUsable returns the parts of the keys that may stay in memory under this history, sorted,
// with an entry for every recorded year. A year that is over or has a KeyFault keeps no
// private key, so that nothing can sign with it. Of the certificates of a year with a
// KeyFault, only the recorded one stays. An unchanged key stays the same pointer.
func SelectUsable(h rotation.History, keys []*certs.Key) []*certs.Key {
	usable := make([]*certs.Key, 0, max(len(keys), len(h.Records)))
	for _, r := range h.Records {
		usable = append(usable, selectUsableParts(r, cmp.Or(certs.FindKey(keys, r.Year), &certs.Key{Year: r.Year})))
	}
	for _, k := range keys {
		if _, recorded := h.Record(k.Year); !recorded {
			usable = append(usable, k)
		}
	}
	slices.SortFunc(usable, func(a, b *certs.Key) int { return cmp.Compare(a.Year, b.Year) })
	return usable
}

func selectUsableParts(r rotation.Record, k *certs.Key) *certs.Key {
	m := DescribeKey(k)
	cert := k.Cert
	if cert != nil && (r.IsOther(m.CertSHA256, "") || !r.IsRecorded(m.CertSHA256)) {
		cert = nil
	}
	signer := k.Signer
	if r.IsOver() || r.FindFault(m) != "" {
		signer = nil
	}
	if (signer == nil) == (k.Signer == nil) && cert == k.Cert {
		return k
	}
	return &certs.Key{Year: k.Year, Signer: signer, Cert: cert, External: k.External}
}
