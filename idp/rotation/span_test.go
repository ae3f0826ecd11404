package rotation

import (
	"testing"

	"vernal/idp"
)

// TestSpanTellsCertificateDates checks the time that a certificate must cover, by the day of
// its import.
func TestSpanTellsCertificateDates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, now string
		year      idp.Year
		want      [3]string // begin by, end from, end at
	}{
		{"before its publishing", "2027-01-20", "2027", [3]string{"2027-02-01", "2028-03-01", "2028-04-01"}},
		{"after it", "2027-02-10", "2027", [3]string{"2027-02-10", "2028-03-01", "2028-04-01"}},
		{"a letter", "2027-02-10", "2026b", [3]string{"2027-02-10", "2027-03-01", "2027-04-01"}},
		{"a letter after the end", "2027-06-01", "2026b", [3]string{"2027-06-01", "2028-03-01", "2028-04-01"}},
	}
	for _, tt := range tests {
		s := DefaultPolicy().Span(firstStart(t, "2026-11-22").h, tt.year, at(tt.now))
		if got := [3]string{date(s.LatestBeginAt), date(s.EarliestEndAt), date(s.EndAt)}; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
