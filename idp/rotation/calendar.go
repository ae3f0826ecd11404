package rotation

import (
	"fmt"
	"time"

	"vernal/idp"
)

// Date is a day in the life of year N, at 00:00 UTC, in N itself or Years after it (negative:
// before it). A day that a calendar year lacks, such as 29 February, is the next day.
type Date struct {
	Years int
	Month time.Month
	Day   int
}

// In returns the time of the date for year number n.
func (d Date) In(n int) time.Time {
	return time.Date(n+d.Years, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// Policy is the calendar that every year follows, and whether the server takes the steps.
type Policy struct {
	// MakeAt to RetireAt are the dates of a year's life, in this order.
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt Date
	// KeySource is where keys come from. Empty means SourceGenerate.
	KeySource KeySource
	// Manual leaves the steps to operators, and the server only reminds.
	Manual bool
}

// KeySource says where the keys of new years come from.
type KeySource string

const (
	// SourceGenerate makes keys here, with a self-signed certificate.
	SourceGenerate KeySource = "generate"
	// SourceImport takes external keys or certificates. There is never a self-signed one,
	// so a year waits until its certificate has come.
	SourceImport KeySource = "import"
	// SourcePKCS11 makes keys inside a token, with a self-signed certificate.
	SourcePKCS11 KeySource = "pkcs11"
)

// DefaultPolicy returns the calendar for year N: created on 15 January, published on 1
// February, preferred on 1 March, certificate expired on 1 April N+1, retired on 1 July N+1.
func DefaultPolicy() Policy {
	return Policy{
		MakeAt:    Date{0, time.January, 15},
		PublishAt: Date{0, time.February, 1},
		PreferAt:  Date{0, time.March, 1},
		CertEndAt: Date{1, time.April, 1},
		RetireAt:  Date{1, time.July, 1},
	}
}

// Dates are the due dates of a year's steps.
type Dates struct {
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt time.Time
}

// Dates returns the calendar of one year, which must be Valid. A year with a letter has the dates
// of its number, because an emergency key takes over the remaining life of the previous one.
func (p Policy) Dates(y idp.Year) Dates { return p.dates(number(y)) }

// EarlyCreate returns the calendar date for the creation of y if it is so far ahead that an
// operator should confirm a create now. Otherwise it returns false.
func (p Policy) EarlyCreate(y idp.Year, now time.Time) (time.Time, bool) {
	at := p.Dates(y).MakeAt
	return at, at.Sub(now) > earlyTime
}

func (p Policy) dates(n int) Dates {
	return Dates{
		MakeAt:    p.MakeAt.In(n),
		PublishAt: p.PublishAt.In(n),
		PreferAt:  p.PreferAt.In(n),
		CertEndAt: p.CertEndAt.In(n),
		RetireAt:  p.RetireAt.In(n),
	}
}

// FirstYears returns the years that an installation without keys makes at now: the
// calendar's preferred year, and every later one whose making date has passed. They are
// sorted, oldest first, and never empty.
func (p Policy) FirstYears(now time.Time) []idp.Year {
	n := p.number(now)
	years := []idp.Year{yearOf(n)}
	for n++; !p.MakeAt.In(n).After(now); n++ {
		years = append(years, yearOf(n))
	}
	return years
}

// number returns the number of the year that the calendar prefers at now.
func (p Policy) number(now time.Time) int {
	n := now.UTC().Year() + 2
	for p.PreferAt.In(n).After(now) {
		n--
	}
	return n
}

// number returns the four digits of a year, or 0 if it is not Valid.
func number(y idp.Year) int {
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

func yearOf(n int) idp.Year { return idp.Year(fmt.Sprintf("%04d", n)) }
