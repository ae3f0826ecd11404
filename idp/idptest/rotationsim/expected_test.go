package rotationsim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/rotation"
)

// at parses an expected time, UTC.
func at(text string) time.Time {
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04"} {
		if t, err := time.Parse(form, text); err == nil {
			return t
		}
	}
	panic("not a time: " + text)
}

// life is what happens to one year, as written on the calendar on the wall. A
// date alone is 00:00, when the server takes a step; by hand it is 12:10.
type life struct {
	year                                   idp.Year
	created, published, retired, destroyed string
	// end is "retire", or "revoke".
	end rotation.StepKind
}

// lives lists the lives of the years. Where a date differs from the calendar, a comment
// gives the reason.
var lives = []life{
	{"2025", begin, begin, "2026-09-15 12:10" /* by force: still used */, "2026-10-15 12:10", "retire"},
	{"2026", "2026-01-15", "2026-02-01", "2027-09-03 12:05" /* unused at last */, "2027-10-03 12:05", "retire"},
	{"2027", "2027-01-15", "2027-02-01", "2028-08-01 12:10" /* by force */, "2028-08-31 12:10", "retire"},
	{"2028", "2028-01-15", "2028-02-01", "2029-07-24 12:05" /* unused at last */, "2029-08-23 12:05", "retire"},
	{"2029", "2029-01-15", "2029-02-01", "2030-07-01", "2030-07-31", "retire"},
	{"2030", "2030-01-05 12:10", "2030-01-20 12:10" /* by hand */, "2031-07-18 12:10" /* 2031b was published so late */, "2031-08-17 12:10", "retire"},
	{"2031", "2031-01-15", "2031-02-01", "2031-03-20 12:10" /* it leaked */, "2031-04-19 12:10", "revoke"},
	{"2031b", "2031-03-20 12:10", "2031-03-20 12:10", "2032-09-01 12:10" /* by force */, "2032-10-01 12:10", "retire"},
	{"2032", "2032-01-15", "2032-02-01", "2033-07-04" /* 2033 was published so late */, "2033-08-03", "retire"},
	{"2033", "2033-03-06" /* after the downtime */, "2033-03-06", "2034-07-15 12:10" /* by force */, "2034-08-14 12:10", "retire"},
	{"2034", "2034-01-15", "2034-02-01", "2035-07-08 12:10" /* once the clock is confirmed */, "2035-08-07 12:10", "retire"},
	{"2035", "2035-01-15", "2035-02-01", "2036-07-01", "2036-07-31", "retire"},
	{"2036", "2036-01-15", "2036-02-01", "", "", ""},
}

const (
	begin = "2026-01-01"
	end   = "2036-07-31"
)

// preference is which year is preferred from when.
var preference = []struct {
	from string
	year idp.Year
	by   rotation.StepKind
}{
	{begin, "2025", "prefer"},
	{"2026-03-01", "2026", "prefer"},
	{"2027-03-01", "2027", "prefer"},
	{"2028-03-01", "2028", "prefer"}, // a leap year
	{"2029-03-01", "2029", "prefer"},
	{"2029-03-05 12:10", "2028", "rollback"},
	{"2029-03-20 12:10", "2029", "prefer"},
	{"2030-02-15 12:10", "2030", "prefer"}, // by hand
	{"2031-03-01", "2031", "prefer"},
	{"2031-03-20 12:10", "2031b", ""}, // with the revocation
	{"2032-03-01", "2032", "prefer"},
	{"2033-04-01", "2033", "prefer"}, // when the certificate of 2032 ended
	{"2034-03-01", "2034", "prefer"},
	{"2034-03-04 12:10", "2033", "rollback"},
	{"2034-03-18", "2034", "prefer"}, // the hold ended
	{"2035-03-01", "2035", "prefer"},
	{"2036-03-01", "2036", "prefer"},
}

// byHand is what an operator does, each time at 12:10.
var byHand = []struct {
	day  string
	step rotation.Step
}{
	{"2026-07-02", refused("2025")},
	{"2026-09-15", refused("2025")},
	{"2026-09-15", force("2025")},
	{"2027-07-01", refused("2026")},
	{"2028-08-01", force("2027")},
	{"2029-03-05", rotation.Step{Kind: rotation.StepRollback, Year: "2028", Reason: "half of the partners are not ready"}},
	{"2029-03-20", rotation.Step{Kind: rotation.StepPrefer, Year: "2029"}},
	{"2030-01-05", rotation.Step{Kind: rotation.StepCreate, Year: "2030"}},
	{"2030-01-20", rotation.Step{Kind: rotation.StepPublish, Year: "2030"}},
	{"2030-02-15", rotation.Step{Kind: rotation.StepPrefer, Year: "2030"}},
	{"2031-03-20", rotation.Step{Kind: rotation.StepRevoke, Year: "2031", Reason: "a backup was lost"}},
	{"2031-07-17", forceRefused("2030")}, // its successor is too young
	{"2032-09-01", force("2031b")},
	{"2034-03-04", rotation.Step{Kind: rotation.StepRollback, Year: "2033", Reason: "a partner is not ready", HoldEndAt: at("2034-03-18")}},
	{"2034-07-15", force("2033")},
	{"2035-07-05", forceRefused("2034")}, // the clock is not trusted
	{"2035-07-08", rotation.Step{Kind: rotation.StepConfirm}},
}

const forced = "the partner was notified four times"

// What is expected of a step, in its Why.
const (
	notYet     rotation.ReasonCode = "refused"
	notByForce rotation.ReasonCode = "refused even by force"
)

func force(y idp.Year) rotation.Step {
	return rotation.Step{Kind: rotation.StepRetire, Year: y, Force: true, Reason: forced}
}

