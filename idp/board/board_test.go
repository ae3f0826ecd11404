package board_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/board"
)

const (
	spA = idp.EntityID("https://a.example")
	spB = idp.EntityID("https://b.example")
)

// use notes a plain signed use, now.
func (w *world) use(s *board.Service, id idp.EntityID, y idp.Year) {
	s.Used(board.Use{SP: id, Year: y, At: w.clock(), CertSHA256: strings.Repeat("a", 64), IssuedAt: w.clock()})
}

// counts are the 30-day counts of a service provider, by year.
func counts(tb testing.TB, b *board.Board, id idp.EntityID) map[idp.Year]int {
	m := map[idp.Year]int{}
	for _, seen := range line(tb, b, id).Years {
		m[seen.Year] = seen.Days30
	}
	return m
}

func wantCounts(t *testing.T, what string, w *world, s *board.Service, want map[idp.Year]int) {
	t.Helper()
	if diff := cmp.Diff(want, counts(t, w.show(s), spA)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What is noted shows at once and outlives the server once it is flushed; a
// server that is killed loses what it had not flushed, and no more.
func TestCrashLosesTheLastMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	w.use(s, spA, "2026")
	w.use(s, spA, "2026")
	w.use(s, spA, "2027")
	wantCounts(t, "noted", w, s, map[idp.Year]int{"2026": 2, "2027": 1})
	ok(t, s.Flush(t.Context()))
	wantCounts(t, "flushed", w, s, map[idp.Year]int{"2026": 2, "2027": 1})
	ok(t, s.Flush(t.Context()))
	w.use(s, spA, "2026")
	wantCounts(t, "stored and noted", w, s, map[idp.Year]int{"2026": 3, "2027": 1})
	wantCounts(t, "after a crash", w, w.server(), map[idp.Year]int{"2026": 2, "2027": 1})
}

// full is a store that can be full.
type full struct {
	idp.DocumentStore
	full bool
}

func (f *full) UpdateDocuments(ctx context.Context, kind string, keys []string, change func(string, []byte) ([]byte, error), events ...idp.AuditEvent) error {
	if f.full {
		return errors.New("disk is full")
	}
	return f.DocumentStore.UpdateDocuments(ctx, kind, keys, change, events...)
}

// What a flush cannot write is shown meanwhile and written by the next one,
// together with what came since.
func TestFailedFlushLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s, disk := w.server(), &full{DocumentStore: w.store, full: true}
	s.Store = disk
	for range 3 {
		w.use(s, spA, "2026")
		s.Fetched(board.Fetch{SP: spA, At: w.clock(), Address: "192.0.2.1", UserAgent: "curl"})
		if err := s.Flush(t.Context()); err == nil {
			t.Fatal("nothing went wrong")
		}
	}
	wantCounts(t, "while the disk is full", w, s, map[idp.Year]int{"2026": 3})
	disk.full = false
	w.use(s, spA, "2027")
	ok(t, s.Flush(t.Context()))
	after := w.server()
	wantCounts(t, "afterwards", w, after, map[idp.Year]int{"2026": 3, "2027": 1})
	if f := line(t, w.show(after), spA).Fetches; len(f) != 1 || f[0].Count != 3 {
		t.Errorf("fetches: %+v", f)
	}
}

// Servers that share a store add to each other's counts, at the same time too.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	servers := []*board.Service{w.server(), w.server()}
	for range 5 {
		w.turn(w.clock().Add(time.Hour))
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				w.use(s, spA, "2026")
				s.Fetched(board.Fetch{Year: "2026", SP: spA, At: w.clock(), Address: "192.0.2.1", UserAgent: "curl"})
				if err := s.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	for _, s := range append(servers, w.server()) {
		wantCounts(t, "shared", w, s, map[idp.Year]int{"2026": 10})
		if f := line(t, w.show(s), spA).Fetches; len(f) != 1 || f[0].Count != 10 || !f[0].LastAt.Equal(w.clock()) {
			t.Errorf("fetches: %+v", f)
		}
	}
}

// slow is a store in which something happens before a list is read.
type slow struct {
	idp.DocumentStore
	before func()
}

func (d *slow) Documents(ctx context.Context, kind string) ([]idp.Document, error) {
	d.before()
	return d.DocumentStore.Documents(ctx, kind)
}

