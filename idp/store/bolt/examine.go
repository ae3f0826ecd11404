package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"vernal/idp"
)

var _ idp.StoreExaminer = (*Store)(nil)

// Examine checks the next records: MACs of guarded buckets, seals of users and profiles, and the
// form of all others that have one.
func (s *Store) Examine(ctx context.Context, after idp.StorePlace, limit int) (idp.StoreExamination, error) {
	result, err := readValue(ctx, s, func(r *reader) (idp.StoreExamination, error) { return r.examine(after, limit) })
	if err != nil {
		result.Next = after
	}
	return result, err
}

// examine reads the buckets in their order. Damaged pages make bbolt panic, and a file that
// was cut short causes a memory fault.
func (r *reader) examine(after idp.StorePlace, limit int) (result idp.StoreExamination, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	place := after
	defer func() {
		if panicValue := recover(); panicValue != nil {
			err = &unreadableError{fmt.Sprintf("bucket %v: %v", bucket(place.Part), panicValue)}
		}
	}()
	for b := bucket(place.Part); b >= 0 && b < bucketCount; b = bucket(place.Part) {
		for key, value := range r.scanAfter(b, []byte(place.Key)) {
			if result.Records == limit {
				result.Next = place
				return result, nil
			}
			if len(key) == 0 || string(key) <= place.Key {
				return result, &unreadableError{fmt.Sprintf("the keys of bucket %v are not in order", b)}
			}
			place.Key = string(key)
			result.Records++
			if err := r.examineRecord(b, key, value); errors.Is(err, idp.ErrTampered) {
				result.Tampered = append(result.Tampered, b.String())
			} else if err != nil {
				return result, &unreadableError{err.Error()}
			}
		}
		place = idp.StorePlace{Part: place.Part + 1}
	}
	return result, nil
}

// unreadableError is an idp.ErrDamaged with the place of the damage.
type unreadableError struct{ place string }

func (e *unreadableError) Error() string { return e.place }

func (e *unreadableError) Unwrap() error { return idp.ErrDamaged }

// examineRecord returns an error for a record that this store did not write.
func (r *reader) examineRecord(b bucket, key, value []byte) (err error) {
	switch b {
	case inUsers:
		_, err = openSealed[idp.User](r, b, idp.UserID(key), value)
	case inProfiles:
		_, err = openSealed[idp.Profile](r, b, idp.UserID(key), value)
	default:
		value, err = r.verifyValue(b, key, value)
		if err != nil {
			return err
		}
		switch b {
		case inSessions:
			_, err = decodeValue[idp.Session](b, key, value)
		case inRequests:
			_, err = decodeValue[idp.LoginRequest](b, key, value)
		case inProviders:
			_, err = decodeValue[idp.ServiceProvider](b, key, value)
		}
	}
	return err
}
