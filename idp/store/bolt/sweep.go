package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"vernal/idp"
)

// moveExpiry notes that the end of a record moved from one time to another.
func (w *writer) moveExpiry(k kind, record []byte, before, after time.Time) {
	if before.Equal(after) {
		return
	}
	w.delete(inExpiry, expiryKey(before, k, record))
	w.put(inExpiry, expiryKey(after, k, record), nil)
}

// Sweep removes up to limit records that are past their end, those that ended
// first before the others. It walks the expiry index from its beginning, so
// records that stay cost nothing. The network addresses in the audit trail come
// last.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (removed int, err error) {
	err = s.update(ctx, nil, func(w *writer) error {
		removed = 0
		end := appendTime(nil, now)
		c := w.bucket(inExpiry).Cursor()
		for key, _ := c.First(); key != nil && removed < limit; key, _ = c.Next() {
			entry := bytes.Clone(key)
			if len(entry) <= timeLen+1 || !kind(entry[timeLen]).known() {
				_ = s.tampered(inExpiry, entry)
				w.delete(inExpiry, entry)
				continue
			}
			if bytes.Compare(entry[:timeLen], end) > 0 {
				break
			}
			gone, err := w.expire(entry, kind(entry[timeLen]), entry[timeLen+1:])
			if err != nil {
				return err
			}
			if gone {
				removed++
			}
			w.delete(inExpiry, entry)
		}
		removed += w.sweepAddresses(now, limit-removed)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// expire notes the removal of a record because of its index entry. An entry
// that is not the record's, or has none, is only an entry too many: false.
func (w *writer) expire(entry []byte, k kind, record []byte) (bool, error) {
	current := func(at time.Time) bool { return bytes.Equal(entry, expiryKey(at, k, record)) }
	var err error
	switch k {
	case sessionKind:
		var sess idp.Session
		if err = w.session(idp.SessionID(record), &sess); err == nil && current(due(&sess)) {
			w.deleteSession(&sess)
			return true, nil
		}
	case requestKind:
		var req idp.LoginRequest
		if err = w.request(idp.RequestHandle(record), &req); err == nil && current(req.ExpiresAt) {
			w.deleteRequest(&req)
			return true, nil
		}
	case throttleKind:
		var t idp.Throttle
		if err = w.decode(inThrottles, record, &t); err == nil && current(t.ExpiresAt) {
			w.delete(inThrottles, record)
			return true, nil
		}
	case logoutKind:
		var req idp.LogoutRequest
		if err = w.decode(inLogouts, record, &req); err == nil && current(req.ExpiresAt) {
			w.deleteLogout(&req)
			return true, nil
		}
	}
	switch {
	case errors.Is(err, idp.ErrTampered):
		// When it ends cannot be known. It opens nothing, so it goes now.
		w.delete(k.bucket(), record)
		return true, nil
	case errors.Is(err, idp.ErrNotFound):
		w.delete(k.bucket(), record) // a session that its index does not name any more
		return false, nil
	}
	return false, err
}

// known reports whether there are records of the kind.
func (k kind) known() bool {
	return k == sessionKind || k == requestKind || k == throttleKind || k == logoutKind
}

// bucket is where the records of the kind are.
func (k kind) bucket() bucket {
	switch k {
	case sessionKind:
		return inSessions
	case requestKind:
		return inRequests
	case throttleKind:
		return inThrottles
	}
	return inLogouts
}
