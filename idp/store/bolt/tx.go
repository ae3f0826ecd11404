package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
	"vernal/idp/seal"
)

// newReader reads in one transaction. The bytes that it returns belong to the transaction, so a
// result that outlives it must be a copy.
type reader struct {
	store *Store
	tx    *bbolt.Tx
	// ring is the ring keys in force in the transaction.
	ring    *seal.Ring
	buckets [bucketCount]*bbolt.Bucket
}

// view runs a look-up.
func (s *Store) view(ctx context.Context, look func(*reader) error) (err error) {
	if err := s.checkAvailable(ctx); err != nil {
		return err
	}
	tx, err := s.db.Begin(false)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	defer func() {
		if v := recover(); v != nil {
			if err = convertPanic(v); err == nil {
				panic(v)
			}
			s.stopDamaged(err)
		}
	}()
	defer tx.Rollback()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a fault in the mapped file would end the process
	return look(s.newReader(tx))
}

// readValue is view for a look-up with a result, which is the zero value if there is an
// error.
func readValue[T any](ctx context.Context, s *Store, look func(*reader) (T, error)) (out T, err error) {
	err = s.view(ctx, func(r *reader) error {
		found, err := look(r)
		if err == nil {
			out = found
		}
		return err
	})
	return out, err
}

// changeValue is update for a change with a result, which is the zero value if there is an
// error.
func changeValue[T any](ctx context.Context, s *Store, events []idp.AuditEvent, change func(*writer) (T, error)) (out T, err error) {
	var made T
	err = s.update(ctx, events, func(w *writer) (err error) {
		made, err = change(w)
		return err
	})
	if err == nil {
		out = made
	}
	return out, err
}

func (s *Store) newReader(tx *bbolt.Tx) *reader { return &reader{store: s, tx: tx, ring: s.findRing(tx)} }

// checkAvailable returns the error that prevents look-ups, or nil.
func (s *Store) checkAvailable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.queue.readFailure()
}

func (r *reader) bucket(b bucket) *bbolt.Bucket {
	if r.buckets[b] == nil {
		r.buckets[b] = r.tx.Bucket([]byte(b.String())) // Open saw that it is there
	}
	return r.buckets[b]
}

// get reads a value, nil if the key is missing. In a guarded bucket it returns the part of
// the value that its MAC covers, or idp.ErrTampered if the MAC does not match.
func (r *reader) get(b bucket, key []byte) ([]byte, error) {
	value := r.bucket(b).Get(key)
	if value == nil {
		return nil, nil
	}
	return r.verifyValue(b, key, value)
}

// find is get for a value that must exist. It returns idp.ErrNotFound if it is missing.
func (r *reader) find(b bucket, key []byte) ([]byte, error) {
	value, err := r.get(b, key)
	if value == nil && err == nil {
		err = missingError(b)
	}
	return value, err
}

// verifyValue returns the content of a stored value.
func (r *reader) verifyValue(b bucket, key, value []byte) ([]byte, error) {
	if !b.isGuarded() {
		return value, nil
	}
	content, err := r.ring.Verify(guardKinds[b], key, value)
	if err != nil {
		return nil, r.store.tamperedError(b, key)
	}
	return content, nil
}

// has reports whether something is stored under the key. A value whose MAC does not match counts,
// so that no change writes in its place.
func (r *reader) has(b bucket, key []byte) bool {
	return r.bucket(b).Get(key) != nil
}

// decode reads a record. It returns idp.ErrNotFound if the record is missing.
func decode[R any](r *reader, b bucket, key []byte) (*R, error) {
	value, err := r.find(b, key)
	if err != nil {
		return nil, err
	}
	return decodeValue[R](b, key, value)
}

// decodeValue reads the content of a stored value: JSON, or the form in record.go.
func decodeValue[R any](b bucket, key, value []byte) (*R, error) {
	record, unmarshal := new(R), json.Unmarshal
	if b.hasRecordForm() {
		unmarshal = decodeRecord
	}
	if err := unmarshal(value, record); err != nil {
		return nil, corruptError(b, key, err)
	}
	return record, nil
}

// decodeOptional is decode for a record that may be missing. It then returns nil.
func decodeOptional[R any](r *reader, b bucket, key []byte) (*R, error) {
	record, err := decode[R](r, b, key)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, nil
	}
	return record, err
}

// scan yields the entries whose keys begin with prefix, in order. It does not verify those
// of a guarded bucket: see verified.
func (r *reader) scan(b bucket, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := r.bucket(b).Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// scanAfter yields the entries whose keys sort after the given one, in order. It does not
// verify those of a guarded bucket.
func (r *reader) scanAfter(b bucket, after []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := r.bucket(b).Cursor()
		k, v := c.Seek(after)
		if k != nil && bytes.Equal(k, after) {
			k, v = c.Next()
		}
		for ; k != nil && yield(k, v); k, v = c.Next() {
		}
	}
}

