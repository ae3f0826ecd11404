package rotation

import (
	"time"

	"vernal/idp"
)

// Span is the period that a certificate must cover: it must begin at or before BeginBy and
// must not end before EndFrom. EndAt is the calendar's end, which is the one to request.
type Span struct {
	BeginBy time.Time `json:"begin_by"`
	EndFrom time.Time `json:"end_from"`
	EndAt   time.Time `json:"end_at"`
}

// Span returns the period that the certificate of a year must cover if it comes at now.
// EndFrom keeps the overlap with the next year that every calendar must have: its
// preferring date, and the time to move for service providers.
func (p Policy) Span(h History, y idp.Year, now time.Time) Span {
	d, next := p.Dates(y), p.dates(number(y)+1)
	s := Span{BeginBy: later(d.PublishAt, now.UTC()), EndAt: p.CreateStep(h, y, now).CertEndAt}
	// For a late letter the calendar's end belongs to another year. The time that can be
	// spared is the same.
	spare := d.CertEndAt.Sub(later(next.PreferAt, next.PublishAt.Add(moveTime)))
	s.EndFrom = s.EndAt.Add(-spare)
	return s
}
