package rotation

import (
	"testing"
	"time"

	"vernal/idp"
)

// TestTargetIsNewestUsableYear says for each moment of a rotation where service
// providers move to, and which years they have to leave.
func TestTargetIsNewestUsableYear(t *testing.T) {
	t.Parallel()
	now := at("2027-03-10")
	published := at("2027-02-01")
	year := func(y idp.Year, change ...func(*Record)) Record {
		r := Record{Year: y, CreatedAt: published, CertEndAt: now.AddDate(1, 0, 0), PublishedAt: published}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	created := func(r *Record) { r.PublishedAt = time.Time{} }
	retired := func(r *Record) { r.RetiredAt = now }
	revoked := func(r *Record) { r.RetiredAt, r.RevokedAt = now, now }
	closed := func(r *Record) { r.KeyFault = KeyMissing }
	ended := func(r *Record) { r.CertEndAt = now.AddDate(0, 0, -1) }
	held := Hold{BeganAt: published}
	tests := []struct {
		name  string
		h     History
		want  idp.Year
		leave []idp.Year
	}{
		{"no year", History{}, "", nil},
		{"one year", History{Records: []Record{year("2026")}, Preferred: "2026"}, "2026", nil},
		{"the next one is created", History{Records: []Record{year("2026"), year("2027", created)}, Preferred: "2026"}, "2026", nil},
		{"it is published", History{Records: []Record{year("2026"), year("2027")}, Preferred: "2026"}, "2027", []idp.Year{"2026"}},
		{"it is preferred", History{Records: []Record{year("2026"), year("2027")}, Preferred: "2027"}, "2027", []idp.Year{"2026"}},
		{"the older one is retired", History{Records: []Record{year("2026", retired), year("2027")}, Preferred: "2027"}, "2027", []idp.Year{"2026"}},
		{"a rollback holds", History{Records: []Record{year("2025"), year("2026"), year("2027")}, Preferred: "2026", Hold: held}, "2026", []idp.Year{"2025"}},
		{"a rollback held until yesterday", History{Records: []Record{year("2026"), year("2027")}, Preferred: "2026",
			Hold: Hold{BeganAt: published, EndAt: now.AddDate(0, 0, -1)}}, "2027", []idp.Year{"2026"}},
		{"a rollback, and the year it went to is closed", History{Records: []Record{year("2026", closed), year("2027")}, Preferred: "2026", Hold: held}, "", nil},
		{"the newest is revoked", History{Records: []Record{year("2026"), year("2027", revoked)}, Preferred: "2026"}, "2026", []idp.Year{"2027"}},
		{"a letter takes over", History{Records: []Record{year("2026", revoked), year("2026b")}, Preferred: "2026b"}, "2026b", []idp.Year{"2026"}},
		{"a letter, and the next year", History{Records: []Record{year("2026b"), year("2027")}, Preferred: "2026b"}, "2027", []idp.Year{"2026b"}},
		{"the newest is closed", History{Records: []Record{year("2026"), year("2027", closed)}, Preferred: "2027"}, "2026", nil},
		{"an ended certificate answers", History{Records: []Record{year("2026", ended)}, Preferred: "2026"}, "2026", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.h.Target(now); got != tt.want {
				t.Errorf("target %q, want %q", got, tt.want)
			}
			for _, r := range tt.h.Records {
				want := false
				for _, y := range tt.leave {
					want = want || y == r.Year
				}
				if got := MustLeave(r.Year, tt.h.State(r.Year, now), tt.want); got != want {
					t.Errorf("must leave %s: %t", r.Year, got)
				}
			}
		})
	}
}
