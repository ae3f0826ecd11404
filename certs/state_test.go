package certs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// full is a year with key and the calendar's certificate, gone one whose key
// was destroyed, bare one that waits for its certificate.
func full(y idp.Year) Made {
	return Made{Year: y, CertEndAt: DefaultPolicy().Dates(y).CertEndAt, HasKey: true}
}
func gone(y idp.Year) Made {
	return Made{Year: y, CertEndAt: DefaultPolicy().Dates(y).CertEndAt, HasKey: false}
}
func bare(y idp.Year) Made { return Made{Year: y, HasKey: true} }

func TestStates(t *testing.T) {
	t.Parallel()
	two := []Made{full("2026"), full("2027")}
	tests := []struct {
		name string
		made []Made
		now  string
		want states
	}{
		{"nothing made", nil, "2026-11-22", states{}},
		{"fresh start in autumn", []Made{full("2026")}, "2026-11-22", states{"2026": Preferred}},
		{"next key made", two, "2027-01-15", states{"2026": Preferred, "2027": Created}},
		{"last second before publishing", two, "2027-01-31T23:59:59Z", states{"2026": Preferred, "2027": Created}},
		{"published", two, "2027-02-01", states{"2026": Preferred, "2027": Published}},
		{"last second before preferring", two, "2027-02-28T23:59:59Z", states{"2026": Preferred, "2027": Published}},
		{"preferred", two, "2027-03-01", states{"2026": Expiring, "2027": Preferred}},
		{"last second of the certificate", two, "2027-03-31T23:59:59Z", states{"2026": Expiring, "2027": Preferred}},
		{"certificate ended", two, "2027-04-01", states{"2026": Grace, "2027": Preferred}},
		{"past the retiring date, not retired by hand", two, "2027-07-01", states{"2026": Grace, "2027": Preferred}},
		{"key destroyed", []Made{gone("2026"), full("2027")}, "2027-07-01", states{"2026": Retired, "2027": Preferred}},
		{"leap day", []Made{full("2027"), full("2028")}, "2028-02-29", states{"2027": Preferred, "2028": Published}},
		{"day after the leap day", []Made{full("2027"), full("2028")}, "2028-03-01", states{"2027": Expiring, "2028": Preferred}},
		{"emergency key takes over at once", []Made{gone("2026"), full("2026b")}, "2026-11-22", states{"2026": Retired, "2026b": Preferred}},
		{"emergency key beside the old one", []Made{full("2026"), full("2026b")}, "2026-11-22", states{"2026": Expiring, "2026b": Preferred}},
		{"emergency key gives way in spring", []Made{full("2026b"), full("2027")}, "2027-03-01", states{"2026b": Expiring, "2027": Preferred}},
		{"alone past its certificate: still preferred", []Made{full("2026")}, "2027-08-01", states{"2026": Preferred}},
		{"made ahead of time, alone", []Made{full("2027")}, "2026-11-22", states{"2027": Preferred}},
		{"two made ahead of time: the older one", two, "2025-11-22", states{"2026": Preferred, "2027": Created}},
		{"old key destroyed before the new one is due", []Made{gone("2026"), full("2027")}, "2027-02-10", states{"2026": Retired, "2027": Preferred}},
		{"new one without certificate", []Made{full("2026"), bare("2027")}, "2027-05-01", states{"2026": Preferred, "2027": Created}},
		{"only a key without certificate", []Made{bare("2026")}, "2026-11-22", states{"2026": Created}},
		{"all keys destroyed", []Made{gone("2025"), gone("2026")}, "2026-11-22", states{"2025": Retired, "2026": Retired}},
		{"three years", []Made{full("2025"), full("2026"), full("2027")}, "2027-02-10",
			states{"2025": Grace, "2026": Preferred, "2027": Published}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := DefaultPolicy()
			if diff := cmp.Diff(tt.want, p.States(tt.made, at(tt.now))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for y, want := range tt.want {
				if got := p.State(tt.made, y, at(tt.now)); got != want {
					t.Errorf("State(%s) = %s, States says %s", y, got, want)
				}
			}
			if got := p.State(tt.made, "2099", at(tt.now)); got != Planned {
				t.Errorf("State of a year never made = %s", got)
			}
		})
	}
}

// drawMade draws a handful of years in any condition, in any order.
func drawMade(t *rapid.T) []Made {
	years := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) idp.Year {
		letter := rapid.SampledFrom([]string{"", "b", "c"}).Draw(t, "letter")
		return idp.Year(fmt.Sprint(rapid.IntRange(2024, 2032).Draw(t, "number")) + letter)
	}), rapid.ID[idp.Year])
	var made []Made
	for _, y := range years.Draw(t, "years") {
		made = append(made, rapid.SampledFrom([]func(idp.Year) Made{full, full, gone, bare}).Draw(t, "condition")(y))
	}
	return made
}

func drawTime(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(at("2023-01-01").Unix(), at("2034-01-01").Unix()).Draw(t, "now"), 0).UTC()
}

func TestExactlyOnePreferred(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := DefaultPolicy()
		made, now := drawMade(t), drawTime(t)
		states := p.States(made, now)
		var preferred []idp.Year
		for y, s := range states {
			if s == Preferred {
				preferred = append(preferred, y)
			}
		}
		if !slices.ContainsFunc(made, Made.canSign) {
			if len(preferred) > 0 {
				t.Fatalf("preferred without a key: %v", preferred)
			}
			return
		}
		if len(preferred) != 1 {
			t.Fatalf("preferred at %s: %v of %v", now, preferred, states)
		}
		for _, m := range made {
			s := states[m.Year]
			switch {
			case !m.HasKey && s != Retired:
				t.Errorf("%s has no key and is %s", m.Year, s)
			case s == Preferred && !m.canSign():
				t.Errorf("%s is preferred and cannot sign", m.Year)
			case s.Live() && !m.canSign():
				t.Errorf("%s is %s and cannot sign", m.Year, s)
			case m.canSign() && m.Year < preferred[0] && s != Expiring && s != Grace:
				t.Errorf("%s is older than %s and is %s", m.Year, preferred[0], s)
			case m.canSign() && m.Year > preferred[0] && s != Created && s != Published:
				t.Errorf("%s is newer than %s and is %s", m.Year, preferred[0], s)
			}
		}
	})
}

// Time alone never takes a step back: preference only moves to newer years.
func TestPreferenceMovesForward(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := DefaultPolicy()
		made, a, b := drawMade(t), drawTime(t), drawTime(t)
		if b.Before(a) {
			a, b = b, a
		}
		if p.preferred(made, a) > p.preferred(made, b) {
			t.Fatalf("preferred %s at %s, %s at %s", p.preferred(made, a), a, p.preferred(made, b), b)
		}
	})
}
