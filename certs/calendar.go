// Package certs holds the yearly signing keys: when each is due, how it is made
// and kept, and which of them signs at a given time.
//
// Three parts, each usable alone:
//
//	Policy   the calendar, and the one decision: the State of every year.
//	         Pure: the time is an argument, nothing is read or written.
//	Dir      the folder of sealed private keys and certificates.
//	Ring     what the server asks on every request; an immutable snapshot
//	         over Policy and keys, swapped as a whole.
//
// The package takes no step of a rotation by itself and knows nothing of SAML:
// callers make a year when the calendar says so (Policy.FirstYears,
// Policy.Dates) and put the keys into the Ring.
package certs

import (
	"fmt"
	"strconv"
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

// Policy is the calendar that every year follows, and the form of its key.
type Policy struct {
	// MakeAt to RetireAt are the dates of a year's life, in this order.
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt Date
	// KeyBits is the length of new RSA keys: 2048, 3072 or 4096.
	KeyBits int
	Subject Subject
}

// Subject is the name in new certificates.
type Subject struct {
	// CommonName; empty: the host of the base URL.
	CommonName string
	// The rest is left out of the name where it is empty.
	Country, Province, Locality, Organization, OrganizationalUnit string
}

// DefaultPolicy is the calendar for year N: key made on 15 January, published
// on 1 February, preferred on 1 March, certificate ended on 1 April N+1,
// retired on 1 July N+1; RSA keys of 2048 bits.
func DefaultPolicy() Policy {
	return Policy{
		MakeAt:    Date{0, time.January, 15},
		PublishAt: Date{0, time.February, 1},
		PreferAt:  Date{0, time.March, 1},
		CertEndAt: Date{1, time.April, 1},
		RetireAt:  Date{1, time.July, 1},
		KeyBits:   2048,
	}
}

// Validate reports the first thing that makes the policy unusable: dates out
// of order, a key length that is not offered, or a certificate that ends before
// the year after it is preferred.
func (p Policy) Validate() error {
	for _, d := range []Date{p.MakeAt, p.PublishAt, p.PreferAt, p.CertEndAt, p.RetireAt} {
		if d.Month < time.January || d.Month > time.December || d.Day < 1 || d.Day > 31 || d.Years < -1 || d.Years > 3 {
			return fmt.Errorf("rotation calendar: no such date: day %d of month %d, %+d years", d.Day, d.Month, d.Years)
		}
	}
	// A leap year and the one after: order must hold in both.
	for n := 2028; n < 2030; n++ {
		d := p.dates(n)
		switch {
		case d.PublishAt.Before(d.MakeAt):
			return fmt.Errorf("rotation calendar: published before the key is made")
		case d.PreferAt.Before(d.PublishAt):
			return fmt.Errorf("rotation calendar: preferred before it is published")
		case d.CertEndAt.Before(p.PreferAt.In(n + 1)):
			return fmt.Errorf("rotation calendar: the certificate ends before the next year is preferred")
		case d.RetireAt.Before(d.CertEndAt):
			return fmt.Errorf("rotation calendar: retired before the certificate ends")
		}
	}
	switch p.KeyBits {
	case 2048, 3072, 4096:
		return nil
	}
	return fmt.Errorf("signing key of %d bits: use 2048, 3072 or 4096", p.KeyBits)
}

// Dates are the moments at which a year is due for each step.
type Dates struct {
	MakeAt, PublishAt, PreferAt, CertEndAt, RetireAt time.Time
}

// Dates is the calendar of one year. A year with a letter has the dates of its
// number: an emergency key takes over the rest of the life of the one before.
// The year must be Valid.
func (p Policy) Dates(y idp.Year) Dates { return p.dates(number(y)) }

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
	n := now.UTC().Year() + 2
	for p.PreferAt.In(n).After(now) {
		n--
	}
	years := []idp.Year{yearOf(n)}
	for n++; !p.MakeAt.In(n).After(now); n++ {
		years = append(years, yearOf(n))
	}
	return years
}

// number is the four digits of a year; 0 for one that is not Valid.
func number(y idp.Year) int {
	if !y.Valid() {
		return 0
	}
	n, _ := strconv.Atoi(string(y[:4]))
	return n
}

func yearOf(n int) idp.Year { return idp.Year(fmt.Sprintf("%04d", n)) }
