package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	berrors "go.etcd.io/bbolt/errors"

	"vernal/idp"
	"vernal/idp/audit"
)

// readTail reads the end of the trail and compares it with the two other places that record
// it: the head with its MAC, and the bucket's sequence. If they differ, someone tampered
// with the trail. The next record then leaves a gap, so that the tampering stays visible after a
// new head is written. Writing continues, because an attacker who can damage the trail must not
// be able to keep users from signing in.
func (r *reader) readTail() (*audit.Place, error) {
	end, err := r.lastRecord()
	if err != nil {
		return nil, err
	}
	head, isAuthentic := r.readHead()
	recordCount := r.bucket(inAudit).Sequence()
	if isAuthentic && head.Seq == end.Seq && head.Hash == end.HashOrFirst() && recordCount == end.Seq {
		return end, nil
	}
	if recordCount <= maxSeq {
		end.Seq = max(end.Seq, recordCount)
	}
	if isAuthentic {
		end.Seq = max(end.Seq, head.Seq)
	}
	end.Seq++ // no record has this number
	return end, nil
}

// lastRecord returns the last record that can be read, otherwise the checkpoint. Entries after it
// were not written by us and leave a gap.
func (r *reader) lastRecord() (*audit.Place, error) {
	c := r.bucket(inAudit).Cursor()
	for key, value := c.Last(); key != nil; key, value = c.Prev() {
		if rec, err := decodeAudit(key, value); err == nil && rec.Seq <= maxSeq {
			return &audit.Place{Seq: rec.Seq, Hash: rec.Hash}, nil
		}
	}
	checkpoint, err := r.readCheckpoint()
	if checkpoint == nil || err != nil {
		return &audit.Place{}, nil // Verify reports a damaged checkpoint
	}
	return &audit.Place{Seq: checkpoint.Seq, Hash: checkpoint.Hash}, nil
}

// maxSeq bounds the numbers of records. No real trail reaches it, and an attacker who writes a
// higher one must not make the next number wrap around to the first.
const maxSeq = 1 << 62

var (
	headKey       = []byte("head")
	checkpointKey = []byte("checkpoint")
)

// readHead returns the end of the trail as it was last written. It is authentic if its MAC
// matches. An unreadable head is not authentic.
func (r *reader) readHead() (head idp.AuditHead, isAuthentic bool) {
	if decodeExactly(r.bucket(inAuditHead).Get(headKey), &head) != nil {
		return idp.AuditHead{}, false
	}
	mac, err := hex.DecodeString(head.MAC)
	return head, err == nil && hex.EncodeToString(mac) == head.MAC && r.ring.VerifyMAC(headContext, headText(head.Seq, head.Hash), mac)
}

// decodeExactly decodes JSON only in the exact form that we write, because a value has many forms
// in JSON.
func decodeExactly(value []byte, target any) error {
	if err := json.Unmarshal(value, target); err != nil {
		return err
	}
	encoded, err := json.Marshal(target)
	if err == nil && !bytes.Equal(encoded, value) {
		err = errors.New("not in the exact form that Vernal writes")
	}
	return err
}

// putHead writes the end of the trail, with its MAC, in the transaction that moves it. The
// bucket is small enough to be inlined in the root page, which every transaction writes
// anyway.
func (w *writer) putHead(end audit.Place) error {
	hash := end.HashOrFirst()
	value, err := json.Marshal(idp.AuditHead{Seq: end.Seq, Hash: hash, MAC: hex.EncodeToString(w.ring.MAC(headContext, headText(end.Seq, hash)))})
	if err == nil {
		b := w.tx.Bucket([]byte(inAuditHead.String()))
		if err = b.Put(headKey, value); errors.Is(err, berrors.ErrIncompatibleValue) {
			if err = b.DeleteBucket(headKey); err == nil { // an attacker put a bucket in its place
				err = b.Put(headKey, value)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("write the head of the audit trail: %w", err)
	}
	return nil
}

// headContext is the context of the MAC of the head.
const headContext = "audit/head"

func headText(seq uint64, hash string) []byte { return append(seqKey(seq), hash...) }

func (r *reader) readCheckpoint() (*idp.AuditCheckpoint, error) {
	value := r.bucket(inAuditCheckpoint).Get(checkpointKey)
	if value == nil {
		return nil, nil
	}
	c := new(idp.AuditCheckpoint)
	if err := decodeExactly(value, c); err != nil {
		return nil, corruptError(inAuditCheckpoint, checkpointKey, err)
	}
	return c, nil
}

func decodeAudit(key, value []byte) (rec idp.AuditRecord, err error) {
	if err := json.Unmarshal(value, &rec); err != nil {
		return rec, corruptError(inAudit, key, err)
	}
	if len(key) != 8 || binary.BigEndian.Uint64(key) != rec.Seq {
		return rec, corruptError(inAudit, key, fmt.Errorf("the value is record %d", rec.Seq))
	}
	return rec, nil
}

// appendEvents writes events after end, which may be nil if it is not known, and
// returns the new end.
func (w *writer) appendEvents(end *audit.Place, events []idp.AuditEvent) (*audit.Place, error) {
	if len(events) == 0 {
		return end, nil
	}
	if end == nil {
		var err error
		if end, err = w.readTail(); err != nil {
			return nil, err
		}
	}
	b, addresses, users := w.bucket(inAudit), w.bucket(inAuditAddresses), w.bucket(inAuditUsers)
	b.FillPercent, addresses.FillPercent = 0.95, 0.95
	next := *end
	at := w.store.clock.Now()
	for _, ev := range events {
		rec, body, ipAddress := audit.Link(next, ev, at)
		err := b.Put(seqKey(rec.Seq), body)
		if err == nil && ipAddress != nil {
			err = addresses.Put(seqKey(rec.Seq), ipAddress)
		}
		if err == nil && isAuditUser(rec.User) {
			err = users.Put(auditUserKey(rec.User, rec.Seq), nil)
		}
		if err != nil {
			return nil, fmt.Errorf("append to the audit trail: %w", err)
		}
		next = audit.Place{Seq: rec.Seq, Hash: rec.Hash}
	}
	if err := b.SetSequence(next.Seq); err != nil {
		return nil, fmt.Errorf("append to the audit trail: %w", err)
	}
	return &next, nil
}

// isAuditUser reports whether the index has the user's records. The name of a user in an event may
// have any length, and must not prevent the record.
func isAuditUser(id idp.UserID) bool { return id != "" && len(id) <= 256 }

// auditUserKey returns the index key of a record about a user.
func auditUserKey(id idp.UserID, seq uint64) []byte {
	return append(pairKey(string(id), ""), seqKey(seq)...)
}

// AppendAudit adds events without another change.
func (s *Store) AppendAudit(ctx context.Context, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(*writer) error { return nil })
}
