package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/idptest/fixture"
	"vernal/idp/store/bolt"
)

// A full disk fails changes with an error of their own, loses nothing that was acknowledged,
// and needs no restart once there is space.
func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	dir, fill, free := fixture.MountSmallDisk(t)
	now := start
	o := options(t)
	o.Clock = func() time.Time { return now }
	s, err := bolt.Open(filepath.Join(dir, "vernal.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	written := map[string]bool{}
	n := 0
	put := func() error {
		n++
		key := fmt.Sprint("k", n)
		err := s.UpdateDocuments(t.Context(), "test", []string{key}, func(d *idp.Document) error {
			d.Data = bytes.Repeat([]byte{1}, 5000)
			return nil
		}, idp.AuditEvent{Kind: idp.AuditKind(key)})
		if err == nil {
			written[key] = true
		}
		return err
	}
	for round := range 3 {
		for range 5 {
			if err := put(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := s.CheckWrites(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		fill()
		failures := s.WriteFailures()
		failed := 0
		for range 100 {
			if err := put(); err != nil {
				failed++
				if !errors.Is(err, idp.ErrNotWritten) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("round %d: %v", round, err)
				}
			}
		}
		if failed == 0 || s.WriteFailures() != failures+uint64(failed) {
			t.Errorf("round %d: %d failed, counted %d", round, failed, s.WriteFailures()-failures)
		}
		if err := s.CheckWrites(t.Context()); !errors.Is(err, idp.ErrNotWritten) {
			t.Errorf("round %d: writes are checked: %v", round, err)
		}
		now = now.Add(time.Minute) // the probe writes
		if err := s.CheckWrites(t.Context()); !errors.Is(err, idp.ErrNotWritten) {
			t.Errorf("round %d: writes are probed: %v", round, err)
		}
		checkDocuments(t, s, written)
		free()
		if err := s.CheckWrites(t.Context()); !errors.Is(err, idp.ErrNotWritten) {
			t.Errorf("round %d: the result of a probe is not kept: %v", round, err)
		}
		now = now.Add(time.Minute)
		if err := s.CheckWrites(t.Context()); err != nil {
			t.Errorf("round %d: with space again: %v", round, err)
		}
	}
	last, err := verifyTrail(t.Context(), s, audit.Place{})
	if err != nil || last.Seq < uint64(len(written)) {
		t.Errorf("audit trail to %d, %d changes: %v", last.Seq, len(written), err)
	}
	closeStore(t, s)
	again, err := bolt.Open(filepath.Join(dir, "vernal.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, again)
	checkDocuments(t, again, written)
	if after, err := verifyTrail(t.Context(), again, audit.Place{}); err != nil || after != last {
		t.Errorf("audit trail after opening: %v, %v, want %v", after, err, last)
	}
}

func checkDocuments(t *testing.T, s *bolt.Store, want map[string]bool) {
	t.Helper()
	docs, err := s.Documents(t.Context(), "test", idp.DocumentQuery{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if !want[d.Key] {
			t.Errorf("%s is there, but was refused", d.Key)
		}
	}
	if len(docs) != len(want) {
		t.Errorf("%d documents, want %d", len(docs), len(want))
	}
}
