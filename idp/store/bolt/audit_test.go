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
		page, err := s.AuditPage(ctx, place.Seq, 500)
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
