package rotation

import "time"

// Begin returns the history of a new installation whose first keys were just made. It takes
// the steps of a first start, in manual mode too, so that one year is preferred. Only
// vernal init begins a history. If a history is lost, keys and dates do not prove which
// year service providers trust.
func (p Policy) Begin(made []Made, now time.Time) History {
	p.Manual = false
	h := p.Adopt(History{}, made, now)
	for _, s := range p.Steps(h, now) {
		if _, made := h.Record(s.Year); made {
			h = h.Apply(s, now.UTC())
		}
	}
	return h
}

// Adopt updates the history from the existing keys. A private key of an unknown year comes
// from a step that was interrupted before it was recorded, so the year becomes created.
//
// Adopt also records the certificate that came for a waiting key, and the end of the key of
// a year that is over. It changes nothing else: it never changes a digest, and records
// nothing about a certificate or key other than the recorded one. A process adopts at its
// start, which also starts the clock.
func (p Policy) Adopt(h History, made []Made, now time.Time) History {
	now = now.UTC()
	h = h.StartClock(now)
	for _, m := range made {
		if _, ok := h.Record(m.Year); !ok && m.Year.Valid() && m.HasKey {
			h = h.add(m.Year, now)
		}
		h = h.edit(m.Year, func(r *Record) {
			r.adopt(m, now)
			if !m.HasKey && r.Over() && r.KeyDestroyedAt.IsZero() {
				r.KeyDestroyedAt = now
			}
		})
	}
	return h
}

// adopt records the year's key and certificate, unless they differ from the recorded ones.
func (r *Record) adopt(m Made, now time.Time) {
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
