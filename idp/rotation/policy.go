package rotation

import (
	"fmt"
	"time"
)

// Fixed periods of the rotation, independent of the calendar.
const (
	// moveTime is how long service providers have to move if a year is published late, and
	// the minimum for every calendar.
	moveTime = 28 * day
	// successorTime is how long the successor must have been published before a year is retired.
	successorTime = 120 * day
	// QuietTime is the running time without use before a year is retired, and the running
	// time after which a clock that jumped is trusted again.
	QuietTime = 14 * day
	// keepKeyTime is how long the key of a retired year is kept.
	keepKeyTime = 30 * day
	// jumpTime is the longest step forward of the clock that is no jump.
	jumpTime = 45 * day
	// jitter is the longest step backward of the clock that is no jump.
	jitter = 5 * time.Second
	// driftTime is how far the clock may go forward beyond the running time before
	// automatic steps wait for an operator.
	driftTime = 24 * time.Hour
	// clockShare: the clock may be faster by 1/clockShare of the running time. NTP slews by
	// 1/2000 at most and bad oscillators are off by less, so correct clocks never add up to
	// drift. An attacker that stays below it gains 9 hours in a year.
	clockShare = 1000
	// remindTime is how long before a step its operator is reminded.
	remindTime = 14 * day
	// endingTime is how long before its expiry a certificate needs attention.
	endingTime = 30 * day
	// earlyTime is how long before its calendar date a year is created without
	// confirmation. Before that, YEAR is more likely a typing error.
	earlyTime = 60 * day
	// lateTime is how long after its date an automatic step is overdue.
	lateTime = time.Hour

	day = 24 * time.Hour
)

// PolicyCode says what makes a policy unusable.
type PolicyCode string

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

// Validate returns the first thing that makes the policy unusable: dates that do not exist
// or are out of order, a calendar that leaves service providers no time to move, or an
// unknown key source.
func (p Policy) Validate() error {
	for _, d := range []Date{p.MakeAt, p.PublishAt, p.PreferAt, p.CertEndAt, p.RetireAt} {
		// 2028 is a leap year, so 29 February exists.
		exists := d.Month >= time.January && d.Month <= time.December && d.Day >= 1 &&
			time.Date(2028, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Month() == d.Month
		if !exists || d.Years < -1 || d.Years > 3 {
			return policyError(PolicyDate, "rotation calendar: no such date: day %d of month %d, %+d years", d.Day, d.Month, d.Years)
		}
	}
	// Check four years, because the order must hold in leap years too.
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

// wrong returns what is wrong with the dates of a year, given those of the next year, or "".
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
