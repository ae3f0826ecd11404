package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"vernal/idp"
)

// moveExpiry queues the move of a record's expiry from one time to another. A zero time means
// that the record does not expire.
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

// Sweep removes up to limit expired records, the oldest first. It
// walks the expiry index from its beginning, so the remaining records cost nothing. The IP addresses
// in the audit trail come last.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (count int, err error) {
	return changeValue(ctx, s, nil, func(w *writer) (count int, err error) {
		end := appendTime(nil, now)
		for key := range w.scan(inExpiry, nil) {
			if count >= limit {
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
			isExpired, err := w.expire(entry, kind(entry[timeLen]), entry[timeLen+1:])
			if err != nil {
				return 0, err
			}
			if isExpired {
				count++
			}
			w.delete(inExpiry, entry)
		}
		return count + w.sweepIPAddresses(now, limit-count), nil
	})
}

// expire queues the removal of a record because of its index entry. It returns false if only the
// entry is superfluous, because the record has another one or is missing.
func (w *writer) expire(entry []byte, k kind, record []byte) (bool, error) {
	isCurrent := func(at time.Time) bool { return bytes.Equal(entry, expiryKey(at, k, record)) }
	var err error
	switch k {
	case sessionKind:
		var sess *idp.Session
		if sess, err = w.readSession(idp.SessionID(record)); err == nil && isCurrent(computeSweepTime(sess)) {
			w.deleteSession(sess)
			return true, nil
		}
	case requestKind:
		var req *idp.LoginRequest
		if req, err = decode[idp.LoginRequest](&w.reader, inRequests, record); err == nil && isCurrent(req.ExpiresAt) {
			w.deleteRequest(req)
			return true, nil
		}
	case logoutKind:
		var req *idp.LogoutRequest
		if req, err = decode[idp.LogoutRequest](&w.reader, inLogouts, record); err == nil && isCurrent(req.ExpiresAt) {
			w.deleteLogout(req)
			return true, nil
		}
	case documentKind:
		var value []byte
		if value, err = w.find(inDocuments, record); err == nil && len(value) > timeLen && isCurrent(decodeTime(value)) {
			w.delete(inDocuments, record)
			return true, nil
		}
	}
	switch {
	case errors.Is(err, idp.ErrTampered):
		// The end of a forged record is unknown, and no one needs the record.
		w.delete(kindBuckets[k], record)
		return true, nil
	case errors.Is(err, idp.ErrNotFound):
		w.delete(kindBuckets[k], record) // a session that is missing in the index of its user
		return false, nil
	}
	return false, err
}
