package certs

import (
	"slices"
	"time"
)

// Adopt brings the history in line with the keys that are there.
//
// An installation that has keys and an empty history has followed the calendar
// alone: its years get the states and dates of the calendar. Later on, a private
// key of a year that the history does not know was made by a step that was
// interrupted before it was recorded: the year becomes created.
//
// What is recorded stays as it is, except that Adopt records the certificate
// that came for a waiting key, the end of the key of a year that is over and,
// for a record of an earlier version, the digests of certificate and key. It
// never changes a digest, and records nothing of a certificate or key that is
// not the recorded one.
func (p Policy) Adopt(h History, made []Made, now time.Time) History {
	now = now.UTC()
	h = h.Tick(now, 0)
	// A key whose certificate is external was never used by the calendar alone:
	// the operator who brought it takes its steps.
	first := len(h.Records) == 0 && slices.ContainsFunc(made, func(m Made) bool { return !m.Elsewhere })
	for _, m := range made {
		if _, ok := h.Record(m.Year); !ok && m.Year.Valid() && (first || m.HasKey) {
			h = h.add(m.Year, now)
		}
		h = h.edit(m.Year, func(r *Record) {
			r.adopt(m, now)
			if !m.HasKey && (first || r.over()) && r.KeyDestroyedAt.IsZero() {
				r.KeyDestroyedAt = now
			}
		})
	}
	if first {
		h = p.adoptStates(h, made, now)
	}
	return h
}

// adopt records what is there of the year, if it is not another certificate or
// key than the recorded one.
func (r *Record) adopt(m Made, now time.Time) {
	hasCert := !m.CertEndAt.IsZero()
	if r.isOther(m.CertSHA256, m.PublicKeySHA256) || hasCert && !r.recorded(m.CertSHA256, m) {
		return
	}
	if r.CertEndAt.IsZero() && hasCert {
		r.CertifiedAt, r.CertEndAt = now, m.CertEndAt.UTC()
	}
	if hasCert || r.CertEndAt.IsZero() {
		r.recordIdentity(m.CertSHA256, m.PublicKeySHA256)
	}
}

// adoptStates records what the calendar alone has done so far.
func (p Policy) adoptStates(h History, made []Made, now time.Time) History {
	for y, s := range p.States(made, now) {
		d := p.Dates(y)
		h = h.edit(y, func(r *Record) {
			if s.Live() || s.Over() {
				r.PublishedAt = sooner(d.PublishAt, now)
			}
			if s != Published && (s.Live() || s.Over()) {
				r.PreferredAt = sooner(d.PreferAt, now)
			}
			if s.Over() {
				r.RetiredAt = now
			}
		})
		if s == Preferred {
			h.Preferred = y
		}
	}
	return h
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
