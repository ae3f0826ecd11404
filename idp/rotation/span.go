package rotation

import (
	"time"

	"vernal/idp"
)

// Span is the stretch that a certificate must cover: it must have begun at
// BeginBy and must not end before EndFrom. EndAt is the end of the calendar, the
// one to ask for.
type Span struct {
	BeginBy time.Time `json:"begin_by"`
	EndFrom time.Time `json:"end_from"`
	EndAt   time.Time `json:"end_at"`
}

// Span is what the certificate of a year must cover if it comes at now. EndFrom
// leaves the overlap with the year after that every calendar must have: its
// preferring, and the time that service providers are given to move.
func (p Policy) Span(h History, y idp.Year, now time.Time) Span {
	d, next := p.Dates(y), p.dates(number(y)+1)
	s := Span{BeginBy: later(d.PublishAt, now.UTC()), EndAt: p.CreateStep(h, y, now).CertEndAt}
	// For a letter that comes late the calendar's end is another year's, and
	// what can be spared of it is the same.
	spare := d.CertEndAt.Sub(later(next.PreferAt, next.PublishAt.Add(moveTime)))
	s.EndFrom = s.EndAt.Add(-spare)
	return s
}
