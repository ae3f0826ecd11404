package rotation

import (
	"fmt"
	"time"

	"vernal/idp"
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
	// jumpTime is the longest step forward of the clock that is not a jump.
	jumpTime = 45 * day
	// jitterTime is the longest step backward of the clock that is not a jump.
	jitterTime = 5 * time.Second
	// driftTime is how far the clock may go forward beyond the running time before
	// automatic steps wait for an operator.
	driftTime = 24 * time.Hour
	// clockShare allows a clock that is faster by 1/clockShare of the running time. NTP slews
	// by 1/2000 at most and bad oscillators are off by less, so correct clocks never add up to
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

// Date is a day in the life of year N, at 00:00 UTC: in N itself or a number
// of years after (or, negative, before) it. A day that a year does not have,
// such as 29 February, is the day after the last one.
type Date struct {
	Years int
	Month time.Month
	Day   int
}

// Resolve returns the time of the date for year number n.
func (d Date) Resolve(n int) time.Time {
	return time.Date(n+d.Years, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// Policy is the calendar that every year follows, and whether the server takes the steps.
type Policy struct {
	// MakeAt to RetireAt are the dates of a year's life, in this order.
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt Date
	// KeySource is the source of keys. Empty means SourceGenerate.
	KeySource KeySource
	// Manual leaves the steps to operators: the server only reminds.
	Manual bool
}

// KeySource is the origin of the keys of new years.
type KeySource string

const (
	// SourceGenerate makes keys here, with a self-signed certificate.
	SourceGenerate KeySource = "generate"
	// SourceImport takes external keys or certificates. A self-signed one is never made, so a
	// year waits for its certificate.
	SourceImport KeySource = "import"
	// SourcePKCS11 makes keys inside a token, with a self-signed certificate.
	SourcePKCS11 KeySource = "pkcs11"
)

// DefaultPolicy returns the calendar for year N: key made on 15 January, published on 1
// February, preferred on 1 March, certificate ended on 1 April N+1, retired on 1 July N+1.
func DefaultPolicy() Policy {
	return Policy{
		MakeAt:    Date{0, time.January, 15},
		PublishAt: Date{0, time.February, 1},
		PreferAt:  Date{0, time.March, 1},
		CertEndAt: Date{1, time.April, 1},
		RetireAt:  Date{1, time.July, 1},
	}
}

// Dates are the moments at which a year is due for each step.
type Dates struct {
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt time.Time
}

// Dates returns the calendar of one year. A year with a letter has the dates of its number:
// an emergency key has the remaining life of the key that it replaces. The year must be
// Valid.
func (p Policy) Dates(y idp.Year) Dates { return p.computeDates(parseNumber(y)) }

// CheckEarlyCreate returns the calendar's date for the creation of y, and whether that is so far in
// the future that an operator should confirm a create now.
func (p Policy) CheckEarlyCreate(y idp.Year, now time.Time) (time.Time, bool) {
	at := p.Dates(y).MakeAt
	return at, at.Sub(now) > earlyTime
}

func (p Policy) computeDates(n int) Dates {
	return Dates{
		MakeAt:    p.MakeAt.Resolve(n),
		PublishAt: p.PublishAt.Resolve(n),
		PreferAt:  p.PreferAt.Resolve(n),
		CertEndAt: p.CertEndAt.Resolve(n),
		RetireAt:  p.RetireAt.Resolve(n),
	}
}

// FirstYears returns the years that an installation without keys makes at now: the year that
// the calendar prefers today, and every later one whose making date has passed. They are
// sorted, oldest first, and never empty.
func (p Policy) FirstYears(now time.Time) []idp.Year {
	n := p.findNumber(now)
	years := []idp.Year{formatYear(n)}
	for n++; !p.MakeAt.Resolve(n).After(now); n++ {
		years = append(years, formatYear(n))
	}
	return years
}

// findNumber returns the number of the year that the calendar prefers at now.
func (p Policy) findNumber(now time.Time) int {
	n := now.UTC().Year() + 2
	for p.PreferAt.Resolve(n).After(now) {
		n--
	}
	return n
}

// parseNumber returns the four digits of a year, 0 for one that is not Valid.
func parseNumber(y idp.Year) int {
	if len(y) != 4 && (len(y) != 5 || y[4] < 'a' || y[4] > 'z') {
		return 0
	}
	n := 0
	for _, c := range y[:4] {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

func formatYear(n int) idp.Year { return idp.Year(fmt.Sprintf("%04d", n)) }

// PolicyCode identifies the fault of an unusable policy.
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

// Validate reports the first fault that makes the policy unusable: dates that
// do not exist or are out of order, a calendar that leaves service providers no
// time to move, or a key source that is not offered. The error is a *PolicyError.
func (p Policy) Validate() error {
	for _, d := range []Date{p.MakeAt, p.PublishAt, p.PreferAt, p.CertEndAt, p.RetireAt} {
		// 2028 is a leap year, so 29 February exists.
		exists := d.Month >= time.January && d.Month <= time.December && d.Day >= 1 &&
			time.Date(2028, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Month() == d.Month
		if !exists || d.Years < -1 || d.Years > 3 {
			return &PolicyError{PolicyDate, fmt.Sprintf("rotation calendar: day %d of month %d in year N%+d does not exist: use a day of the month, and a year from N-1 to N+3", d.Day, d.Month, d.Years)}
		}
	}
	// Check four years, because the order must hold in leap years too.
	for n := 2027; n < 2031; n++ {
		if err := p.computeDates(n).check(p.computeDates(n + 1)); err != nil {
			return err
		}
	}
	switch p.KeySource {
	case "", SourceGenerate, SourceImport, SourcePKCS11:
		return nil
	}
	return &PolicyError{PolicyKeySource, fmt.Sprintf("key source %q is unknown: use %s, %s or %s", p.KeySource, SourceGenerate, SourceImport, SourcePKCS11)}
}

// check returns the first fault in the dates of a year, which depend on those of the next year.
func (d Dates) check(next Dates) error {
	overlap, retireDelay := d.CertEndAt.Sub(next.PublishAt), d.RetireAt.Sub(next.PublishAt)
	for _, w := range []struct {
		isWrong bool
		code    PolicyCode
		text    string
	}{
		{d.PublishAt.Before(d.MakeAt), PolicyPublishEarly, "the year is published before its key is made: publish it later"},
		{d.PreferAt.Before(d.PublishAt), PolicyPreferEarly, "the year is preferred before it is published: prefer it later"},
		{d.PreferAt.Equal(d.PublishAt), PolicyPreferSameDay, "the year is published and preferred on the same day: publish it earlier, so that service providers can load the new key first"},
		{d.CertEndAt.Before(next.PreferAt), PolicyCertEndEarly, "the certificate ends before the next year is preferred: let it end later"},
		{overlap < moveTime, PolicyOverlap, fmt.Sprintf("no overlap: the next year is published %d days before the certificate ends, but service providers need %d days to move", overlap/day, moveTime/day)},
		{d.RetireAt.Before(d.CertEndAt), PolicyRetireBeforeCertEnd, "the year is retired before its certificate ends: retire it later"},
		{retireDelay < successorTime, PolicyRetireEarly, fmt.Sprintf("the year is retired %d days after the next year is published: retire it after %d days or more", retireDelay/day, successorTime/day)},
	} {
		if w.isWrong {
			return &PolicyError{w.code, "rotation calendar: " + w.text}
		}
	}
	return nil
}
