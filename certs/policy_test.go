package certs

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Policy)
		want   string // "" good, else words of the reason
	}{
		{"default", func(*Policy) {}, ""},
		{"3072 bits", func(p *Policy) { p.KeyBits = 3072 }, ""},
		{"4096 bits", func(p *Policy) { p.KeyBits = 4096 }, ""},
		{"1024 bits", func(p *Policy) { p.KeyBits = 1024 }, "of 1024 bits"},
		{"no bits", func(p *Policy) { p.KeyBits = 0 }, "of 0 bits"},
		{"keys from elsewhere", func(p *Policy) { p.KeySource = SourceImport }, ""},
		{"keys in a token", func(p *Policy) { p.KeySource = SourcePKCS11 }, ""},
		{"keys from nowhere", func(p *Policy) { p.KeySource = "vault" }, `key source "vault"`},
		{"made when it is published", func(p *Policy) { p.MakeAt = p.PublishAt }, ""},
		{"published before made", func(p *Policy) { p.PublishAt = Date{0, time.January, 14} }, "published before the key is made"},
		{"preferred before published", func(p *Policy) { p.PreferAt = Date{0, time.January, 20} }, "preferred before it is published"},
		{"published and preferred on one day", func(p *Policy) { p.PublishAt = p.PreferAt }, "on the same day"},
		{"on one day in most years only", func(p *Policy) { p.PublishAt = Date{0, time.February, 29} }, "on the same day"},
		{"out of order in leap years only", func(p *Policy) {
			p.MakeAt, p.PublishAt, p.PreferAt = Date{0, time.March, 1}, Date{0, time.February, 29}, Date{0, time.March, 15}
		}, "published before the key is made"},
		{"certificate ends before the next is preferred", func(p *Policy) { p.CertEndAt = Date{1, time.February, 28} }, "ends before the next year is preferred"},
		{"certificate ends when the next is preferred", func(p *Policy) { p.CertEndAt = Date{1, time.March, 1} }, ""},
		{"27 days of overlap", func(p *Policy) { p.PublishAt, p.CertEndAt = Date{0, time.February, 2}, Date{1, time.March, 1} }, "no overlap: the next year is published 27 days"},
		{"no overlap at all", func(p *Policy) { p.CertEndAt = Date{1, time.January, 1} }, "ends before the next year"},
		{"retired before the certificate ends", func(p *Policy) { p.RetireAt = Date{1, time.March, 31} }, "retired before the certificate ends"},
		{"retired 119 days after the next is published", func(p *Policy) { p.RetireAt = Date{1, time.May, 31} }, "retired 119 days after"},
		{"retired 120 days after, one more in leap years", func(p *Policy) { p.RetireAt = Date{1, time.June, 1} }, ""},
		{"certificates of two years", func(p *Policy) { p.CertEndAt.Years, p.RetireAt.Years = 2, 2 }, ""},
		{"across the turn of the year", func(p *Policy) {
			p.MakeAt, p.PublishAt, p.PreferAt = Date{-1, time.November, 1}, Date{-1, time.December, 1}, Date{0, time.January, 1}
		}, ""},
		{"no such month", func(p *Policy) { p.MakeAt.Month = 13 }, "no such date"},
		{"no such day", func(p *Policy) { p.RetireAt.Day = 32 }, "no such date"},
		{"30 February", func(p *Policy) { p.PublishAt = Date{0, time.February, 30} }, "no such date"},
		{"nothing set", func(p *Policy) { *p = Policy{KeyBits: 2048} }, "no such date"},
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
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}