// writer is the store as one change sees it. It reads the results of earlier changes in the
// transaction and queues its own writes. They are written only after the change has returned nil,
// so a change that fails or panics changes nothing and does not harm the others in its
// transaction. A change does not see its own queued writes.
type writer struct {
	reader
	ops    []op
	events []idp.AuditEvent // that the change decided, in addition to those of its job
	err    error            // of the first note that could never be written
	// messages contains the changes of this transaction to the store's index of messages: a
	// handle, or "" for a removed request.
	messages map[message]idp.RequestHandle
	// isMessagesCleared says that all messages from before the transaction are removed.
	isMessagesCleared bool
	// nextRing contains the ring keys that the change puts in force; nil for none. They hold
	// for the changes after it.
	nextRing *seal.Ring
}

// op is one queued write: value for key, or nil to delete it. An op in inRequests that adds
// or removes a request has its message too.
type op struct {
	bucket         bucket
	key, value []byte
	message    *message
	// hasMAC says that the value has its MAC.
	hasMAC bool
	// isClear removes everything in the bucket, and has no key.
	isClear bool
}

// put notes a value. Key and value must not be changed afterwards. In a guarded bucket the value
// gets its MAC, so a value derived from a stored one must come from get, which verifies it.
func (w *writer) put(b bucket, key, value []byte) {
	if w.err == nil && (len(key) == 0 || len(key) > bbolt.MaxKeySize) {
		w.err = fmt.Errorf("a key of %d bytes cannot be kept in %v", len(key), b)
	}
	if value == nil {
		value = []byte{}
	}
	w.ops = append(w.ops, op{bucket: b, key: key, value: value})
}

// putProtected notes a value that has its MAC.
func (w *writer) putProtected(b bucket, key, value []byte) {
	w.put(b, key, value)
	w.ops[len(w.ops)-1].hasMAC = true
}

func (w *writer) putJSON(b bucket, key []byte, record any) {
	value, err := json.Marshal(record)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode record for %v: %w", b, err)
	}
	w.put(b, key, value)
}

func (w *writer) delete(b bucket, key []byte) {
	w.ops = append(w.ops, op{bucket: b, key: key})
}

// clear notes the removal of everything in a bucket.
func (w *writer) clear(b bucket) {
	w.ops = append(w.ops, op{bucket: b, isClear: true})
}

// flushClear empties a bucket.
func (w *writer) flushClear(b bucket) error {
	name := []byte(b.String())
	err := w.tx.DeleteBucket(name)
	if err == nil {
		w.buckets[b], err = w.tx.CreateBucket(name)
	}
	if err != nil {
		return fmt.Errorf("empty %v: %w", b, err)
	}
	if b == inRequests {
		w.isMessagesCleared = true
		clear(w.messages)
	}
	return nil
}

// flush writes the queued ops.
func (w *writer) flush() error {
	for _, o := range w.ops {
		if o.isClear {
			if err := w.flushClear(o.bucket); err != nil {
				return err
			}
			continue
		}
		if o.message != nil {
			h := idp.RequestHandle(o.key)
			if o.value == nil {
				h = ""
			}
			w.messages[*o.message] = h
		}
		if o.value == nil {
			if err := w.bucket(o.bucket).Delete(o.key); err != nil {
				return fmt.Errorf("delete from %v: %w", o.bucket, err)
			}
			continue
		}
		b, value := w.bucket(o.bucket), o.value
		if o.bucket.isAppendOnly() {
			b.FillPercent = 0.95
		}
		if o.bucket.isGuarded() && !o.hasMAC {
			value = w.ring.Protect(guardKinds[o.bucket], o.key, value)
		}
		if err := b.Put(o.key, value); err != nil {
			return fmt.Errorf("write to %v: %w", o.bucket, err)
		}
	}
	return nil
}

// missingError returns the error of a look-up in b. It names no key, because some keys are
// secret or personal, and the caller knows the key.
func missingError(b bucket) error {
	return fmt.Errorf("%v: %w", b, idp.ErrNotFound)
}

func existsError(b bucket) error {
	return fmt.Errorf("%v: %w", b, idp.ErrExists)
}

// corruptError returns the error for a value that this package did not write.
func corruptError(b bucket, key []byte, err error) error {
	return fmt.Errorf("%w: bucket %v, key %.100q: %w", idp.ErrDamaged, b, key, err)
}
