package usage

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/rotation"
	"vernal/idp/store/storetest"
)

// TestOldUsesAreForgotten checks that uses of a year are removed 400 days after its end, and
// those of a live year never.
func TestOldUsesAreForgotten(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 2, 1))
	in.add(spA)
	l := in.ledger()
	in.use(l, spA, "2026")
	ok(t, l.Flush(t.Context()))
	in.set(noon(2026, 7, 1))
	in.step(rotation.StepPublish, "2027")
	in.step(rotation.StepPrefer, "2027")
	in.use(l, spA, "2027")
	in.step(rotation.StepRetire, "2026")
	in.set(noon(2026, 7, 1).AddDate(0, 0, 400))
	ok(t, l.Flush(t.Context()))
	wantCounts(t, "after 400 days", in, in.ledger(), map[idp.Year]int{"2026": 0, "2027": 0})
	if last := in.lastUses(l); len(last) != 2 {
		t.Errorf("last uses after 400 days: %v", last)
	}
	in.set(in.clock().AddDate(0, 0, 1))
	ok(t, l.Flush(t.Context()))
	wantCounts(t, "a day later", in, in.ledger(), map[idp.Year]int{"2027": 0})
	if diff := cmp.Diff(map[idp.Year]time.Time{"2027": noon(2026, 7, 1)}, in.lastUses(l)); diff != "" {
		t.Errorf("last uses a day later (-want +got):\n%s", diff)
	}
}

// TestFutureUsesAreMovedToThePresent checks that a time that a wrong clock left in the
// future is moved to the present once the clock is right, so that no SP seems to use a year
// until then.
func TestFutureUsesAreMovedToThePresent(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l := in.ledger()
	in.set(noon(2031, 6, 1))
	in.use(l, spA, "2026")
	ok(t, l.Flush(t.Context()))
	in.set(noon(2026, 6, 2))
	if last := in.lastUses(l); !last["2026"].Equal(noon(2026, 6, 2)) {
		t.Errorf("last uses before the flush: %v", last)
	}
	ok(t, l.Flush(t.Context()))
	in.use(l, spA, "2026")
	in.set(noon(2026, 6, 30))
	in.use(l, spA, "2027")
	ok(t, l.Flush(t.Context()))
	u := in.read(in.ledger()).Uses[spA][0]
	if u.Year != "2026" || !ConvertMillis(u.LastAt).Equal(noon(2026, 6, 2)) || !ConvertMillis(u.FirstAt).Equal(noon(2026, 6, 2)) || u.Days.Sum(ComputeDay(in.clock()), 30) != 1 {
		t.Errorf("uses: %+v", u)
	}
	if last := in.lastUses(in.ledger()); !last["2026"].Equal(noon(2026, 6, 2)) || !last["2027"].Equal(noon(2026, 6, 30)) {
		t.Errorf("last uses: %v", last)
	}
}

// TestDamagedDocumentsAreLeftOut checks that a damaged document is logged and left out, and
// that the others are still written.
func TestDamagedDocumentsAreLeftOut(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	in.add(spB)
	damaged := []string{totalKey, string(spA), string(spB), "other"}
	ok(t, in.store.UpdateDocuments(t.Context(), documentKind, damaged, func(d *idp.Document) error { d.Data = []byte("\x02}{"); return nil }))
	l := in.ledger()
	var log bytes.Buffer
	l.Log = slog.New(slog.NewJSONHandler(&log, nil))
	in.read(l)
	in.lastUses(l)
	if n := strings.Count(log.String(), `"level":"ERROR"`); n < len(damaged) {
		t.Errorf("%d lines for %d damaged documents:\n%s", n, len(damaged), log.String())
	}
	in.use(l, spA, "2026")
	in.use(l, spB, "2026")
	l.Fetch(idp.Fetch{At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl"})
	ok(t, l.Flush(t.Context()))
	after := in.ledger()
	wantCounts(t, "counted again", in, after, map[idp.Year]int{"2026": 1})
	if s := in.read(after); len(s.Fetches[""]) != 1 || len(s.Uses[spB]) != 1 {
		t.Errorf("ledger: %+v", s)
	}
	if last := in.lastUses(after); len(last) != 1 || !last["2026"].Equal(in.clock()) {
		t.Errorf("last uses: %v", last)
	}
}

// TestLastUsesAreMadeAgain checks that if the document of the last uses is damaged or
// missing, the last uses come from the tallies, and the next flush that writes rebuilds the
// document.
func TestLastUsesAreMadeAgain(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"null", "[1]", `{"years":{"2026":"x"}}`, ""} { // "": it is lost
		in := newInstallation(t, noon(2026, 6, 1))
		l := in.ledger()
		in.use(l, spA, "2026")
		ok(t, l.Flush(t.Context()))
		ok(t, in.store.UpdateDocuments(t.Context(), documentKind, []string{totalKey}, func(d *idp.Document) error { d.Data = []byte(doc); return nil }))
		in.set(noon(2026, 6, 1).Add(time.Hour))
		want := map[idp.Year]time.Time{"2026": noon(2026, 6, 1)}
		if diff := cmp.Diff(want, in.lastUses(l)); diff != "" {
			t.Errorf("%s: last uses (-want +got):\n%s", doc, diff)
		}
		in.use(l, spA, "2027")
		ok(t, l.Flush(t.Context()))
		want["2027"] = in.clock()
		if diff := cmp.Diff(want, in.lastUses(in.ledger())); diff != "" {
			t.Errorf("%s: last uses after a flush (-want +got):\n%s", doc, diff)
		}
		stored, err := storetest.LookupDocument(t.Context(), in.store, documentKind, totalKey)
		ok(t, err)
		if last := l.parse(&idp.Document{Data: stored}, in.clock()); last == nil || len(last.Years) != 2 {
			t.Errorf("%s: stored is %s", doc, stored)
		}
	}
}