// refused returns a retirement that is asked for too early.
func refused(y idp.Year) rotation.Step {
	return rotation.Step{Kind: rotation.StepRetire, Year: y, Cause: rotation.Reason{Code: notYet}}
}

func forceRefused(y idp.Year) rotation.Step {
	return rotation.Step{Kind: rotation.StepRetire, Year: y, Force: true, Reason: forced, Cause: rotation.Reason{Code: notByForce}}
}

// downtimes are days on which no server runs, from 00:00 to 00:00.
var downtimes = []struct{ from, until string }{
	{"2033-01-05", "2033-03-06"}, // over the making, publishing and preferring of 2033
	{"2035-05-05", "2035-07-04"}, // over the retirement of 2034
}

// silences are the stretches in which the partner that never moves is not used:
// from the day after its last use to a day after its year was retired.
var silences = []struct{ from, until string }{
	{"2027-08-21", "2027-09-10"},
	{"2029-07-11", "2029-07-30"},
	{"2030-06-05", "2030-07-05"},
	{"2031-06-26", "2031-07-25"},
	{"2033-06-16", "2033-07-10"},
	{"2035-04-21", "2035-07-12"},
	{"2036-06-10", "2036-07-05"},
}

// state returns the state of a year expected at a moment.
func state(y idp.Year, now time.Time) rotation.State {
	i := slices.IndexFunc(lives, func(l life) bool { return l.year == y })
	if i < 0 {
		return rotation.Planned
	}
	l, reached := lives[i], func(text string) bool { return text != "" && !at(text).After(now) }
	switch {
	case reached(l.retired) && l.end == rotation.StepRevoke:
		return rotation.Revoked
	case reached(l.retired):
		return rotation.Retired
	case !reached(l.created):
		return rotation.Planned
	case !reached(l.published):
		return rotation.Created
	case y == preferred(now):
		return rotation.Preferred
	case y > preferred(now):
		return rotation.Published
	case !now.Before(certEnd(y)):
		return rotation.Grace
	}
	return rotation.Expiring
}

// certEnd returns when the certificate of a year ends: on 1 April of the next one.
func certEnd(y idp.Year) time.Time {
	t, err := time.Parse("2006", string(y[:4]))
	if err != nil {
		panic(err)
	}
	return time.Date(t.Year()+1, time.April, 1, 0, 0, 0, 0, time.UTC)
}

// preferred returns the year that is expected to be preferred at a moment.
func preferred(now time.Time) (y idp.Year) {
	for _, p := range preference {
		if !at(p.from).After(now) {
			y = p.year
		}
	}
	return y
}

// target returns the year that partners should move to: the newest live one or, while a
// rollback holds, the preferred one.
func target(now time.Time) idp.Year {
	held := false
	for _, p := range preference {
		if !at(p.from).After(now) {
			held = p.by == rotation.StepRollback
		}
	}
	if held {
		return preferred(now)
	}
	return slices.Max(live(now))
}

// live lists the years whose addresses answer: the preferred one, then the
// newest first.
func live(now time.Time) []idp.Year {
	years := []idp.Year{preferred(now)}
	for _, l := range slices.Backward(lives) {
		if s := state(l.year, now); s.IsLive() && s != rotation.Preferred {
			years = append(years, l.year)
		}
	}
	return years
}

// changes returns the days with an actual or possible event, and the days before them. The
// value is true for days on which every partner visits.
func changes() map[string]bool {
	days := map[string]bool{}
	note := func(text string, all bool) {
		if text == "" {
			return
		}
		for d := -1; d <= 0; d++ {
			day := at(text).AddDate(0, 0, d).Format(time.DateOnly)
			days[day] = days[day] || all && d == 0
		}
	}
	for _, l := range lives {
		note(l.created, false)
		note(l.published, true)
		note(certEnd(l.year).Format(time.DateOnly), true)
		note(l.retired, true)
		note(l.destroyed, false)
	}
	for _, p := range preference {
		note(p.from, true)
	}
	for _, h := range byHand {
		note(h.day, true)
	}
	for _, d := range downtimes {
		note(d.from, false)
		note(d.until, true)
	}
	for _, s := range silences {
		note(s.from, false)
	}
	for n := 2026; n <= 2036; n++ { // when it would be by the calendar
		note(fmt.Sprintf("%d-03-01", n), true)
		note(fmt.Sprintf("%d-07-01", n), true)
	}
	return days
}

// down reports whether no server runs on a day, and until when.
func down(day time.Time) (until time.Time, is bool) {
	for _, d := range downtimes {
		if !day.Before(at(d.from)) && day.Before(at(d.until)) {
			return at(d.until), true
		}
	}
	return time.Time{}, false
}

// TestSimulatedDatesAreConsistent checks the expected dates, because a mistake in it would look like
// one of the server.
func TestSimulatedDatesAreConsistent(t *testing.T) {
	t.Parallel()
	for _, l := range lives {
		last := time.Time{}
		for _, text := range []string{l.created, l.published, l.retired, l.destroyed} {
			if text != "" && at(text).Before(last) {
				t.Errorf("%s: %s is out of order", l.year, text)
			} else if text != "" {
				last = at(text)
			}
		}
		if l.destroyed != "" && at(l.destroyed).Sub(at(l.retired)) != 30*24*time.Hour {
			t.Errorf("%s: its key is destroyed %v after its end", l.year, at(l.destroyed).Sub(at(l.retired)))
		}
	}
	for now := at(begin); now.Before(at(end)); now = now.AddDate(0, 0, 1) {
		if s := state(preferred(now), now); s != rotation.Preferred {
			t.Errorf("%s: %s is %s", now.Format(time.DateOnly), preferred(now), s)
		}
	}
}
