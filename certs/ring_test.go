package certs

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/idp"
)

// ringKeys are keys whose certificates are never used, only their dates.
func ringKeys(t testing.TB, years ...idp.Year) []*Key {
	var keys []*Key
	for _, y := range years {
		keys = append(keys, madeKey(t, y))
	}
	return keys
}

func yearsOf(entries []Entry) (years []idp.Year) {
	for _, e := range entries {
		years = append(years, e.Year())
	}
	return years
}

func TestRing(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2027", "2025", "2026")
	keys[1].Signer = nil // 2025 is retired
	r := NewRing(DefaultPolicy(), keys)
	tests := []struct {
		name      string
		now       string
		preferred idp.Year
		live      []idp.Year
	}{
		{"before publishing", "2027-01-20", "2026", []idp.Year{"2026"}},
		{"published", "2027-02-01", "2026", []idp.Year{"2026", "2027"}},
		{"preferred", "2027-03-01", "2027", []idp.Year{"2027", "2026"}},
		{"back again", "2027-01-20", "2026", []idp.Year{"2026"}},
		{"years later", "2031-01-01", "2027", []idp.Year{"2027", "2026"}},
	}
	for _, tt := range tests {
		now := at(tt.now)
		e, err := r.Preferred(now)
		if err != nil || e.Year() != tt.preferred || e.State != Preferred {
			t.Errorf("%s: preferred = %s %s, %v; want %s", tt.name, e.Year(), e.State, err, tt.preferred)
		}
		if diff := cmp.Diff(tt.live, yearsOf(r.Live(now))); diff != "" {
			t.Errorf("%s: live (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff([]idp.Year{"2025", "2026", "2027"}, yearsOf(r.All(now))); diff != "" {
			t.Errorf("%s: all (-want +got):\n%s", tt.name, diff)
		}
		if e, ok := r.Lookup("2025", now); !ok || e.State != Retired {
			t.Errorf("%s: 2025 = %s, %v; want retired", tt.name, e.State, ok)
		}
		if e, ok := r.Lookup("2024", now); ok {
			t.Errorf("%s: found 2024, %s", tt.name, e.State)
		}
	}
}

func TestRingCertExpired(t *testing.T) {
	t.Parallel()
	r := NewRing(DefaultPolicy(), ringKeys(t, "2026"))
	for _, tt := range []struct {
		now  string
		want bool
	}{{"2027-03-31T23:59:59Z", false}, {"2027-04-01", true}} {
		e, err := r.Preferred(at(tt.now))
		if err != nil || e.CertExpired(at(tt.now)) != tt.want {
			t.Errorf("%s: expired = %v, %v; want %v", tt.now, e.CertExpired(at(tt.now)), err, tt.want)
		}
	}
}

func TestRingEmpty(t *testing.T) {
	t.Parallel()
	r := NewRing(DefaultPolicy(), nil)
	if _, err := r.Preferred(at("2026-11-22")); !errors.Is(err, ErrNoSigner) {
		t.Errorf("Preferred = %v, want ErrNoSigner", err)
	}
	if live := r.Live(at("2026-11-22")); len(live) != 0 {
		t.Errorf("Live = %v", live)
	}
	r.Set(ringKeys(t, "2026"))
	if e, err := r.Preferred(at("2026-11-22")); err != nil || e.Year() != "2026" {
		t.Errorf("after Set: %v, %v", e, err)
	}
}

// What the Ring remembers between look-ups never differs from a new decision,
// in whatever order the times come.
func TestRingAgreesWithStates(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2025", "2026", "2026b", "2027", "2028")
	rapid.Check(t, func(t *rapid.T) {
		p := DefaultPolicy()
		r := NewRing(p, keys)
		var made []Made
		for _, k := range keys {
			made = append(made, k.Made())
		}
		boundaries := []time.Time{at("2026-02-01"), at("2026-03-01"), at("2027-04-01"), at("2028-03-01")}
		for range 20 {
			now := drawTime(t)
			if rapid.Bool().Draw(t, "at a boundary") {
				now = rapid.SampledFrom(boundaries).Draw(t, "boundary").Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "off")))
			}
			for y, want := range p.States(made, now) {
				if e, ok := r.Lookup(y, now); !ok || e.State != want {
					t.Fatalf("%s at %s: %s, %v; want %s", y, now, e.State, ok, want)
				}
			}
		}
	})
}

func TestRingConcurrent(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027")
	r := NewRing(DefaultPolicy(), keys)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				now := at("2027-02-28T23:59:59Z").Add(time.Duration(i%2) * time.Second)
				want := []idp.Year{"2026", "2027"}[i%2]
				if e, err := r.Preferred(now); err != nil || e.Year() != want {
					t.Errorf("at %s: %s, %v", now, e.Year(), err)
				}
				if i%50 == 0 {
					r.Set(keys)
				}
			}
		})
	}
	wg.Wait()
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := NewRing(DefaultPolicy(), ringKeys(t, "2026", "2027"))
	now := at("2027-03-15")
	if n := testing.AllocsPerRun(100, func() {
		r.Lookup("2026", now)
		_, _ = r.Preferred(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
