package rotation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func at(s string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	panic("not a time: " + s)
}

func TestDatesFollowPolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		year                                     idp.Year
		made, published, preferred, end, retired string
	}{
		{"2026", "2026-01-15", "2026-02-01", "2026-03-01", "2027-04-01", "2027-07-01"},
		{"2026b", "2026-01-15", "2026-02-01", "2026-03-01", "2027-04-01", "2027-07-01"},
		{"2027", "2027-01-15", "2027-02-01", "2027-03-01", "2028-04-01", "2028-07-01"},
		{"2028", "2028-01-15", "2028-02-01", "2028-03-01", "2029-04-01", "2029-07-01"}, // leap year
	}
	for _, tt := range tests {
		want := Dates{at(tt.made), at(tt.published), at(tt.preferred), at(tt.end), at(tt.retired)}
		if diff := cmp.Diff(want, DefaultPolicy().Dates(tt.year)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.year, diff)
		}
	}
}

func TestLeapDayMovesToNextDay(t *testing.T) {
	t.Parallel()
	leap := Date{Month: time.February, Day: 29}
	if got := leap.Resolve(2028); got != at("2028-02-29") {
		t.Errorf("29 February 2028 = %v", got)
	}
	if got := leap.Resolve(2027); got != at("2027-03-01") {
		t.Errorf("29 February 2027 = %v, want the day after the last one", got)
	}
}

func TestFirstYearsDependOnDate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		now  string
		want []idp.Year
	}{
		{"autumn", "2026-11-22", []idp.Year{"2026"}},
		{"last day before the next key is made", "2027-01-14T23:59:59Z", []idp.Year{"2026"}},
		{"next key made", "2027-01-15", []idp.Year{"2026", "2027"}},
		{"January after", "2027-01-20", []idp.Year{"2026", "2027"}},
		{"next one published", "2027-02-10", []idp.Year{"2026", "2027"}},
		{"last day before preferring", "2027-02-28T23:59:59Z", []idp.Year{"2026", "2027"}},
		{"preferred", "2027-03-01", []idp.Year{"2027"}},
		{"spring", "2027-03-15", []idp.Year{"2027"}},
		{"leap day", "2028-02-29", []idp.Year{"2027", "2028"}},
		{"after the leap day", "2028-03-01", []idp.Year{"2028"}},
		{"New Year", "2027-01-01", []idp.Year{"2026"}},
		{"another zone, still February in UTC", "2027-03-01T01:00:00+02:00", []idp.Year{"2026", "2027"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, DefaultPolicy().FirstYears(at(tt.now))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFirstYearsOtherCalendar uses a calendar that spans the turn of the year.
func TestFirstYearsOtherCalendar(t *testing.T) {
	t.Parallel()
	p := DefaultPolicy()
	p.MakeAt = Date{-1, time.November, 1}
	p.PublishAt = Date{-1, time.December, 1}
	p.PreferAt = Date{0, time.January, 1}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]idp.Year{"2026", "2027"}, p.FirstYears(at("2026-11-22"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]idp.Year{"2027"}, p.FirstYears(at("2027-01-01"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
