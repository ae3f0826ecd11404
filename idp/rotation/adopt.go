package rotation

import "time"

// Begin is the history of a new installation whose first keys were just made: as
// after the steps of a first start, in manual mode too, so that one year is
// preferred. Only vernal init begins a history. Where it is lost, keys and dates
// do not say which year service providers trust.
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

// Adopt brings the history in line with the keys that are there. A private key of
// a year that the history does not know was made by a step that was interrupted
// before it was recorded: the year becomes created.
//
// What is recorded stays as it is, except that Adopt records the certificate
// that came for a waiting key, and the end of the key of a year that is over. It
// never changes a digest, and records nothing of a certificate or key that is
// not the recorded one. A process adopts at its start, and so starts the clock.
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

// adopt records what is there of the year, if it is not another certificate or
// key than the recorded one.
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
