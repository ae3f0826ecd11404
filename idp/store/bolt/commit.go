package bolt

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
)

// Commits are grouped. A change is queued as a job and its caller waits. The committer, one
// goroutine per store, takes all queued jobs and runs them one after the other in one
// transaction. While it syncs that transaction, the next jobs queue up. A single change
// is committed at once.
//
//	caller: update --> queue --> wait .................. --> outcome
//	committer:           take all, stage + flush each, commit, answer all
//
// A job that fails has written nothing (see writer) and does not affect the others. If a write
// fails, the transaction is abandoned and the other jobs run again without that job, so a change
// may run more than once.

// runCommitter commits the queued changes batch by batch until the queue is closed.
func (s *Store) runCommitter() {
	defer close(s.committerDone)
	debug.SetPanicOnFault(true) // a fault in the mapped file would end the process
	c := &committer{store: s}
	var batch []*job
	for ok := true; ok; {
		batch, ok = s.queue.take(batch)
		c.commitBatch(batch)
		// Callers with a result may queue another change now, which makes fuller batches and
		// delays no one.
		runtime.Gosched()
	}
}

// committer is the state of the committer goroutine between batches.
type committer struct {
	store *Store
	// tail is the end of the audit trail as last committed; nil before it
	// is read.
	tail *audit.Place
	// writeErr is the error that stopped all writes; nil without one.
	writeErr error
	ops      []op
}

// commitBatch runs every job of the batch and answers its caller.
func (c *committer) commitBatch(batch []*job) {
	pending := batch
	for len(pending) > 0 {
		failedJob, err := c.attemptJobs(pending)
		if failedJob == nil {
			if err != nil {
				c.store.health.failures.Add(uint64(len(pending)))
			}
			for _, j := range pending {
				j.answerJob(err)
			}
			return
		}
		c.store.log.Error("a change could not be written", "err", err)
		failedJob.answerJob(err)
		pending = slices.DeleteFunc(slices.Clone(pending), func(j *job) bool { return j == failedJob })
	}
}

// answerJob ends the wait of the job's caller. err is the error of the transaction, nil if it
// succeeded.
func (j *job) answerJob(err error) {
	if err != nil {
		j.err = err
	}
	close(j.done)
}

// attemptJobs runs jobs in one transaction. It returns the job whose write failed, if any. In
// that case the transaction changes nothing. An error without a job concerns all jobs.
func (c *committer) attemptJobs(jobs []*job) (failedJob *job, err error) {
	if c.writeErr != nil {
		return nil, c.writeErr
	}
	tx, err := c.store.db.Begin(true)
	if err != nil {
		return nil, fmt.Errorf("begin a change of the store: %w: %w", idp.ErrNotWritten, err)
	}
	w := &writer{reader: *c.store.newReader(tx), ops: c.ops, messages: make(map[message]idp.RequestHandle)}
	end := c.tail
	defer func() {
		if v := recover(); v != nil {
			if err = convertPanic(v); err != nil {
				failedJob = nil
				c.stopDamaged(err)
			} else {
				err = fmt.Errorf("write to the store: panic: %v", v)
			}
		}
		if err != nil {
			c.rollbackTx(tx)
		}
		c.ops = w.ops[:0]
	}()

	hasChanges := false
	for _, j := range jobs {
		var damage error
		if j.err, damage = w.stageJob(j); damage != nil {
			c.stopDamaged(damage)
			return nil, damage
		}
		if j.err != nil || len(w.ops)+len(j.events)+len(w.events) == 0 {
			continue
		}
		hasChanges = true
		failedJob = j
		if err = w.flush(); err != nil {
			return failedJob, err
		}
		if end, err = w.appendEvents(end, slices.Concat(j.events, w.events)); err != nil {
			return failedJob, err
		}
		failedJob = nil
		if w.nextRing != nil {
			w.ring = w.nextRing
		}
	}
	if !hasChanges {
		return nil, tx.Rollback()
	}
	// The commit shows whether the disk accepts changes.
	defer func() { c.store.health.recordResult(c.store.clock.Now(), err) }()
	if end != c.tail {
		if err = w.putHead(*end); err != nil {
			return nil, err
		}
	}
	if w.ring == c.store.findRing(tx) {
		err = c.syncTx(tx)
	} else {
		err = c.store.commitRing(tx, w.ring, c.syncTx)
	}
	if err != nil {
		return nil, err
	}
	c.tail = end
	c.store.messages.merge(w.messages, w.isMessagesCleared)
	return nil, nil
}

// panicError is the error of a change that panicked. update repeats the panic in its caller, so
// that it does not end the committer.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("change panicked: %v", e.value) }

// stageJob runs the job's change. If it returns nil, the queued writes are in w.ops. damage is an
// error after which no further change may be made.
func (w *writer) stageJob(j *job) (err, damage error) {
	clear(w.ops)
	w.ops, w.events, w.err, w.nextRing = w.ops[:0], nil, nil, nil
	defer func() {
		if v := recover(); v != nil {
			if damage = convertPanic(v); damage == nil {
				err = &panicError{value: v}
			}
		}
	}()
	if err := j.change(w); err != nil {
		return err, nil
	}
	return w.err, nil
}

// stopDamaged ends all changes, see Store.stopDamaged.
func (c *committer) stopDamaged(err error) {
	c.writeErr = err
	c.store.stopDamaged(err)
}

// rollbackTx abandons a transaction that may have ended. If bbolt fails to do so after a panic, it
// keeps its lock, and only the end of the process releases the file.
func (c *committer) rollbackTx(tx *bbolt.Tx) {
	defer func() {
		if v := recover(); v != nil {
			c.stopDamaged(damagedError("%v", v))
			c.store.isStuck.Store(true)
		}
	}()
	_ = tx.Rollback() // an error means that it has ended
}

// syncTx commits. If the commit fails, usually nothing was written, for example because the disk is
// full, and the store stays open. If only the sync failed after the transaction reached the file,
// bbolt shows a change that a crash may undo. The store then stops, and the next process that
// opens it finds out whether the change is durable.
func (c *committer) syncTx(tx *bbolt.Tx) (err error) {
	id := tx.ID()
	defer func() {
		if v := recover(); v != nil {
			if err = convertPanic(v); err != nil {
				c.stopDamaged(err)
				return
			}
			err = fmt.Errorf("panic: %v", v)
		} else if err == nil {
			return
		}
		err = fmt.Errorf("commit to the store: %w: %w", idp.ErrNotWritten, err)
		if c.isInDoubt(id) {
			c.writeErr = fmt.Errorf("the store has stopped; restart Vernal to use it: %w", err)
			c.store.queue.close(c.writeErr)
			c.store.log.Error("the store has stopped because it is unknown whether a change is durable; restart Vernal", "err", err)
		}
	}()
	return tx.Commit()
}

// isInDoubt reports whether the transaction may be visible.
func (c *committer) isInDoubt(id int) bool {
	tx, err := c.store.db.Begin(false)
	if err != nil {
		return true
	}
	visibleID := tx.ID()
	return tx.Rollback() != nil || visibleID >= id
}
