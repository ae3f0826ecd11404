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
// transaction. While that one is being synced the next jobs queue up. A change that comes alone
// is committed at once.
//
//	caller: update --> queue --> wait .................. --> outcome
//	committer:           take all, stage + flush each, commit, answer all
//
// A job that fails has written nothing (see writer) and the others go on. If writing itself
// breaks at a job, the transaction is abandoned and the others run again without it: a change may
// run more than once.

// runCommitter commits the queued changes batch by batch until the queue is closed.
func (s *Store) runCommitter() {
	defer close(s.committerDone)
	debug.SetPanicOnFault(true) // a fault in the mapped file would end the process
	c := &committer{store: s}
	var batch []*job
	for ok := true; ok; {
		batch, ok = s.queue.take(batch)
		c.commitBatch(batch)
		// Callers that just got their answer may have another change. Letting them queue it
		// first makes fuller batches and delays no one.
		runtime.Gosched()
	}
}

// committer is the state of the committer goroutine between batches.
type committer struct {
	store *Store
	// tail is the end of the audit trail as last committed; nil if it was not
	// read yet.
	tail *audit.Place
	// writeErr is the error that stopped all writes; nil before.
	writeErr error
	ops    []op
}

// commitBatch brings every job of the batch to its outcome.
func (c *committer) commitBatch(batch []*job) {
	rest := batch
	for len(rest) > 0 {
		culprit, err := c.attemptJobs(rest)
		if culprit == nil {
			if err != nil {
				c.store.health.failures.Add(uint64(len(rest)))
			}
			for _, j := range rest {
				j.answerJob(err)
			}
			return
		}
		c.store.log.Error("a change could not be written", "err", err)
		culprit.answerJob(err)
		rest = slices.DeleteFunc(slices.Clone(rest), func(j *job) bool { return j == culprit })
	}
}

// answerJob gives the job its outcome: err if its transaction failed, otherwise the result of the
// change.
func (j *job) answerJob(err error) {
	if err != nil {
		j.err = err
	}
	close(j.done)
}

// attemptJobs runs jobs in one transaction. It returns the job at which writing broke, if any. In
// that case the transaction changes nothing. An error without a job concerns all of them.
func (c *committer) attemptJobs(jobs []*job) (culprit *job, err error) {
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
				culprit = nil
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

	changed := false
	for _, j := range jobs {
		var damage error
		if j.err, damage = w.stageJob(j); damage != nil {
			c.stopDamaged(damage)
			return nil, damage
		}
		if j.err != nil || len(w.ops)+len(j.events)+len(w.events) == 0 {
			continue
		}
		changed = true
		culprit = j
		if err = w.flush(); err != nil {
			return culprit, err
		}
		if end, err = w.appendEvents(end, slices.Concat(j.events, w.events)); err != nil {
			return culprit, err
		}
		culprit = nil
		if w.nextRing != nil {
			w.ring = w.nextRing
		}
	}
	if !changed {
		return nil, tx.Rollback()
	}
	// The rest shows whether the disk accepts changes.
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

// panicError is the outcome of a change that panicked. update repeats the panic in its
// caller. It must not end the committer.
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

// rollbackTx abandons a transaction that may have ended. If bbolt cannot after a panic, it still
// holds its lock, and the file is released when the process ends.
func (c *committer) rollbackTx(tx *bbolt.Tx) {
	defer func() {
		if v := recover(); v != nil {
			c.stopDamaged(damagedError("%v", v))
			c.store.isStuck.Store(true)
		}
	}()
	_ = tx.Rollback() // an error means that it is ended already
}

// syncTx commits. If the commit fails, usually nothing was written (the disk was full, for
// example), and the store goes on. If the end of the transaction reached the file and only the
// sync failed, bbolt shows the change although it may be gone after a crash. The store then
// stops: the process that opens it next finds the change or finds it missing.
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
			c.writeErr = fmt.Errorf("store is stopped, restart to use it: %w", err)
			c.store.queue.close(c.writeErr)
			c.store.log.Error("store is stopped: it is unknown whether a change is durable", "err", err)
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
	seen := tx.ID()
	return tx.Rollback() != nil || seen >= id
}
