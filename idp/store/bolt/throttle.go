package bolt

import (
	"context"
	"encoding/json"
	"time"

	"vernal/idp"
)

// throttleKey hides what is counted: it may be an address or a name that a
// stranger typed.
func (s *Store) throttleKey(key string) []byte {
	return s.ring.Hash("throttle", []byte(key))
}

// throttle reads a counter; stored is its ExpiresAt even if that is past.
func (r *reader) throttle(key []byte, now time.Time) (t idp.Throttle, stored time.Time, err error) {
	value, err := r.get(inThrottles, key)
	if value == nil {
		return t, stored, err
	}
	if err := json.Unmarshal(value, &t); err != nil {
		return idp.Throttle{}, stored, corrupt(inThrottles, key, err)
	}
	stored = t.ExpiresAt
	if !stored.After(now) {
		t = idp.Throttle{}
	}
	return t, stored, nil
}

// UpdateThrottle changes a counter.
func (s *Store) UpdateThrottle(ctx context.Context, key string, now time.Time, change func(*idp.Throttle) error) error {
	hashed := s.throttleKey(key)
	return s.update(ctx, nil, func(w *writer) error {
		t, stored, err := w.throttle(hashed, now)
		if err != nil {
			return err
		}
		if err := apart(func() error { return change(&t) }); err != nil {
			return err
		}
		if !w.has(inThrottles, hashed) {
			w.put(inExpiry, expiryKey(t.ExpiresAt, throttleKind, hashed), nil)
		} else {
			w.moveExpiry(throttleKind, hashed, stored, t.ExpiresAt)
		}
		w.putJSON(inThrottles, hashed, &t)
		return nil
	})
}

// Throttle reads a counter.
func (s *Store) Throttle(ctx context.Context, key string, now time.Time) (t idp.Throttle, err error) {
	hashed := s.throttleKey(key)
	err = s.view(ctx, func(r *reader) error {
		t, _, err = r.throttle(hashed, now)
		return err
	})
	return t, err
}

// ClearThrottle forgets a counter.
func (s *Store) ClearThrottle(ctx context.Context, key string) error {
	hashed := s.throttleKey(key)
	return s.update(ctx, nil, func(w *writer) error {
		_, stored, err := w.throttle(hashed, time.Time{})
		if err != nil {
			return err
		}
		if w.has(inThrottles, hashed) {
			w.delete(inThrottles, hashed)
			w.delete(inExpiry, expiryKey(stored, throttleKind, hashed))
		}
		return nil
	})
}
