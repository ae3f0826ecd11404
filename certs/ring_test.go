package certs

import (
	"errors"
	"sync"
	"testing"
	"time"

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

// newRing is a Ring over a history and its keys.
func newRing(t fataler, h History, keys []*Key) *Ring {
	t.Helper()
	r := NewRing(DefaultPolicy())
	if err := r.SetHistory(withIdentities(h, keys), keys); err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// withIdentities records the certificates and public keys in a history whose steps
// named none.
func withIdentities(h History, keys []*Key) History {
	for _, k := range keys {
		m := k.Made()
		h = h.edit(k.Year, func(r *Record) { r.CertificateSHA256, r.PublicKeySHA256 = m.CertSHA256, m.PublicKeySHA256 })
	}
	return h
}

func TestRingCertExpired(t *testing.T) {
	t.Parallel()
	r := newRing(t, firstStart(t, "2026-11-22").h, ringKeys(t, "2026"))
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

// Without a history there is no year, whatever keys there are.
func TestRingEmpty(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22")
	r := NewRing(DefaultPolicy())
	check := func() {
		t.Helper()
		if _, err := r.Preferred(now); !errors.Is(err, ErrNoSigner) {
			t.Errorf("Preferred = %v, want ErrNoSigner", err)
		}
		if live := r.Live(now); len(live) != 0 {
			t.Errorf("Live = %v", live)
		}
	}
	check()
	if err := r.SetHistory(History{}, ringKeys(t, "2026")); !errors.Is(err, ErrNoSigner) {
		t.Errorf("SetHistory = %v, want ErrNoSigner", err)
	}
	check()
	keys := ringKeys(t, "2026")
	if err := r.SetHistory(withIdentities(firstStart(t, "2026-11-22").h, keys), keys); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Preferred(now); err != nil || e.Year() != "2026" {
		t.Errorf("after SetHistory: %v, %v", e, err)
	}
}

// What the Ring remembers between look-ups never differs from a new decision,
// in whatever order the times come.
func TestRingAgreesWithHistory(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027", "2028")
	w := firstStart(t, "2026-11-22").run("2028-03-15")
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(t, w.h, keys)
		boundaries := []time.Time{at("2027-04-01"), at("2028-04-01"), at("2029-04-01"), at("2028-03-01")}
		for range 20 {
			now := drawTime(t)
			if rapid.Bool().Draw(t, "at a boundary") {
				now = rapid.SampledFrom(boundaries).Draw(t, "boundary").Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "off")))
			}
			for _, k := range keys {
				if e, ok := r.Lookup(k.Year, now); !ok || e.State != w.h.State(k.Year, now) {
					t.Fatalf("%s at %s: %s, %v; want %s", k.Year, now, e.State, ok, w.h.State(k.Year, now))
				}
			}
			if _, ok := r.Lookup("2024", now); ok {
				t.Fatal("found 2024, which was never made")
			}
		}
	})
}

func TestRingConcurrent(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027")
	h := firstStart(t, "2026-11-22").run("2027-03-15").h
	r := newRing(t, h, keys)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				now := at("2027-03-31T23:59:59Z").Add(time.Duration(i%2) * time.Second)
				want := []State{Expiring, Grace}[i%2]
				if e, ok := r.Lookup("2026", now); !ok || e.State != want {
					t.Errorf("at %s: %s, %v", now, e.State, ok)
				}
				if i%50 == 0 {
					if err := r.SetHistory(withIdentities(h, keys), keys); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := newRing(t, firstStart(t, "2026-11-22").run("2027-03-15").h, ringKeys(t, "2026", "2027"))
	now := at("2027-03-15")
	if n := testing.AllocsPerRun(100, func() {
		r.Lookup("2026", now)
		_, _ = r.Preferred(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
