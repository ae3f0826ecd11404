package bolt_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
	"vernal/idp/store/storetest"
)

var start = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// options returns the options of every test: one key, one time.
func options(tb testing.TB) bolt.Options {
	tb.Helper()
	key, err := seal.NewMaster(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return bolt.Options{Masters: seal.NewMasters(key), Clock: func() time.Time { return start }}
}

func open(tb testing.TB, dir string) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(filepath.Join(dir, "vernal.db"), options(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func closeStore(tb testing.TB, s idp.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Error(err)
	}
}

func TestBoltKeepsStoreContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, dir string) idp.OwnedStore { return open(t, dir) })
}
