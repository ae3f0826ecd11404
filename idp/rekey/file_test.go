package rekey_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func file(t *testing.T, dir string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "vernal.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	ok(t, err)
	return db
}

// forge changes records as a writer of the file would.
func forge(t *testing.T, dir string) {
	t.Helper()
	db := file(t, dir)
	defer db.Close()
	ok(t, db.Update(func(tx *bbolt.Tx) error {
		flip := func(bucket, key string) error {
			b := tx.Bucket([]byte(bucket))
			value := bytes.Clone(b.Get([]byte(key)))
			if value == nil {
				return errors.New("no " + bucket + " " + key)
			}
			value[len(value)/2] ^= 1
			return b.Put([]byte(key), value)
		}
		return errors.Join(
			flip("providers", "https://sp.example"),
			flip("users", string(userID(1))),
			flip("profiles", string(userID(2))),
			flip("name-ids", "\x00\x08agency:A"+string(userID(3))),
			flip("sessions", "session"),
		)
	}))
}

// changed fails if a value with a MAC, or a sealed one, is in both files.
func changed(t *testing.T, old, now string) {
	t.Helper()
	before, after := file(t, old), file(t, now)
	defer before.Close()
	defer after.Close()
	seen := 0
	ok(t, before.View(func(o *bbolt.Tx) error {
		return after.View(func(n *bbolt.Tx) error {
			for _, name := range []string{"meta", "ring-keys", "user-keys", "users", "profiles", "user-emails", "providers", "name-ids", "name-id-users", "sessions", "documents"} {
				err := o.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
					seen++
					if bytes.Equal(n.Bucket([]byte(name)).Get(k), v) {
						t.Errorf("%s %q was not written again", name, k)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}))
	if seen < 5*users {
		t.Errorf("%d values compared", seen)
	}
}

// restoreUser copies what an old file holds of a user into the one in use.
func restoreUser(t *testing.T, old, now, user string) {
	t.Helper()
	from, to := file(t, old), file(t, now)
	defer from.Close()
	defer to.Close()
	ok(t, from.View(func(o *bbolt.Tx) error {
		return to.Update(func(n *bbolt.Tx) error {
			for _, name := range []string{"user-keys", "users", "profiles"} {
				value := o.Bucket([]byte(name)).Get([]byte(user))
				if value == nil {
					return errors.New("the old file has no " + name + " " + user)
				}
				if err := n.Bucket([]byte(name)).Put([]byte(user), value); err != nil {
					return err
				}
			}
			return nil
		})
	}))
}

func valueIn(t *testing.T, dir, bucket, key string) (value []byte) {
	t.Helper()
	db := file(t, dir)
	defer db.Close()
	ok(t, db.View(func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket([]byte(bucket)).Get([]byte(key)))
		return nil
	}))
	if value == nil {
		t.Fatalf("no %s %s", bucket, key)
	}
	return value
}

func setIn(t *testing.T, dir, bucket, key string, value []byte) {
	t.Helper()
	db := file(t, dir)
	defer db.Close()
	ok(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), value) }))
}
