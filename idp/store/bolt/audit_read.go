package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

// AuditPage reads a part of the trail as it is stored. A transaction lasts for one page, because
// the replaced pages of the file cannot be used again while a reader is open.
func (s *Store) AuditPage(ctx context.Context, q idp.AuditQuery) (*idp.AuditPage, error) {
	var page *idp.AuditPage
	err := s.view(ctx, func(r *reader) error {
		checkpoint, err := r.readCheckpoint()
		page = &idp.AuditPage{Checkpoint: checkpoint, RecordCount: r.bucket(inAudit).Sequence()}
		page.Head, page.IsHeadAuthentic = r.readHead()
		switch {
		case q.User != "":
			r.readUserLines(page, q)
		case q.After+1 != 0:
			r.readLines(page, q.After, q.Limit)
		}
		return err
	})
	return page, err
}

// readLines reads the records of a page, and their IP addresses.
func (r *reader) readLines(page *idp.AuditPage, after uint64, limit int) {
	c, addressCursor := r.bucket(inAudit).Cursor(), r.bucket(inAuditAddresses).Cursor()
	k, v := c.Seek(seqKey(after + 1))
	addressKey, addressValue := addressCursor.Seek(seqKey(after + 1))
	if after == 0 { // no entry may hide before record 1
		k, v = c.First()
		addressKey, addressValue = addressCursor.First()
	}
	for ; k != nil && len(page.Lines) < limit; k, v = c.Next() {
		line := idp.AuditLine{Place: parsePlace(k), JSON: bytes.Clone(v)}
		for ; addressKey != nil && bytes.Compare(addressKey, k) < 0; addressKey, addressValue = addressCursor.Next() {
			page.HasStrayIPAddress = true
		}
		if bytes.Equal(addressKey, k) {
			line.IPAddress = bytes.Clone(addressValue)
			addressKey, addressValue = addressCursor.Next()
		}
		page.Lines = append(page.Lines, line)
	}
	page.HasStrayIPAddress = page.HasStrayIPAddress || k == nil && addressKey != nil && limit > 0
}

// readUserLines reads the records about a user, newest first. The index has no MAC, so an entry
// only counts if the record confirms it.
func (r *reader) readUserLines(page *idp.AuditPage, q idp.AuditQuery) {
	before := q.Before
	if before == 0 {
		before = math.MaxUint64
	}
	prefix := pairKey(string(q.User), "")
	c := r.bucket(inAuditUsers).Cursor()
	k, _ := c.Seek(auditUserKey(q.User, before))
	if k == nil {
		k, _ = c.Last()
	}
	for ; k != nil && len(page.Lines) < q.Limit; k, _ = c.Prev() {
		if !bytes.HasPrefix(k, prefix) {
			if bytes.Compare(k, prefix) < 0 {
				return
			}
			continue // the entry at which Seek stopped
		}
		seq := parsePlace(k[len(prefix):])
		if seq == 0 || seq >= before {
			continue
		}
		value := r.bucket(inAudit).Get(seqKey(seq))
		if rec, err := decodeAudit(seqKey(seq), value); err != nil || rec.User != q.User {
			continue
		}
		page.Lines = append(page.Lines, idp.AuditLine{
			Place: seq, JSON: bytes.Clone(value), IPAddress: bytes.Clone(r.bucket(inAuditAddresses).Get(seqKey(seq))),
		})
	}
}

// parsePlace returns the number of the record that belongs at a key, 0 for an invalid key.
func parsePlace(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// PruneAudit makes c the beginning of the trail, and removes records before it with their IP
// addresses and index entries. The last record of the trail always stays.
func (s *Store) PruneAudit(ctx context.Context, c idp.AuditCheckpoint, limit int, events ...idp.AuditEvent) (count int, err error) {
	return changeValue(ctx, s, events, func(w *writer) (count int, err error) {
		if err := w.moveCheckpoint(c); err != nil {
			return 0, err
		}
		end := seqKey(c.Seq)
		last, _ := w.bucket(inAudit).Cursor().Last()
		for k, v := range w.scan(inAudit, nil) {
			if count >= limit || len(k) != 8 || bytes.Compare(k, end) > 0 || bytes.Equal(k, last) {
				break
			}
			key := bytes.Clone(k)
			w.delete(inAudit, key)
			w.delete(inAuditAddresses, key)
			if rec, err := decodeAudit(key, v); err == nil && isAuditUser(rec.User) {
				w.delete(inAuditUsers, auditUserKey(rec.User, rec.Seq))
			}
			count++
		}
		return count, nil
	})
}

// moveCheckpoint queues c as the checkpoint, unless it already is.
func (w *writer) moveCheckpoint(c idp.AuditCheckpoint) error {
	old, err := w.readCheckpoint()
	if err != nil {
		return err
	}
	newJSON, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("checkpoint at audit record %d: %w", c.Seq, err)
	}
	if old != nil && old.Seq == c.Seq {
		renewedCheckpoint := *old
		renewedCheckpoint.MAC = c.MAC
		renewedJSON, err := json.Marshal(renewedCheckpoint)
		if err != nil {
			return err
		}
		if bytes.Equal(renewedJSON, newJSON) {
			if renewedCheckpoint.MAC != old.MAC {
				w.put(inAuditCheckpoint, checkpointKey, newJSON)
			}
			return nil
		}
	}
	if old != nil && old.Seq >= c.Seq {
		return fmt.Errorf("checkpoint at audit record %d: a checkpoint at %d already exists: %w", c.Seq, old.Seq, idp.ErrExists)
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
	w.put(inAuditCheckpoint, checkpointKey, newJSON)
	return nil
}

// sweepIPAddresses queues the removal of expired IP addresses. They are sorted by time, so the
// remaining ones cost nothing. Invalid entries are removed too.
func (w *writer) sweepIPAddresses(now time.Time, limit int) (count int) {
	c := w.bucket(inAuditAddresses).Cursor()
	for k, v := c.First(); k != nil && count < limit; k, v = c.Next() {
		if _, at, ok := audit.ParseAddress(v); ok && now.Sub(at) < idp.IPAddressLifetime {
			break
		}
		w.delete(inAuditAddresses, bytes.Clone(k))
		count++
	}
	return count
}
