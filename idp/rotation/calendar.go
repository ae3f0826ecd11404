package rotation

import (
	"fmt"
	"time"

	"vernal/idp"
)

// Date is a day in the life of year N, at 00:00 UTC: in N itself or a number
// of years after (or, negative, before) it. A day that a year does not have,
// such as 29 February, is the day after the last one.
type Date struct {
	Years int
	Month time.Month
	Day   int
}

// In is the moment of the date for year number n.
func (d Date) In(n int) time.Time {
	return time.Date(n+d.Years, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// Policy is the calendar that every year follows, and who takes its steps.
type Policy struct {
	// MakeAt to RetireAt are the dates of a year's life, in this order.
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt Date
	// KeySource is where keys come from; empty means SourceGenerate.
	KeySource KeySource
	// Manual leaves the steps to operators: the server only reminds.
	Manual bool
}

// KeySource says where the keys of new years come from.
type KeySource string

const (
	// SourceGenerate makes keys here, with a self-signed certificate.
	SourceGenerate KeySource = "generate"
	// SourceImport takes external keys or certificates; there is never a
	// self-signed one, so a year waits until its certificate has come.
	SourceImport KeySource = "import"
	// SourcePKCS11 makes keys inside a token, with a self-signed certificate.
	SourcePKCS11 KeySource = "pkcs11"
)

// DefaultPolicy is the calendar for year N: key made on 15 January, published
// on 1 February, preferred on 1 March, certificate ended on 1 April N+1,
// retired on 1 July N+1.
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

// Dates is the calendar of one year. A year with a letter has the dates of its
// number: an emergency key takes over the rest of the life of the one before.
// The year must be Valid.
func (p Policy) Dates(y idp.Year) Dates { return p.dates(number(y)) }

// EarlyCreate returns the calendar's date for the creation of y if that is so far
// ahead that an operator should confirm a create now; false if it is not.
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

// FirstYears is what an installation that has no keys makes at now: the year
// that the calendar prefers today, and every later one whose making date has
// passed; oldest first, never empty.
func (p Policy) FirstYears(now time.Time) []idp.Year {
	n := p.number(now)
	years := []idp.Year{yearOf(n)}
	for n++; !p.MakeAt.In(n).After(now); n++ {
		years = append(years, yearOf(n))
	}
	return years
}

// number is that of the calendar's year: the one that it prefers at now.
func (p Policy) number(now time.Time) int {
	n := now.UTC().Year() + 2
	for p.PreferAt.In(n).After(now) {
		n--
	}
	return n
}

// number is the four digits of a year; 0 for one that is not Valid.
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
