package sso

import (
	"context"
	"runtime"
	"sync"

	"vernal/idp"
)

// maxQueue bounds the callers that wait for a limiter. Each waits for some hundred signatures, a
// second at most.
const maxQueue = 200

// limiter lets a bounded number of callers through at once: half of the processors, so that
// signatures for unauthenticated senders leave the other half to users. The zero value is
// ready to use.
type limiter struct {
	once  sync.Once
	slots chan struct{}
	queue chan struct{}
}

// acquire waits for a free slot, or returns idp.ErrBusy if too many callers wait. The caller
// must call release.
func (l *limiter) acquire(ctx context.Context) (release func(), err error) {
	l.once.Do(func() {
		l.slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
		l.queue = make(chan struct{}, maxQueue)
	})
	select {
	case l.queue <- struct{}{}:
	default:
		return nil, idp.ErrBusy
	}
	defer func() { <-l.queue }()
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
