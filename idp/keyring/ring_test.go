package keyring

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/rotation"
)

// ringKeys returns keys of whose certificates only the dates are used.
func ringKeys(t testing.TB, years ...idp.Year) []*certs.Key {
	var keys []*certs.Key
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

// newRing returns a Ring over a history and its keys.
func newRing(t fataler, h rotation.History, keys []*certs.Key) *Ring {
	t.Helper()
	r := NewRing(rotation.DefaultPolicy())
	if err := r.SetHistory(withIdentities(h, keys), keys); err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// withIdentities records the certificates and public keys in a history whose steps
// named none.
func withIdentities(h rotation.History, keys []*certs.Key) rotation.History {
	for _, k := range keys {
		m := DescribeKey(k)
		h = edit(h, k.Year, func(r *rotation.Record) { r.CertificateSHA256, r.PublicKeySHA256 = m.CertSHA256, m.PublicKeySHA256 })
	}
	return h
}

func TestRingTellsExpiredCertificate(t *testing.T) {
	t.Parallel()
	r := newRing(t, firstStart(t, "2026-11-22").h, ringKeys(t, "2026"))
	for _, tt := range []struct {
		now  string
		want bool
	}{{"2027-03-31T23:59:59Z", false}, {"2027-04-01", true}} {
		e, err := r.Preferred(at(tt.now))
		if err != nil || e.HasCertExpired(at(tt.now)) != tt.want {
			t.Errorf("%s: expired = %v, %v; want %v", tt.now, e.HasCertExpired(at(tt.now)), err, tt.want)
		}
	}
}

// TestRingWithoutHistoryHasNoYear checks that without a history there is no year, whatever
// keys exist.
func TestRingWithoutHistoryHasNoYear(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22")
	r := NewRing(rotation.DefaultPolicy())
	check := func() {
		t.Helper()
		if _, err := r.Preferred(now); !errors.Is(err, ErrNoSigner) {
			t.Errorf("rotation.Preferred = %v, want ErrNoSigner", err)
		}
		if live := r.Live(now); len(live) != 0 {
			t.Errorf("Live = %v", live)
		}
	}
	check()
	if err := r.SetHistory(rotation.History{}, ringKeys(t, "2026")); !errors.Is(err, ErrNoSigner) {
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

// TestRingAgreesWithHistory checks that what the Ring caches between look-ups never differs
// from a new decision, in whatever order the times come.
func TestRingAgreesWithHistory(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027", "2028")
	w := firstStart(t, "2026-11-22").run("2028-03-15")
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(t, w.h, keys)
		boundaries := []time.Time{at("2027-04-01"), at("2028-04-01"), at("2029-04-01"), at("2028-03-01")}
		for range 20 {
			now := time.Unix(rapid.Int64Range(at("2023-01-01").Unix(), at("2034-01-01").Unix()).Draw(t, "now"), 0).UTC()
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

func TestRingStatesHoldUnderConcurrency(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027")
	h := firstStart(t, "2026-11-22").run("2027-03-15").h
	r := newRing(t, h, keys)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				now := at("2027-03-31T23:59:59Z").Add(time.Duration(i%2) * time.Second)
				want := []rotation.State{rotation.Expiring, rotation.Grace}[i%2]
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

// TestRingFollowsNewHistory checks that a state changes when a step is taken.
func TestRingFollowsNewHistory(t *testing.T) {
	t.Parallel()
	keys := ringKeys(t, "2026", "2027")
	r := NewRing(rotation.DefaultPolicy())
	w := firstStart(t, "2026-11-22").hand("create 2027")
	check := func(now time.Time, preferred idp.Year, live ...idp.Year) {
		t.Helper()
		e, err := r.Preferred(now)
		if err != nil || e.Year() != preferred {
			t.Errorf("%s: preferred %s, %v; want %s", now.Format(time.DateOnly), e.Year(), err, preferred)
		}
		if diff := cmp.Diff(live, yearsOf(r.Live(now))); diff != "" {
			t.Errorf("%s: live (-want +got):\n%s", now.Format(time.DateOnly), diff)
		}
	}
	set := func() {
		t.Helper()
		if err := r.SetHistory(withIdentities(w.h, keys), keys); err != nil {
			t.Fatal(err)
		}
	}
	set()
	check(at("2027-03-15"), "2026", "2026") // the dates alone change nothing
	w.hand("publish 2027", "prefer 2027")
	set()
	check(at("2026-11-22"), "2027", "2027", "2026")
	for now, want := range map[string]rotation.State{"2027-03-31T23:59:59Z": rotation.Expiring, "2027-04-01": rotation.Grace} {
		if e, _ := r.Lookup("2026", at(now)); e.State != want {
			t.Errorf("%s: 2026 is %s, want %s", now, e.State, want)
		}
	}
	keys = append(ringKeys(t, "2026"), keys[1])
	keys[0].Signer = nil
	set()
	check(at("2026-11-22"), "2027", "2027") // a key that is lost cannot sign
	w.hand("revoke 2026")
	set()
	check(at("2026-11-22"), "2027", "2027")
	if e, ok := r.Lookup("2026", w.now); !ok || e.State != rotation.Revoked || !e.State.IsOver() {
		t.Errorf("2026 is %s", e.State)
	}
	lost := ringKeys(t, "2027")
	lost[0].Signer = nil
	if err := r.SetHistory(w.h, lost); !errors.Is(err, ErrNoSigner) {
		t.Errorf("without the preferred key: %v", err)
	}
	if _, err := r.Preferred(w.now); !errors.Is(err, ErrNoSigner) || len(r.Live(w.now)) > 0 {
		t.Errorf("without its key, the preferred year signs: %v", err)
	}
}

// TestRingTargetMatchesHistory checks that the Ring, which has the keys, has the same target
// as a history with their faults.
func TestRingTargetMatchesHistory(t *testing.T) {
	t.Parallel()
	now := at("2027-03-10")
	h := rotation.History{Preferred: "2027"}
	var keys []*certs.Key
	for _, y := range []idp.Year{"2026", "2027"} {
		k := madeKey(t, y)
		keys = append(keys, k)
		h.Records = append(h.Records, rotation.Record{Year: y, CreatedAt: now, CertEndAt: k.Cert.NotAfter, PublishedAt: now, CertificateSHA256: certs.CertSHA256(k.Cert)})
	}
	for _, tt := range []struct {
		name string
		keys []*certs.Key
		want idp.Year
	}{{"all keys", keys, "2027"}, {"no key of the newest", keys[:1], "2026"}, {"no key", nil, ""}} {
		r := NewRing(rotation.DefaultPolicy())
		_ = r.SetHistory(h, tt.keys) // whether the preferred year can sign is not asked
		e, ok := r.Target(now)
		if e.Year() != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %t", tt.name, e.Year(), ok)
		}
		if got := h.WithFaults(FindFaults(h, tt.keys, nil)).Target(now); got != tt.want {
			t.Errorf("%s: the history says %q", tt.name, got)
		}
	}
}

// TestRingClosesFaultyYears checks that the Ring closes a year for every fault of its key,
// and that a faulty year is neither live nor preferred.
func TestRingClosesFaultyYears(t *testing.T) {
	t.Parallel()
	k26, k27 := madeKey(t, "2026"), madeKey(t, "2027")
	w := recordedWith(t, k26, k27)
	r := NewRing(rotation.DefaultPolicy())
	if err := r.SetHistory(w.h, []*certs.Key{k26}); err != nil {
		t.Fatal(err)
	}
	e, found := r.Lookup("2027", w.now)
	if !found || !e.IsClosed() || e.Fault != rotation.KeyMissing || e.State != rotation.Published || e.Key == nil || e.HasCertExpired(w.now) {
		t.Errorf("2027: %+v, %v; want it closed", e, found)
	}
	if live := yearsOf(r.Live(w.now)); !slices.Equal(live, []idp.Year{"2026"}) {
		t.Errorf("live: %v", live)
	}
	// 2026 goes, and 2027 has no key yet: the Ring follows all the same.
	w.hand("revoke 2026")
	err := r.SetHistory(w.h, []*certs.Key{k26})
	var unusable *UnusableKeyError
	if !errors.Is(err, ErrNoSigner) || !errors.As(err, &unusable) || unusable.Year != "2027" || unusable.Fault != rotation.KeyMissing {
		t.Errorf("SetHistory = %v", err)
	}
	if e, _ := r.Lookup("2026", w.now); e.State != rotation.Revoked || e.Key.Signer != nil || e.Key.Cert == nil {
		t.Errorf("2026: %+v", e)
	}
	if _, err := r.Preferred(w.now); !errors.Is(err, ErrNoSigner) || len(r.Live(w.now)) > 0 {
		t.Errorf("rotation.Preferred = %v", err)
	}
	if err := r.SetHistory(w.h, []*certs.Key{k26, k27}); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Preferred(w.now); err != nil || e.Key != k27 {
		t.Errorf("rotation.Preferred = %v, %v; want the same key as given", e.Year(), err)
	}
	for _, e := range r.All(w.now) {
		if e.State.IsOver() && e.Key.Signer != nil {
			t.Errorf("%s can sign", e.Year())
		}
	}
}
