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

// AuditPage reads a part of the trail as it is stored. A transaction lasts for one page, because
// the replaced pages of the file cannot be used again while a reader is open.
func (s *Store) AuditPage(ctx context.Context, after uint64, limit int) (*idp.AuditPage, error) {
	var page *idp.AuditPage
	err := s.view(ctx, func(r *reader) error {
		checkpoint, err := r.readCheckpoint()
		page = &idp.AuditPage{Checkpoint: checkpoint, RecordCount: r.bucket(inAudit).Sequence()}
		page.Head, page.IsHeadAuthentic = r.readHead()
		if after+1 != 0 {
			r.readLines(page, after, limit)
		}
		return err
	})
	return page, err
}

// readLines reads the records of a page, and their IP addresses.
func (r *reader) readLines(page *idp.AuditPage, after uint64, limit int) {
	c, addresses := r.bucket(inAudit).Cursor(), r.bucket(inAuditAddresses).Cursor()
	k, v := c.Seek(seqKey(after + 1))
	ka, va := addresses.Seek(seqKey(after + 1))
	if after == 0 { // no entry may hide before record 1
		k, v = c.First()
		ka, va = addresses.First()
	}
	for ; k != nil && len(page.Lines) < limit; k, v = c.Next() {
		line := idp.AuditLine{Place: parsePlace(k), JSON: bytes.Clone(v)}
		for ; ka != nil && bytes.Compare(ka, k) < 0; ka, va = addresses.Next() {
			page.HasStrayIPAddress = true
		}
		if bytes.Equal(ka, k) {
			line.IPAddress = bytes.Clone(va)
			ka, va = addresses.Next()
		}
		page.Lines = append(page.Lines, line)
	}
	page.HasStrayIPAddress = page.HasStrayIPAddress || k == nil && ka != nil && limit > 0
}

// parsePlace returns the number of the record that belongs at a key, 0 if none does.
func parsePlace(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// PruneAudit makes c the beginning of the trail, and removes records before it with their IP
// addresses. The last record of the trail always stays.
func (s *Store) PruneAudit(ctx context.Context, c idp.AuditCheckpoint, limit int, events ...idp.AuditEvent) (removed int, err error) {
	return changeValue(ctx, s, events, func(w *writer) (removed int, err error) {
		if err := w.moveCheckpoint(c); err != nil {
			return 0, err
		}
		end := seqKey(c.Seq)
		last, _ := w.bucket(inAudit).Cursor().Last()
		for k := range w.scan(inAudit, nil) {
			if removed >= limit || len(k) != 8 || bytes.Compare(k, end) > 0 || bytes.Equal(k, last) {
				break
			}
			key := bytes.Clone(k)
			w.delete(inAudit, key)
			w.delete(inAuditAddresses, key)
			removed++
		}
		return removed, nil
	})
}

// moveCheckpoint queues c as the checkpoint, unless it already is.
func (w *writer) moveCheckpoint(c idp.AuditCheckpoint) error {
	old, err := w.readCheckpoint()
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
		if bytes.Equal(same, doc) {
			if renewed.MAC != old.MAC {
				w.put(inAuditCheckpoint, checkpointKey, doc)
			}
			return nil
		}
	}
	if old != nil && old.Seq >= c.Seq {
		return fmt.Errorf("checkpoint at audit record %d: one at %d is there: %w", c.Seq, old.Seq, idp.ErrExists)
	}
	value := w.bucket(inAudit).Get(seqKey(c.Seq))
	if value == nil {
		return fmt.Errorf("checkpoint at audit record %d: %w", c.Seq, missingError(inAudit))
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
}

// sweepIPAddresses queues the removal of expired IP addresses. They are in the order in which
// they came, so those that stay cost nothing. Invalid entries are removed too.
func (w *writer) sweepIPAddresses(now time.Time, limit int) (removed int) {
	c := w.bucket(inAuditAddresses).Cursor()
	for k, v := c.First(); k != nil && removed < limit; k, v = c.Next() {
		if _, at, ok := audit.ParseAddress(v); ok && now.Sub(at) < idp.IPAddressLifetime {
			break
		}
		w.delete(inAuditAddresses, bytes.Clone(k))
		removed++
	}
	return removed
}
