package usage

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func wantCounts(t *testing.T, what string, in *installation, l *Ledger, want map[idp.Year]int) {
	t.Helper()
	if diff := cmp.Diff(want, in.counts(l, spA)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestCrashLosesTheLastMinute checks that a use shows at once and survives the server once
// it is flushed. A killed server loses only what it had not flushed.
func TestCrashLosesTheLastMinute(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l := in.ledger()
	in.use(l, spA, "2026")
	in.use(l, spA, "2026")
	in.use(l, spA, "2027")
	wantCounts(t, "noted", in, l, map[idp.Year]int{"2026": 2, "2027": 1})
	ok(t, l.Flush(t.Context()))
	wantCounts(t, "flushed", in, l, map[idp.Year]int{"2026": 2, "2027": 1})
	ok(t, l.Flush(t.Context()))
	in.set(in.clock().Add(time.Second))
	in.use(l, spA, "2026")
	wantCounts(t, "stored and noted", in, l, map[idp.Year]int{"2026": 3, "2027": 1})
	after := in.ledger()
	wantCounts(t, "after a crash", in, after, map[idp.Year]int{"2026": 2, "2027": 1})
	if diff := cmp.Diff(map[idp.Year]time.Time{"2026": noon(2026, 6, 1), "2027": noon(2026, 6, 1)}, in.lastUses(after)); diff != "" {
		t.Errorf("last uses after a crash (-want +got):\n%s", diff)
	}
}

// TestFailedFlushLosesNothing checks that uses still show if a flush cannot write them, and
// that the next flush writes them together with later ones.
func TestFailedFlushLosesNothing(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l, disk := in.ledger(), &store{DocumentStore: in.store, full: true}
	l.Store = disk
	for range 3 {
		in.use(l, spA, "2026")
		l.Fetch(idp.Fetch{SP: spA, At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl"})
		if err := l.Flush(t.Context()); err == nil {
			t.Fatal("a full disk was written to")
		}
	}
	wantCounts(t, "while the disk is full", in, l, map[idp.Year]int{"2026": 3})
	if last := in.lastUses(l); !last["2026"].Equal(in.clock()) {
		t.Errorf("last uses while the disk is full: %v", last)
	}
	disk.full = false
	in.use(l, spA, "2027")
	ok(t, l.Flush(t.Context()))
	after := in.ledger()
	wantCounts(t, "afterwards", in, after, map[idp.Year]int{"2026": 3, "2027": 1})
	if f := in.read(after).Fetches[spA]; len(f) != 1 || f[0].Count != 3 {
		t.Errorf("loads: %+v", f)
	}
}

// TestFlushThatFailsHalfway checks that a store that fails in the middle of a long flush
// keeps what it accepted, and that the next flush writes the rest: nothing is lost or
// counted twice.
func TestFlushThatFailsHalfway(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	l, disk := in.ledger(), &store{DocumentStore: in.store, room: 2}
	l.Store = disk
	for n := range 3*batchSize + 1 {
		in.use(l, idp.EntityID(fmt.Sprint("urn:", n)), "2026")
	}
	l.Fetch(idp.Fetch{At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl"})
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("a full disk was written to")
	}
	for range 2 { // noted in part, then stored
		s := in.read(l)
		for n := range 3*batchSize + 1 {
			if u := s.Uses[idp.EntityID(fmt.Sprint("urn:", n))]; len(u) != 1 || u[0].Days.Sum(ComputeDay(in.clock()), 30) != 1 {
				t.Fatalf("urn:%d: %+v", n, u)
			}
		}
		if f := s.ListOtherFetches(); len(f) != 1 || f[0].Count != 1 {
			t.Errorf("loads: %+v", f)
		}
		disk.full = false
		ok(t, l.Flush(t.Context()))
	}
}

// TestServersAddToSharedCounts checks that servers that share a store add to each other's
// counts, also concurrently.
func TestServersAddToSharedCounts(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	servers := []*Ledger{in.ledger(), in.ledger()}
	for range 5 {
		in.set(in.clock().Add(time.Hour))
		var wg sync.WaitGroup
		for _, l := range servers {
			wg.Go(func() {
				in.use(l, spA, "2026")
				l.Fetch(idp.Fetch{Year: "2026", SP: spA, At: in.clock(), IPAddress: "192.0.2.1", UserAgent: "curl"})
				if err := l.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	for _, l := range append(servers, in.ledger()) {
		wantCounts(t, "shared", in, l, map[idp.Year]int{"2026": 10})
		if f := in.read(l).Fetches[spA]; len(f) != 1 || f[0].Count != 10 || !f[0].LastAt.Equal(in.clock()) {
			t.Errorf("loads: %+v", f)
		}
		if last := in.lastUses(l); !last["2026"].Equal(in.clock()) {
			t.Errorf("last uses: %v", last)
		}
	}
}

// TestFlushWaitsForReaders checks that no flush comes between a reader's two reads, so that
// it sees every use exactly once.
func TestFlushWaitsForReaders(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	l := in.ledger()
	read := false
	l.Store = &store{DocumentStore: in.store, before: func() {
		read = true
		if l.flushMu.TryLock() {
			l.flushMu.Unlock()
			t.Error("a flush could write now")
		}
	}}
	in.use(l, spA, "2026")
	wantCounts(t, "read", in, l, map[idp.Year]int{"2026": 1})
	if !read {
		t.Error("the store was not read")
	}
}

// TestRunFlushesEveryMinute checks that Run writes every minute, and the rest when it ends.
func TestRunFlushesEveryMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInstallation(t, noon(2026, 6, 1))
		in.add(spA)
		l := in.ledger()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			l.Run(ctx)
			close(ended)
		}()
		in.use(l, spA, "2026")
		time.Sleep(61 * time.Second) // the bubble's clock
		synctest.Wait()
		wantCounts(t, "after a minute", in, in.ledger(), map[idp.Year]int{"2026": 1})
		in.use(l, spA, "2026")
		stop()
		<-ended
		wantCounts(t, "at the end", in, in.ledger(), map[idp.Year]int{"2026": 2})
	})
}

// TestUsersAreActiveProvidersSince checks that Users returns the active, registered SPs that
// used the year since a moment.
func TestUsersAreActiveProvidersSince(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	l := in.ledger()
	for n := range 4 {
		id := idp.EntityID(fmt.Sprintf("https://%d.example", n))
		in.add(id)
		in.use(l, id, "2026")
		in.use(l, id, "2027")
		in.set(in.clock().AddDate(0, 0, 1))
	}
	in.add("https://inactive.example", func(p *idp.ServiceProvider) { p.Active = false })
	in.add("https://removed.example")
	for _, id := range []idp.EntityID{"https://inactive.example", "https://removed.example", "https://stranger.example"} {
		in.use(l, id, "2026")
	}
	ok(t, in.registry.Remove(t.Context(), "https://removed.example", "test"))
	for range 2 { // noted, then stored
		got, err := l.Users(t.Context(), "2026", noon(2026, 6, 3))
		ok(t, err)
		if diff := cmp.Diff([]idp.EntityID{"https://2.example", "https://3.example"}, got); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
		if none, err := l.Users(t.Context(), "2025", time.Time{}); err != nil || len(none) != 0 {
			t.Errorf("users of an unused year: %v, %v", none, err)
		}
		ok(t, l.Flush(t.Context()))
	}
}

// TestLastUsesAreByAnySP checks that the last use can be by an SP that was removed since.
func TestLastUsesAreByAnySP(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, noon(2026, 6, 1))
	in.add(spA)
	in.add(spB)
	l := in.ledger()
	in.use(l, spA, "2026")
	in.set(noon(2026, 6, 2))
	in.use(l, spB, "2026")
	in.use(l, spB, "2027")
	in.set(noon(2026, 6, 3))
	in.use(l, spA, "2027")
	l.Fetch(idp.Fetch{Year: "2026", SP: spA, At: in.clock(), IPAddress: "192.0.2.1"})
	ok(t, in.registry.Remove(t.Context(), spB, "test"))
	want := map[idp.Year]time.Time{"2026": noon(2026, 6, 2), "2027": noon(2026, 6, 3)}
	for range 2 { // noted, then stored
		if diff := cmp.Diff(want, in.lastUses(l)); diff != "" {
			t.Errorf("last uses (-want +got):\n%s", diff)
		}
		ok(t, l.Flush(t.Context()))
	}
	// An older use that another server noted does not take the year back.
	late := in.ledger()
	late.Use(idp.Use{SP: spA, Year: "2027", At: noon(2026, 6, 1)})
	ok(t, late.Flush(t.Context()))
	if diff := cmp.Diff(want, in.lastUses(l)); diff != "" {
		t.Errorf("after an older use (-want +got):\n%s", diff)
	}
}
