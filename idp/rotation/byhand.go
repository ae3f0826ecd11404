package rotation

import (
	"time"

	"vernal/idp"
)

// CreateStep returns the create of a year by hand. Its certificate ends with the calendar or, for a
// letter, with the certificate that it replaces, so that the yearly dates stay the same. If that
// end has passed, the certificate ends at the calendar's next end.
func (p Policy) CreateStep(h History, y idp.Year, now time.Time) Step {
	s := Step{Kind: StepCreate, Year: y}
	if !y.IsValid() {
		return s
	}
	s.CertEndAt = p.Dates(y).CertEndAt
	if len(y) == 4 {
		return s
	}
	for _, r := range h.Records {
		if parseNumber(r.Year) == parseNumber(y) && r.Year < y && !r.CertEndAt.IsZero() {
			s.CertEndAt = r.CertEndAt
		}
	}
	for n := p.findNumber(now); !s.CertEndAt.After(now); n++ {
		s.CertEndAt = p.CertEndAt.Resolve(n)
	}
	return s
}

// FindRollbackYear returns the default year of a rollback: the newest live one that is older than
// the preferred year. It returns false without one.
func (h History) FindRollbackYear() (idp.Year, bool) {
	to := findLast(h.Records, func(r Record) bool { return r.Year < h.Preferred && r.isLive() }).Year
	return to, to != ""
}

// RevokeSteps returns the steps that revoke a year, in order. If no newer year can replace
// the preferred year, its next letter is made first, with the same certificate end. The
// revoke itself is one step, which also publishes and prefers the successor. The error is a
// *RefusedError.
//
// External keys cannot be made here, so the revoke is refused until the next letter has been
// imported.
func (p Policy) RevokeSteps(h History, y idp.Year, reason string, now time.Time) ([]Step, error) {
	revoke := Step{Kind: StepRevoke, Year: y, Reason: reason}
	err := p.CheckStep(revoke, h, now)
	if err == nil {
		return []Step{revoke}, nil
	}
	if _, ok := h.findSuccessor(y, now); ok || y != h.Preferred || reason == "" {
		return nil, err
	}
	letter, ok := h.findNextLetter(parseNumber(y))
	if !ok {
		return nil, h.Refuse(StepRevoke, y, newReason(RefusedNoLetterLeft, Args{}), now)
	}
	create := p.CreateStep(h, letter, now)
	create.Cause = newReason(WhyTakesOver, Args{Year: y})
	if err := p.CheckStep(create, h, now); err != nil {
		if p.KeySource == SourceImport {
			return nil, h.Refuse(StepImport, letter, newReason(RefusedImportFirst, Args{Year: y}), now)
		}
		return nil, err
	}
	return []Step{create, revoke}, nil
}

// Span is the period that a certificate must cover: it must have begun at BeginBy and must not end
// before EndFrom. EndAt is the end of the calendar, which a request should name.
type Span struct {
	LatestBeginAt time.Time `json:"begin_by"`
	EarliestEndAt time.Time `json:"end_from"`
	EndAt   time.Time `json:"end_at"`
}

// Span returns the time that the certificate of a year must cover if it is imported at now.
// EarliestEndAt leaves the overlap with the next year that every calendar must have: until the
// next year is preferred, and the time that service providers get to move.
func (p Policy) Span(h History, y idp.Year, now time.Time) Span {
	d, next := p.Dates(y), p.computeDates(parseNumber(y)+1)
	s := Span{LatestBeginAt: maxTime(d.PublishAt, now.UTC()), EndAt: p.CreateStep(h, y, now).CertEndAt}
	// For a late letter, the calendar's end belongs to another year, with the same time to
	// spare.
	spare := d.CertEndAt.Sub(maxTime(next.PreferAt, next.PublishAt.Add(moveTime)))
	s.EarliestEndAt = s.EndAt.Add(-spare)
	return s
}
