package budget

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// key is a budget of 10 units, 2 more each minute. One whose name begins with
// "all" is shared.
type key string

func (key) Allowance() Allowance { return Allowance{Burst: 10, Minute: 2} }
func (k key) IsShared() bool     { return len(k) >= 3 && k[:3] == "all" }

var start = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

func TestTakeSpendsAndRefillsBudget(t *testing.T) {
	t.Parallel()
	var l Ledger[key]
	steps := []struct {
		name  string
		after time.Duration
		units float64
		keys  []key
		want  bool
	}{
		{"all of it", 0, 10, []key{"a"}, true},
		{"none is left", 0, 1, []key{"a"}, false},
		{"two keys, one of them empty", 0, 1, []key{"b", "a"}, false},
		{"the other key lost nothing by it", 0, 10, []key{"b"}, true},
		{"some came back", 90 * time.Second, 3, []key{"a", "b"}, true},
		{"no more than came back", 0, 0.5, []key{"a"}, false},
		{"never more than the burst", time.Hour, 10.5, []key{"a"}, false},
		{"the burst again", 0, 10, []key{"a"}, true},
		{"a clock that was set back gives nothing", -time.Hour, 1, []key{"a"}, false},
	}
	now := start
	for _, s := range steps {
		now = now.Add(s.after)
		if got := l.Take(now, s.units, s.keys...); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}
}

func TestGiveBack(t *testing.T) {
	t.Parallel()
	var l Ledger[key]
	l.GiveBack(start, 5, "a") // nothing was taken
	if !l.Take(start, 8, "a", "b") {
		t.Fatal("a full budget refuses")
	}
	l.GiveBack(start, 8, "a", "b")
	l.GiveBack(start, 8, "a")
	if l.Take(start, 11, "a") || !l.Take(start, 10, "a", "b") {
		t.Error("what was given back is not there, or there is more")
	}
}

// Senders who make up keys fill the memory: it stays bounded, and the shared
// budgets that they have spent stay spent.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var l Ledger[key]
	for _, k := range []key{"all-1", "all-2"} {
		if !l.Take(start, 10, k) {
			t.Fatal("a full budget refuses")
		}
	}
	for n := range 3 * maxBudgets {
		l.Take(start, 1, key(strconv.Itoa(n)), "all-3")
		if len(l.balances) > maxBudgets {
			t.Fatalf("%d budgets in memory", len(l.balances))
		}
	}
	if l.Take(start, 1, "all-1") || l.Take(start, 1, "all-2") || l.Take(start, 1, "all-3") {
		t.Error("a shared budget that was spent is full again")
	}
	// What is full again takes no room.
	now := start.Add(time.Hour)
	l.limitBalances(now, maxBudgets)
	if len(l.balances) > 0 {
		t.Errorf("%d budgets are kept although they are full", len(l.balances))
	}
}

func TestConcurrentTakesStayInBudget(t *testing.T) {
	t.Parallel()
	var l Ledger[key]
	var taken atomic.Int64
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if l.Take(start, 1, key(strconv.Itoa(n%5)), "all") {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 10 {
		t.Errorf("%d units of 10 were taken", taken.Load())
	}
}
