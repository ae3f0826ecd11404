package bolt

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"vernal/idp"
	"vernal/idp/audit"
)

// tail is the end of the audit trail: what the next record follows.
type tail struct {
	seq  uint64
	hash string
}

// tail reads the end of the trail. If records at its end were taken away, the
// bucket's sequence still knows their number: the next record leaves a gap
// there, so that audit.Verify finds it.
func (r *reader) tail() (*tail, error) {
	key, value := r.bucket(inAudit).Cursor().Last()
	written := r.bucket(inAudit).Sequence()
	if key == nil {
		return &tail{seq: written}, nil
	}
	rec, err := decodeAudit(key, value)
	if err != nil {
		return nil, err
	}
	return &tail{seq: max(written, rec.Seq), hash: rec.Hash}, nil
}

func decodeAudit(key, value []byte) (rec idp.AuditRecord, err error) {
	if err := json.Unmarshal(value, &rec); err != nil {
		return rec, corrupt(inAudit, key, err)
	}
	if len(key) != 8 || binary.BigEndian.Uint64(key) != rec.Seq {
		return rec, corrupt(inAudit, key, fmt.Errorf("holds record %d", rec.Seq))
	}
	return rec, nil
}

// append writes events after end, which may be nil if it is not known, and
// returns the new end.
func (w *writer) append(end *tail, events []idp.AuditEvent) (*tail, error) {
	if len(events) == 0 {
		return end, nil
	}
	if end == nil {
		var err error
		if end, err = w.tail(); err != nil {
			return nil, err
		}
	}
	b := w.bucket(inAudit)
	b.FillPercent = 0.95
	next := *end
	at := w.store.clock.Now()
	for _, ev := range events {
		rec, body := audit.Link(next.seq, next.hash, ev, at)
		if err := b.Put(seqKey(rec.Seq), body); err != nil {
			return nil, fmt.Errorf("append to the audit trail: %w", err)
		}
		next = tail{seq: rec.Seq, hash: rec.Hash}
	}
	if err := b.SetSequence(next.seq); err != nil {
		return nil, fmt.Errorf("append to the audit trail: %w", err)
	}
	return &next, nil
}

// AppendAudit adds events that change nothing else.
func (s *Store) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(*writer) error { return nil })
}

// AuditRecords lists up to limit records with Seq greater than after.
func (s *Store) AuditRecords(ctx context.Context, after uint64, limit int) ([]idp.AuditRecord, error) {
	var out []idp.AuditRecord
	err := s.view(ctx, func(r *reader) error {
		if after+1 == 0 {
			return nil
		}
		c := r.bucket(inAudit).Cursor()
		for k, v := c.Seek(seqKey(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			rec, err := decodeAudit(k, v)
			if err != nil {
				return err
			}
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
