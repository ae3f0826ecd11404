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
	seen, err := readValue(ctx, s, func(r *reader) (idp.StoreExamination, error) { return r.examine(after, limit) })
	if err != nil {
		seen.Next = after
	}
	return seen, err
}

// examine reads the buckets in their order. Damaged pages make the library panic, or the
// machine report a fault where the file was cut.
func (r *reader) examine(after idp.StorePlace, limit int) (seen idp.StoreExamination, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	place := after
	defer func() {
		if p := recover(); p != nil {
			err = &unreadableError{fmt.Sprintf("bucket %v: %v", bucket(place.Part), p)}
		}
	}()
	for b := bucket(place.Part); b >= 0 && b < bucketCount; b = bucket(place.Part) {
		for key, value := range r.scanAfter(b, []byte(place.Key)) {
			if seen.Records == limit {
				seen.Next = place
				return seen, nil
			}
			if len(key) == 0 || string(key) <= place.Key {
				return seen, &unreadableError{fmt.Sprintf("the keys of bucket %v are not in order", b)}
			}
			place.Key = string(key)
			seen.Records++
			if err := r.examineRecord(b, key, value); errors.Is(err, idp.ErrTampered) {
				seen.Tampered = append(seen.Tampered, b.String())
			} else if err != nil {
				return seen, &unreadableError{err.Error()}
			}
		}
		place = idp.StorePlace{Part: place.Part + 1}
	}
	return seen, nil
}

// unreadableError is an idp.ErrDamaged that names the place.
type unreadableError struct{ place string }

func (e *unreadableError) Error() string { return e.place }

func (e *unreadableError) Unwrap() error { return idp.ErrDamaged }

// examineRecord returns an error for a record that is not as this store wrote it.
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
