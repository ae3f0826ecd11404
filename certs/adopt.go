package certs

import (
	"slices"
	"time"
)

// Adopt brings the history in line with the keys that are there.
//
// An installation that has keys and an empty history has lived by the calendar alone: its years get the states and dates that the calendar
// gave them. Later on, a key that the history does not know is one whose making
// was interrupted before it was written down: it becomes a created year. What
// the history knows stays as it is, except that a certificate that came for a
// waiting key is noted, and that the key of a year that is over is noted as
// destroyed when it is gone.
func (p Policy) Adopt(h History, made []Made, now time.Time) History {
	now = now.UTC()
	h = h.Tick(now, 0)
	// A key whose certificate comes from elsewhere was never in the hands of the
	// calendar alone: whoever brought it takes its steps.
	first := len(h.Records) == 0 && slices.ContainsFunc(made, func(m Made) bool { return !m.Elsewhere })
	for _, m := range made {
		if _, ok := h.Record(m.Year); !ok && m.Year.Valid() {
			h = h.add(m.Year, now)
		}
		h = h.edit(m.Year, func(r *Record) {
			if r.CertEndAt.IsZero() && !m.CertEndAt.IsZero() {
				r.CertifiedAt, r.CertEndAt = now, m.CertEndAt.UTC()
			}
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

// adoptStates writes down what the calendar alone has done so far.
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