// A reader sees every use exactly once, although a flush comes between the two
// places that it reads.
func TestReaderWhileFlushing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	s := w.server()
	ok(t, s.Flush(t.Context())) // which looks for old rows
	w.use(s, spA, "2026")
	flushed := make(chan error, 1)
	s.Store = &slow{DocumentStore: w.store, before: sync.OnceFunc(func() {
		go func() { flushed <- s.Flush(context.Background()) }()
		select {
		case err := <-flushed:
			t.Error("it did not wait for the reader")
			flushed <- err
		case <-time.After(50 * time.Millisecond): // it waits
		}
	})}
	wantCounts(t, "read while a flush waits", w, s, map[idp.Year]int{"2026": 1})
	ok(t, <-flushed)
	wantCounts(t, "read afterwards", w, w.server(), map[idp.Year]int{"2026": 1})
}

// Run writes every minute, and at the end what came since.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, at(2026, 6, 1))
		w.add(spA)
		s := w.server()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			s.Run(ctx)
			close(ended)
		}()
		w.use(s, spA, "2026")
		time.Sleep(61 * time.Second)
		synctest.Wait()
		wantCounts(t, "after a minute", w, w.server(), map[idp.Year]int{"2026": 1})
		w.use(s, spA, "2026")
		stop()
		<-ended
		wantCounts(t, "at the end", w, w.server(), map[idp.Year]int{"2026": 2})
	})
}

// Flush tells how many have still to move from each live year.
func TestCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	w.add(spB)
	w.step(certs.StepPublish, "2027")
	s := w.server()
	var told map[idp.Year]int
	s.Counted = func(_ context.Context, unmoved map[idp.Year]int) error {
		told = unmoved
		return nil
	}
	w.use(s, spA, "2026")
	w.use(s, spB, "2026")
	w.use(s, "https://stranger.example", "2026")
	ok(t, s.Flush(t.Context()))
	if diff := cmp.Diff(map[idp.Year]int{"2026": 2, "2027": 0}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	w.turn(w.clock().AddDate(0, 0, 15))
	w.use(s, spB, "2027")
	ok(t, s.Flush(t.Context()))
	if diff := cmp.Diff(map[idp.Year]int{"2026": 1, "2027": 0}, told); diff != "" {
		t.Errorf("told later (-want +got):\n%s", diff)
	}
}

// The uses of a removed service provider are kept, and not shown until it is
// registered again; those of an inactive one are shown and keep nobody waiting.
func TestRemovedAndInactive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	w.add(spA)
	w.add(spB, func(p *idp.ServiceProvider) { p.Active = false })
	w.step(certs.StepPublish, "2027")
	s := w.server()
	w.use(s, spA, "2026")
	w.use(s, spB, "2026")
	who := func() (users, unmoved []idp.EntityID, column board.Year) {
		t.Helper()
		users, err := s.Users(t.Context(), "2026", w.clock())
		ok(t, err)
		return users, w.show(s).UnmovedFrom("2026"), w.show(s).Years[0]
	}
	for range 2 { // noted, then stored
		users, unmoved, y := who()
		if diff := cmp.Diff([][]idp.EntityID{{spA}, {spA}}, [][]idp.EntityID{users, unmoved}); diff != "" || y.SPs != 1 || y.Unmoved != 1 {
			t.Errorf("with both: %+v %s", y, diff)
		}
		ok(t, s.Flush(t.Context()))
	}
	if l := line(t, w.show(s), spB); l.Active || l.Move != board.Unmoved || len(l.UnmovedFrom) != 0 || len(l.Years) != 1 {
		t.Errorf("inactive: %+v", l)
	}
	ok(t, w.registry.Remove(t.Context(), spA, "test"))
	users, unmoved, y := who()
	if len(users)+len(unmoved)+y.SPs+y.Unmoved != 0 || len(w.show(s).SPs) != 1 {
		t.Errorf("removed: %v %v %+v", users, unmoved, y)
	}
}

func TestUsersSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t, at(2026, 6, 1))
	s := w.server()
	for n := range 4 {
		id := idp.EntityID(fmt.Sprintf("https://%d.example", n))
		w.add(id)
		w.use(s, id, "2026")
		w.use(s, id, "2027")
		w.turn(w.clock().AddDate(0, 0, 1))
	}
	got, err := s.Users(t.Context(), "2026", at(2026, 6, 3))
	ok(t, err)
	if diff := cmp.Diff([]idp.EntityID{"https://2.example", "https://3.example"}, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if none, err := s.Users(t.Context(), "2025", time.Time{}); err != nil || len(none) != 0 {
		t.Errorf("users of a year that nobody used: %v, %v", none, err)
	}
}
