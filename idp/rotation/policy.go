package rotation

import (
	"fmt"
	"time"
)

// The periods of the rotation that no calendar changes.
const (
	// moveTime is what service providers are given to move when a year is
	// published late, and the least that a calendar must leave them.
	moveTime = 28 * day
	// successorTime is how long the successor must have been published before
	// a year is retired.
	successorTime = 120 * day
	// QuietTime is the running time without use before a year is retired, and
	// the running time after which a clock that jumped is trusted again.
	QuietTime = 14 * day
	// keepKeyTime is how long the key of a retired year is kept.
	keepKeyTime = 30 * day
	// jumpTime is the longest stretch that the clock may go forward unseen.
	jumpTime = 45 * day
	// jitter is how far the clock may go backward unseen.
	jitter = 5 * time.Second
	// driftTime is how far the clock may go forward beyond the running time
	// before automatic steps wait for an operator.
	driftTime = 24 * time.Hour
	// clockShare is the part of the running time, 1/clockShare, by which the
	// clock may go faster. NTP slews by 1/2000 at most and bad oscillators are
	// off by less, so correct clocks never add up to drift. An attacker who sets the
	// clock forward below it gains 9 hours in a year.
	clockShare = 1000
	// remindTime is how long before a step an operator is reminded of it.
	remindTime = 14 * day
	// endingTime is how long before its end a certificate asks for attention.
	endingTime = 30 * day
	// earlyTime is how long before its date in the calendar a year is created
	// without asking: earlier, YEAR is more likely a typing error.
	earlyTime = 60 * day
	// lateTime is how long after its date an automatic step is overdue.
	lateTime = time.Hour

	day = 24 * time.Hour
)

// PolicyCode says what makes a policy unusable.
type PolicyCode string

// The codes.
const (
	PolicyDate                PolicyCode = "date"
	PolicyPublishEarly        PolicyCode = "publish_before_make"
	PolicyPreferEarly         PolicyCode = "prefer_before_publish"
	PolicyPreferSameDay       PolicyCode = "prefer_on_day_of_publish"
	PolicyCertEndEarly        PolicyCode = "cert_ends_before_next_prefer"
	PolicyOverlap             PolicyCode = "overlap"
	PolicyRetireBeforeCertEnd PolicyCode = "retire_before_cert_ends"
	PolicyRetireEarly         PolicyCode = "retire_early"
	PolicyKeySource           PolicyCode = "key_source"
)

// PolicyError is the error of Policy.Validate.
type PolicyError struct {
	Code PolicyCode
	Text string
}

func (e *PolicyError) Error() string { return e.Text }

func policyError(code PolicyCode, format string, args ...any) error {
	return &PolicyError{code, fmt.Sprintf(format, args...)}
}

// Validate reports the first thing that makes the policy unusable: dates that
// do not exist or are out of order, a calendar that leaves service providers no
// time to move, or a key source that is not offered.
func (p Policy) Validate() error {
	for _, d := range []Date{p.MakeAt, p.PublishAt, p.PreferAt, p.CertEndAt, p.RetireAt} {
		// 2028 is a leap year: 29 February is a date, 30 February is not.
		exists := d.Month >= time.January && d.Month <= time.December && d.Day >= 1 &&
			time.Date(2028, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Month() == d.Month
		if !exists || d.Years < -1 || d.Years > 3 {
			return policyError(PolicyDate, "rotation calendar: no such date: day %d of month %d, %+d years", d.Day, d.Month, d.Years)
		}
	}
	// Four years in a row: wherever 29 February falls, order must hold.
	for n := 2027; n < 2031; n++ {
		if code, why := p.dates(n).wrong(p.dates(n + 1)); code != "" {
			return policyError(code, "rotation calendar: %s", why)
		}
	}
	switch p.KeySource {
	case "", SourceGenerate, SourceImport, SourcePKCS11:
	default:
		return policyError(PolicyKeySource, "key source %q: use %s, %s or %s", p.KeySource, SourceGenerate, SourceImport, SourcePKCS11)
	}
	return nil
}

// wrong says what is wrong with the dates of a year, given those of the year
// after; "" if nothing is.
func (d Dates) wrong(next Dates) (PolicyCode, string) {
	overlap := d.CertEndAt.Sub(next.PublishAt)
	switch {
	case d.PublishAt.Before(d.MakeAt):
		return PolicyPublishEarly, "published before the key is made"
	case d.PreferAt.Before(d.PublishAt):
		return PolicyPreferEarly, "preferred before it is published"
	case d.PreferAt.Equal(d.PublishAt):
		return PolicyPreferSameDay, "published and preferred on the same day: who follows the metadata would meet the key unprepared"
	case d.CertEndAt.Before(next.PreferAt):
		return PolicyCertEndEarly, "the certificate ends before the next year is preferred"
	case overlap < moveTime:
		return PolicyOverlap, fmt.Sprintf("no overlap: the next year is published %d days before the certificate ends; service providers need %d to move",
			overlap/day, moveTime/day)
	case d.RetireAt.Before(d.CertEndAt):
		return PolicyRetireBeforeCertEnd, "retired before the certificate ends"
	case d.RetireAt.Sub(next.PublishAt) < successorTime:
		return PolicyRetireEarly, fmt.Sprintf("retired %d days after the next year is published; it may be after %d at the earliest",
			d.RetireAt.Sub(next.PublishAt)/day, successorTime/day)
	}
	return "", ""
}
