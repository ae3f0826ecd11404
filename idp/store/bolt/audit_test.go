package bolt_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// TestAuditCut takes records from the end of the trail, where the chain itself
// shows nothing: the next record leaves a gap.
func TestAuditCut(t *testing.T) {
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
	if err := audit.Verify(records(t.Context(), s, 0)); !errors.As(err, &broken) || broken.Seq != 4 {
		t.Errorf("Verify = %v, want record 4 missing", err)
	}
}

// records reads the audit trail after a record, in steps.
func records(ctx context.Context, s *bolt.Store, after uint64) iter.Seq2[idp.AuditRecord, error] {
	return func(yield func(idp.AuditRecord, error) bool) {
		for {
			part, err := s.AuditRecords(ctx, after, 500)
			if err != nil {
				yield(idp.AuditRecord{}, err)
				return
			}
			for _, rec := range part {
				if !yield(rec, nil) {
					return
				}
				after = rec.Seq
			}
			if len(part) == 0 {
				return
			}
		}
	}
}
