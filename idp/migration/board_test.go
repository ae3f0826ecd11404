package migration_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/migration"
	"vernal/idp/rotation"
)

const (
	spA = idp.EntityID("https://a.example")
	spB = idp.EntityID("https://b.example")
)

// use notes a plain signed use, now.
func (w *deployment) use(s *migration.Service, id idp.EntityID, y idp.Year) {
	s.Usage.Use(idp.Use{SP: id, Year: y, At: w.Clock.Now(), CertSHA256: strings.Repeat("a", 64), IssuedAt: w.Clock.Now()})
}

// TestUnmovedCountsLiveYears checks that Unmoved counts the registered SPs that must still
// move from each live year.
func TestUnmovedCountsLiveYears(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2026, 6, 1))
	w.add(spA)
	w.add(spB)
	w.step(rotation.StepPublish, "2027")
	s := w.server()
	want := func(want rotation.Counts) {
		t.Helper()
		b, err := s.Board(t.Context())
		ok(t, err)
		got := b.CountUnmoved()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unmoved (-want +got):\n%s", diff)
		}
	}
	w.use(s, spA, "2026")
	w.use(s, spB, "2026")
	w.use(s, "https://stranger.example", "2026")
	want(rotation.Counts{"2026": 2, "2027": 0})
	w.Clock.Set(w.Clock.Now().AddDate(0, 0, 15))
	w.use(s, spB, "2027")
	want(rotation.Counts{"2026": 1, "2027": 0})
}

// TestRemovedProviderKeepsHiddenUses checks that the uses of a removed service provider are
// kept, and not shown until it is registered again. Those of an inactive one are shown, and
// it need not move.
func TestRemovedProviderKeepsHiddenUses(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2026, 6, 1))
	w.add(spA)
	w.add(spB, func(p *idp.ServiceProvider) { p.Active = false })
	w.step(rotation.StepPublish, "2027")
	s := w.server()
	w.use(s, spA, "2026")
	w.use(s, spB, "2026")
	for range 2 { // noted, then stored
		b := w.show(s)
		if y := b.Years[0]; y.SPs != 1 || y.UnmovedCount != 1 {
			t.Errorf("with both: %+v", y)
		}
		if l := line(t, b, spB); l.Active || l.Move != migration.Unmoved || len(l.YearsToLeave) != 0 || len(l.Years) != 1 {
			t.Errorf("inactive: %+v", l)
		}
		ok(t, s.Usage.Flush(t.Context()))
	}
	ok(t, w.Registry.Remove(t.Context(), spA, "test"))
	if b := w.show(s); b.Years[0].SPs+b.Years[0].UnmovedCount != 0 || len(b.SPs) != 1 {
		t.Errorf("removed: %+v", b)
	}
	w.add(spA)
	if l := line(t, w.show(s), spA); len(l.Years) != 1 {
		t.Errorf("registered again: %+v", l)
	}
}

// TestMetadataFetchIsNoUse checks that a load with the hint of a registered SP is in its
// line as a hint and does not count as use. All other loads are below the board.
func TestMetadataFetchIsNoUse(t *testing.T) {
	t.Parallel()
	w := newDeployment(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	for _, hint := range []idp.EntityID{spA, "", "https://stranger.example", spA} {
		s.Usage.Fetch(idp.Fetch{Year: "2026", SP: hint, At: w.Clock.Now(), IPAddress: "192.0.2.1", UserAgent: "curl/8"})
	}
	want := migration.Fetches{Year: "2026", IPAddress: "192.0.2.1", UserAgent: "curl/8", LastAt: w.Clock.Now(), Count: 1}
	twice, stranger := want, want
	twice.Count, stranger.Hint = 2, "https://stranger.example"
	for range 2 { // noted, then stored
		b := w.show(s)
		l := line(t, b, spA)
		if diff := cmp.Diff([]migration.Fetches{twice}, l.Fetches); diff != "" || len(l.Years) != 0 || l.Move != migration.Unseen {
			t.Errorf("the line is %+v (-want +got):\n%s", l, diff)
		}
		if diff := cmp.Diff([]migration.Fetches{want, stranger}, b.Fetches); diff != "" {
			t.Errorf("without a hint (-want +got):\n%s", diff)
		}
		if b.Years[0].SPs != 0 {
			t.Errorf("a load is a use: %+v", b.Years)
		}
		ok(t, s.Usage.Flush(t.Context()))
	}
	// The stranger registers later: the hints from before are its own.
	w.add("https://stranger.example")
	if l := line(t, w.show(s), "https://stranger.example"); len(l.Fetches) != 1 {
		t.Errorf("hints from before: %+v", l.Fetches)
	}
}
