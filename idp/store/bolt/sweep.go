package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"vernal/idp"
)

// moveExpiry queues the move of a record's expiry from one time to another. The zero time
// means none.
func (w *writer) moveExpiry(k kind, record []byte, before, after time.Time) {
	if before.Equal(after) {
		return
	}
	if !before.IsZero() {
		w.delete(inExpiry, expiryKey(before, k, record))
	}
	if !after.IsZero() {
		w.put(inExpiry, expiryKey(after, k, record), nil)
	}
}

// Sweep removes up to limit records that are past their end, in the order in which they ended. It
// walks the expiry index from its beginning, so records that stay cost nothing. The IP addresses
// in the audit trail come last.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (removed int, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (removed int, err error) {
		end := appendTime(nil, now)
		for key := range w.scan(inExpiry, nil) {
			if removed >= limit {
				break
			}
			entry := bytes.Clone(key)
			if len(entry) <= timeLen+1 || kindBuckets[kind(entry[timeLen])] == 0 {
				_ = s.tamperedError(inExpiry, entry)
				w.delete(inExpiry, entry)
				continue
			}
			if bytes.Compare(entry[:timeLen], end) > 0 {
				break
			}
			gone, err := w.expire(entry, kind(entry[timeLen]), entry[timeLen+1:])
			if err != nil {
				return 0, err
			}
			if gone {
				removed++
			}
			w.delete(inExpiry, entry)
		}
		return removed + w.sweepIPAddresses(now, limit-removed), nil
	})
}

// expire queues the removal of a record because of its index entry. It returns false if only the
// entry is superfluous, because the record has another one or is missing.
func (w *writer) expire(entry []byte, k kind, record []byte) (bool, error) {
	current := func(at time.Time) bool { return bytes.Equal(entry, expiryKey(at, k, record)) }
	var err error
	switch k {
	case sessionKind:
		var sess *idp.Session
		if sess, err = w.readSession(idp.SessionID(record)); err == nil && current(computeSweepTime(sess)) {
			w.deleteSession(sess)
			return true, nil
		}
	case requestKind:
		var req *idp.LoginRequest
		if req, err = decode[idp.LoginRequest](&w.reader, inRequests, record); err == nil && current(req.ExpiresAt) {
			w.deleteRequest(req)
			return true, nil
		}
	case logoutKind:
		var req *idp.LogoutRequest
		if req, err = decode[idp.LogoutRequest](&w.reader, inLogouts, record); err == nil && current(req.ExpiresAt) {
			w.deleteLogout(req)
			return true, nil
		}
	case documentKind:
		var value []byte
		if value, err = w.find(inDocuments, record); err == nil && len(value) > timeLen && current(decodeTime(value)) {
			w.delete(inDocuments, record)
			return true, nil
		}
	}
	switch {
	case errors.Is(err, idp.ErrTampered):
		// Remove a forged record now, because its end is unknown and it opens nothing.
		w.delete(kindBuckets[k], record)
		return true, nil
	case errors.Is(err, idp.ErrNotFound):
		w.delete(kindBuckets[k], record) // a session that its index does not name any more
		return false, nil
	}
	return false, err
}
