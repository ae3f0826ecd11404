package bolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/store/bolt"
)

// TestRestoredAtFollowsClockSetBack restores with a clock that is a year ahead. Once it is right,
// the time of the restore must not be in the future: no message and no code would be accepted
// for a year.
func TestRestoredAtFollowsClockSetBack(t *testing.T) {
	t.Parallel()
	now := start.AddDate(1, 0, 0)
	o := options(t)
	o.Clock = func() time.Time { return now }
	name := filepath.Join(t.TempDir(), "vernal.db")
	s, err := bolt.Open(name, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), idp.Restore{At: now}); err != nil {
		t.Fatal(err)
	}
	want := func(at time.Time) {
		t.Helper()
		if got := s.RestoredAt(); !got.Equal(at) {
			t.Errorf("at %v: restored at %v, want %v", now, got, at)
		}
	}
	now = start
	want(start)
	now = start.Add(time.Hour)
	want(start)
	closeStore(t, s)
	if s, err = bolt.Open(name, o); err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	want(start.Add(time.Hour))
}
