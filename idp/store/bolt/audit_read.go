package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

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
			rec.Address, _, _ = audit.Address(r.bucket(inAuditAddresses).Get(k))
			out = append(out, rec)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AuditPage reads a part of the trail as it is stored. A transaction lasts as
// long as one page: a reader that stays keeps every page that is replaced
// meanwhile from being used again.
func (s *Store) AuditPage(ctx context.Context, after uint64, limit int) (*idp.AuditPage, error) {
	page := &idp.AuditPage{}
	err := s.view(ctx, func(r *reader) (err error) {
		if page.Checkpoint, err = r.checkpoint(); err != nil {
			return err
		}
		page.Head, page.Authentic = r.head()
		page.Counted = r.bucket(inAudit).Sequence()
		if after+1 == 0 {
			return nil
		}
		r.lines(page, after, limit)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// lines reads the records of a page, and the addresses beside them.
func (r *reader) lines(page *idp.AuditPage, after uint64, limit int) {
	c, addresses := r.bucket(inAudit).Cursor(), r.bucket(inAuditAddresses).Cursor()
	k, v := c.Seek(seqKey(after + 1))
	ka, va := addresses.Seek(seqKey(after + 1))
	if after == 0 { // nothing may hide before record 1
		k, v = c.First()
		ka, va = addresses.First()
	}
	for ; k != nil && len(page.Lines) < limit; k, v = c.Next() {
		line := idp.AuditLine{Place: placeOf(k), JSON: bytes.Clone(v)}
		for ; ka != nil && bytes.Compare(ka, k) < 0; ka, va = addresses.Next() {
			page.Stray = true
		}
		if bytes.Equal(ka, k) {
			line.Address = bytes.Clone(va)
			ka, va = addresses.Next()
		}
		page.Lines = append(page.Lines, line)
	}
	page.Stray = page.Stray || k == nil && ka != nil && limit > 0
}

// placeOf is the number of the record that belongs at a key; 0 where none does.
func placeOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// AuditCheckpoint makes c the beginning of the trail.
func (s *Store) AuditCheckpoint(ctx context.Context, c idp.AuditCheckpoint, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		old, err := w.checkpoint()
		if err != nil {
			return err
		}
		doc, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("checkpoint at audit record %d: %w", c.Seq, err)
		}
		if old != nil && old.Seq == c.Seq {
			renewed := *old
			renewed.MAC = c.MAC
			same, err := json.Marshal(renewed)
			if err != nil {
				return err
			}
			if renewed.MAC != old.MAC && bytes.Equal(same, doc) {
				w.put(inAuditCheckpoint, checkpointKey, doc)
				return nil
			}
		}
		if old != nil && old.Seq >= c.Seq {
			return fmt.Errorf("checkpoint at audit record %d: one at %d is there: %w", c.Seq, old.Seq, idp.ErrExists)
		}
		value := w.bucket(inAudit).Get(seqKey(c.Seq))
		if value == nil {
			return fmt.Errorf("checkpoint at audit record %d: %w", c.Seq, missing(inAudit))
		}
		rec, err := decodeAudit(seqKey(c.Seq), value)
		if err != nil {
			return err
		}
		if rec.Hash != c.Hash {
			return fmt.Errorf("checkpoint at audit record %d: the record has another hash", c.Seq)
		}
		w.put(inAuditCheckpoint, checkpointKey, doc)
		return nil
	})
}

// PruneAudit removes records before the checkpoint, and their addresses. The
// last record of the trail stays, whatever the checkpoint says.
func (s *Store) PruneAudit(ctx context.Context, limit int) (removed int, err error) {
	err = s.update(ctx, nil, func(w *writer) error {
		removed = 0
		checkpoint, err := w.checkpoint()
		if checkpoint == nil || err != nil {
			return err
		}
		end := seqKey(checkpoint.Seq)
		c := w.bucket(inAudit).Cursor()
		last, _ := c.Last()
		for k, _ := c.First(); k != nil && removed < limit; k, _ = c.Next() {
			if len(k) != 8 || bytes.Compare(k, end) > 0 || bytes.Equal(k, last) {
				break
			}
			key := bytes.Clone(k)
			w.delete(inAudit, key)
			w.delete(inAuditAddresses, key)
			removed++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// sweepAddresses notes the removal of addresses past their time. They lie in the
// order in which they came, so those that stay cost nothing; what is no address
// goes too.
func (w *writer) sweepAddresses(now time.Time, limit int) (removed int) {
	c := w.bucket(inAuditAddresses).Cursor()
	for k, v := c.First(); k != nil && removed < limit; k, v = c.Next() {
		if _, at, ok := audit.Address(v); ok && now.Sub(at) < idp.AddressLifetime {
			break
		}
		w.delete(inAuditAddresses, bytes.Clone(k))
		removed++
	}
	return removed
}
