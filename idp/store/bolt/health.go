package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"vernal/idp"
)

// health records the results of writes to the disk.
type health struct {
	last     atomic.Pointer[writeResult] // nil before the first write
	failures atomic.Uint64
	probeSlot  chan struct{} // holds one element while no probe runs
}

// writeResult is the result of one transaction.
type writeResult struct {
	at  time.Time
	err error
}

func (h *health) init() {
	h.probeSlot = make(chan struct{}, 1)
	h.probeSlot <- struct{}{}
}

func (h *health) recordResult(at time.Time, err error) { h.last.Store(&writeResult{at, err}) }

// lookupLast returns the last result, and whether it is recent. A clock that was set back makes
// none recent.
func (h *health) lookupLast(now time.Time) (last *writeResult, isRecent bool) {
	last = h.last.Load()
	if last == nil {
		return nil, false
	}
	age := now.Sub(last.at)
	return last, age >= 0 && age < idp.WriteCheckAge
}

// probeKey is the key of the value that a probe writes.
var probeKey = []byte("probe")

// After a failure a probe writes as much as many changes at once: on a full disk, a small
// one often still fits into pages that are free within the file.
const (
	probeSize = 1
	retrySize = 64 << 10
)

// CheckWrites implements idp.Store.
func (s *Store) CheckWrites(ctx context.Context) error {
	if err := s.checkAvailable(ctx); err != nil {
		return err
	}
	if last, isRecent := s.health.lookupLast(s.clock.Now()); isRecent {
		return last.err
	}
	select { // one probe for all callers
	case <-s.health.probeSlot:
	case <-ctx.Done():
		return timeoutError(ctx)
	}
	result := make(chan error, 1)
	go func() { // a disk that hangs blocks the probe, but not the callers
		defer func() { s.health.probeSlot <- struct{}{} }()
		result <- s.probe(context.WithoutCancel(ctx))
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return timeoutError(ctx)
	}
}

// probe makes a change, unless another one has shown the state meanwhile.
func (s *Store) probe(ctx context.Context) error {
	last, isRecent := s.health.lookupLast(s.clock.Now())
	if isRecent {
		return last.err
	}
	size := probeSize
	if last != nil && last.err != nil {
		size = retrySize
	}
	return s.update(ctx, nil, func(w *writer) error {
		w.put(inMeta, probeKey, make([]byte, size))
		return nil
	})
}

// timeoutError returns the error of a check whose caller stopped waiting.
func timeoutError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: it does not answer in time", idp.ErrNotWritten)
	}
	return ctx.Err()
}

// WriteFailures implements idp.Store.
func (s *Store) WriteFailures() uint64 { return s.health.failures.Load() }
