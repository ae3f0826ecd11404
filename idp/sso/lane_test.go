package sso

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"vernal/idp"
)

// A bounded number of callers is inside and a bounded number waits. More are refused as busy,
// and a caller that gives up frees its place.
func TestFullLaneRefusesMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		slots := max(1, runtime.GOMAXPROCS(0)/2)
		ctx, giveUp := context.WithCancel(t.Context())
		var inside, gone atomic.Int64
		done := make(chan struct{})
		for range slots + maxQueue {
			go func() {
				leave, err := l.acquire(ctx)
				if err != nil {
					gone.Add(1)
					return
				}
				inside.Add(1)
				<-done
				leave()
			}()
			synctest.Wait()
		}
		if inside.Load() != int64(slots) {
			t.Errorf("%d inside, want %d", inside.Load(), slots)
		}
		if _, err := l.acquire(t.Context()); !errors.Is(err, idp.ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		giveUp()
		synctest.Wait()
		if gone.Load() != maxQueue {
			t.Errorf("%d gave up, want %d", gone.Load(), maxQueue)
		}
		close(done)
		synctest.Wait()
		leave, err := l.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave()
	})
}
