package bolt_test

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// TestCutAuditTrailIsDetected takes records from the end of the trail, where the chain itself
// shows nothing: the next record leaves a gap.
func TestCutAuditTrailIsDetected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for range 5 {
		if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte("audit")).Cursor()
		c.Last()
		err := c.Delete()
		c.Last()
		return errors.Join(err, c.Delete())
	})
	s = open(t, dir)
	defer closeStore(t, s)
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
		t.Fatal(err)
	}
	var broken *audit.BrokenError
	if _, err := verifyTrail(t.Context(), s, audit.Place{}); !errors.As(err, &broken) || broken.Seq != 4 {
		t.Errorf("Verify = %v, want record 4 missing", err)
	}
}

// verifyTrail verifies the audit trail after a place, in steps, and returns its end.
func verifyTrail(ctx context.Context, s *bolt.Store, place audit.Place) (audit.Place, error) {
	for {
		page, err := s.AuditPage(ctx, idp.AuditQuery{After: place.Seq, Limit: 500})
		if err != nil || len(page.Lines) == 0 {
			return place, err
		}
		for _, line := range page.Lines {
			if place, err = place.Next(line); err != nil {
				return place, err
			}
		}
	}
}

// TestAuditUserIndexIsVerified forges the index of users, which has no MAC: it shows no record to
// another user, and an entry without its record shows nothing.
func TestAuditUserIndexIsVerified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, user := range []idp.UserID{"u1", "u2", "u2"} {
		if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k", User: user}); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("audit-users"))
		var errs []error
		for _, end := range []string{"\x00\x00\x00\x00\x00\x00\x00\x02", "\x00\x00\x00\x00\x00\x00\x00\x63", "", "short", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
			errs = append(errs, b.Put([]byte("\x00\x02u1"+end), []byte("x")))
		}
		audit := tx.Bucket([]byte("audit"))
		return errors.Join(append(errs, audit.Put([]byte("\x00\x00\x00\x00\x00\x00\x00\x03"), []byte("damaged")))...)
	})
	s = open(t, dir)
	defer closeStore(t, s)
	for user, want := range map[idp.UserID]uint64{"u1": 1, "u2": 2} {
		page, err := s.AuditPage(t.Context(), idp.AuditQuery{User: user, Limit: 10})
		if err != nil || len(page.Lines) != 1 || page.Lines[0].Place != want {
			t.Errorf("records about %s: %+v, %v; want record %d", user, page, err, want)
		}
	}
}

// TestAuditUserIndexBeginsAfterUpgrade opens a store that was written without the index.
func TestAuditUserIndexBeginsAfterUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k", User: "u1"}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("audit-users")) })
	s = open(t, dir)
	defer closeStore(t, s)
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k", User: "u1"}); err != nil {
		t.Fatal(err)
	}
	page, err := s.AuditPage(t.Context(), idp.AuditQuery{User: "u1", Limit: 10})
	if err != nil || len(page.Lines) != 1 || page.Lines[0].Place != 2 {
		t.Errorf("records about the user: %+v, %v; want record 2", page, err)
	}
}
