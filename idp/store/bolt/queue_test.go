package bolt

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestQueueSkipsClaimedJobsAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.init()
		a, b, c := &job{}, &job{}, &job{}
		b.isClaimed.Store(true)
		for _, j := range []*job{a, b, c} {
			if err := q.add(j); err != nil {
				t.Fatal(err)
			}
		}
		batch, ok := q.take(nil)
		if !ok || !slices.Equal(batch, []*job{a, c}) {
			t.Errorf("take = %v, %v; want the two jobs that are still wanted", batch, ok)
		}
		woken := false
		go func() { _, woken = q.take(batch) }()
		synctest.Wait()
		if err := q.add(&job{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !woken {
			t.Error("take sleeps on")
		}
		q.close(errClosed)
		q.close(errors.New("later"))
		if err := q.add(&job{}); err != errClosed {
			t.Errorf("add = %v, want the first reason", err)
		}
		if _, ok := q.take(nil); ok {
			t.Error("take gave jobs of a queue that is closed and empty")
		}
	})
}
