package rotation

import (
	"errors"
	"testing"
	"time"
)

func TestValidateRefusesUnsafePolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Policy)
		want   PolicyCode // "" for a good one
	}{
		{"default", func(*Policy) {}, ""},
		{"external keys", func(p *Policy) { p.KeySource = SourceImport }, ""},
		{"keys in a token", func(p *Policy) { p.KeySource = SourcePKCS11 }, ""},
		{"unknown key source", func(p *Policy) { p.KeySource = "vault" }, PolicyKeySource},
		{"made when it is published", func(p *Policy) { p.MakeAt = p.PublishAt }, ""},
		{"published before made", func(p *Policy) { p.PublishAt = Date{0, time.January, 14} }, PolicyPublishEarly},
		{"preferred before published", func(p *Policy) { p.PreferAt = Date{0, time.January, 20} }, PolicyPreferEarly},
		{"published and preferred on one day", func(p *Policy) { p.PublishAt = p.PreferAt }, PolicyPreferSameDay},
		{"on one day in most years only", func(p *Policy) { p.PublishAt = Date{0, time.February, 29} }, PolicyPreferSameDay},
		{"out of order in leap years only", func(p *Policy) {
			p.MakeAt, p.PublishAt, p.PreferAt = Date{0, time.March, 1}, Date{0, time.February, 29}, Date{0, time.March, 15}
		}, PolicyPublishEarly},
		{"certificate ends before the next is preferred", func(p *Policy) { p.CertEndAt = Date{1, time.February, 28} }, PolicyCertEndEarly},
		{"certificate ends when the next is preferred", func(p *Policy) { p.CertEndAt = Date{1, time.March, 1} }, ""},
		{"27 days of overlap", func(p *Policy) { p.PublishAt, p.CertEndAt = Date{0, time.February, 2}, Date{1, time.March, 1} }, PolicyOverlap},
		{"no overlap at all", func(p *Policy) { p.CertEndAt = Date{1, time.January, 1} }, PolicyCertEndEarly},
		{"retired before the certificate ends", func(p *Policy) { p.RetireAt = Date{1, time.March, 31} }, PolicyRetireBeforeCertEnd},
		{"retired 119 days after the next is published", func(p *Policy) { p.RetireAt = Date{1, time.May, 31} }, PolicyRetireEarly},
		{"retired 120 days after, one more in leap years", func(p *Policy) { p.RetireAt = Date{1, time.June, 1} }, ""},
		{"certificates of two years", func(p *Policy) { p.CertEndAt.Years, p.RetireAt.Years = 2, 2 }, ""},
		{"across the turn of the year", func(p *Policy) {
			p.MakeAt, p.PublishAt, p.PreferAt = Date{-1, time.November, 1}, Date{-1, time.December, 1}, Date{0, time.January, 1}
		}, ""},
		{"no such month", func(p *Policy) { p.MakeAt.Month = 13 }, PolicyDate},
		{"no such day", func(p *Policy) { p.RetireAt.Day = 32 }, PolicyDate},
		{"30 February", func(p *Policy) { p.PublishAt = Date{0, time.February, 30} }, PolicyDate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := DefaultPolicy()
			tt.change(&p)
			err := p.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && codeOf(err) != tt.want:
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}

// codeOf returns the code of an error of Validate.
func codeOf(err error) PolicyCode {
	if e, ok := errors.AsType[*PolicyError](err); ok {
		return e.Code
	}
	return ""
}
