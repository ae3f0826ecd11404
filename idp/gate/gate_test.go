package gate_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vernal/idp/gate"
)

func TestDrainWaitsForEarlierWorkOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate.Gate
		leaveFirst, leaveSecond := g.Enter(), g.Enter()
		var drained atomic.Int32
		drain := func() {
			if err := g.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			drained.Add(1)
		}
		go drain()
		synctest.Wait()
		leaveLater := g.Enter()
		leaveFirst()
		synctest.Wait()
		if drained.Load() != 0 {
			t.Fatal("Drain returned while earlier work was under way")
		}
		go drain() // waits for the later work too
		synctest.Wait()
		leaveSecond()
		synctest.Wait()
		if n := drained.Load(); n != 1 {
			t.Fatalf("%d calls of Drain returned, want the first alone", n)
		}
		leaveLater()
		synctest.Wait()
		if n := drained.Load(); n != 2 {
			t.Fatalf("%d calls of Drain returned, want both", n)
		}
	})
}

func TestDrainOfNoWorkReturns(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	for range 2 {
		if err := g.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Enter()()
	}
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate.Gate
		leave := g.Enter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v, want DeadlineExceeded", err)
		}
		leave()
		if err := g.Drain(t.Context()); err != nil {
			t.Errorf("Drain after the work has left: %v", err)
		}
	})
}

// No work that saw the decision before a change is under way after Drain.
func TestNoWorkOutlivesTheChangeItDidNotSee(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	for range 200 {
		var closed, changed atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				leave := g.Enter()
				defer leave()
				if !closed.Load() && changed.Load() {
					t.Error("work began on a decision whose change has returned")
				}
				if !closed.Load() {
					for range 10 {
						if changed.Load() {
							t.Error("work is under way although Drain has returned")
						}
					}
				}
			})
		}
		closed.Store(true)
		if err := g.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		changed.Store(true)
		wg.Wait()
	}
}
