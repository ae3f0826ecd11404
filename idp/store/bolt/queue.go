package bolt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"vernal/idp"
)

// job is a change under way.
type job struct {
	change func(*writer) error
	events []idp.AuditEvent
	// isClaimed is set once: by the committer, which then answers, or by a caller that no
	// longer waits.
	isClaimed atomic.Bool
	done    chan struct{} // closed once err is the outcome
	err     error
}

// maxJobs bounds the jobs that wait. Each holds its caller's request in memory, some
// 20 kB, and a disk that hangs for seconds must not fill the memory. A batch
// of that many takes well under a second.
const maxJobs = 2048

// queue holds the jobs that no transaction has taken.
type queue struct {
	mu     sync.Mutex
	jobAdded sync.Cond
	jobs   []*job
	closeReason error // the reason why the queue is closed; nil while it is open
}

func (q *queue) init() { q.jobAdded.L = &q.mu }

// add queues a job. It returns idp.ErrBusy if maxJobs wait. A job whose caller has gone counts
// until it is taken.
func (q *queue) add(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closeReason != nil:
		return q.closeReason
	case len(q.jobs) >= maxJobs:
		return idp.ErrBusy
	}
	q.jobs = append(q.jobs, j)
	q.jobAdded.Signal()
	return nil
}

// take waits for jobs and returns all whose callers still wait. It returns false once the queue
// is closed and empty. It reuses the memory of the previous batch.
func (q *queue) take(old []*job) ([]*job, bool) {
	clear(old)
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 {
		if q.closeReason != nil {
			return nil, false
		}
		q.jobAdded.Wait()
	}
	batch := q.jobs
	q.jobs = old[:0]
	return slices.DeleteFunc(batch, func(j *job) bool { return !j.isClaimed.CompareAndSwap(false, true) }), true
}

// close makes the queue refuse jobs with why. The reason of the first call stays.
func (q *queue) close(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closeReason == nil {
		q.closeReason = why
	}
	q.jobAdded.Signal()
}

func (q *queue) readFailure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closeReason
}

// update runs a change, appends events, and returns once both are durable or certain not to
// happen. If ctx ends before the committer has taken the change, it never runs. If ctx ends
// later, update still waits for the outcome. It returns idp.ErrBusy if too many changes wait.
func (s *Store) update(ctx context.Context, events []idp.AuditEvent, change func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{change: change, events: events, done: make(chan struct{})}
	if err := s.queue.add(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.isClaimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.done
	}
	if e, ok := errors.AsType[*panicError](j.err); ok {
		panic(e.value)
	}
	if j.err == nil {
		s.changes.Add(1)
	}
	return j.err
}

// Changes returns the number of changes since Open, each one durable. It measures the cost
// of the callers, however many of them shared a transaction.
func (s *Store) Changes() uint64 { return s.changes.Load() }
