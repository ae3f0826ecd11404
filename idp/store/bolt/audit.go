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

// tail is the end of the audit trail: what the next record follows.
type tail struct {
	seq  uint64
	hash string
}

// readTail reads the end of the trail and holds it against the two other places
// that know it: the head with its MAC, and the bucket's sequence. If they differ
// someone changed the trail, and the next record leaves a gap, so that it shows
// permanently and not only until a new head is written. Writing goes on: who can
// damage the trail must not be able to keep users from signing in.
func (r *reader) readTail() (*tail, error) {
	end, err := r.lastRecord()
	if err != nil {
		return nil, err
	}
	head, authentic := r.readHead()
	written := r.bucket(inAudit).Sequence()
	if authentic && head.Seq == end.seq && head.Hash == orFirst(end.hash) && written == end.seq {
		return end, nil
	}
	if written <= maxSeq {
		end.seq = max(end.seq, written)
	}
	if authentic {
		end.seq = max(end.seq, head.Seq)
	}
	end.seq++ // no record has this number
	return end, nil
}

// lastRecord is the last record that can be read, or the checkpoint if there is none.
// What is after it was not written by us, and leaves a gap.
func (r *reader) lastRecord() (*tail, error) {
	c := r.bucket(inAudit).Cursor()
	for key, value := c.Last(); key != nil; key, value = c.Prev() {
		if rec, err := decodeAudit(key, value); err == nil && rec.Seq <= maxSeq {
			return &tail{seq: rec.Seq, hash: rec.Hash}, nil
		}
	}
	checkpoint, err := r.readCheckpoint()
	if checkpoint == nil || err != nil {
		return &tail{}, nil // a damaged checkpoint is for Verify to report
	}
	return &tail{seq: checkpoint.Seq, hash: checkpoint.Hash}, nil
}

// maxSeq bounds the numbers of records. No trail comes near it, and a writer who claims a
// higher one must not bring the next number back to the first.
const maxSeq = 1 << 62

func orFirst(hash string) string {
	if hash == "" {
		return audit.First
	}
	return hash
}

var (
	headKey       = []byte("head")
	checkpointKey = []byte("checkpoint")
)

// readHead is the end of the trail as it was last written. It is authentic if its
// MAC fits; one that cannot be read is not.
func (r *reader) readHead() (head idp.AuditHead, authentic bool) {
	if decodeExactly(r.bucket(inAuditHead).Get(headKey), &head) != nil {
		return idp.AuditHead{}, false
	}
	mac, err := hex.DecodeString(head.MAC)
	return head, err == nil && hex.EncodeToString(mac) == head.MAC && r.ring.VerifyMAC(headContext, headText(head.Seq, head.Hash), mac)
}

// decodeExactly reads JSON that has the bytes that we would write: it has many forms.
func decodeExactly(value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return err
	}
	again, err := json.Marshal(into)
	if err == nil && !bytes.Equal(again, value) {
		err = errors.New("not as it was written")
	}
	return err
}

// putHead writes the end of the trail, with its MAC, in the transaction that
// moves it. The bucket is so small that it lies in the root page, which every
// transaction writes anyway.
func (w *writer) putHead(end tail) error {
	hash := orFirst(end.hash)
	value, err := json.Marshal(idp.AuditHead{Seq: end.seq, Hash: hash, MAC: hex.EncodeToString(w.ring.MAC(headContext, headText(end.seq, hash)))})
	if err == nil {
		b := w.tx.Bucket([]byte(inAuditHead.String()))
		if err = b.Put(headKey, value); errors.Is(err, berrors.ErrIncompatibleValue) {
			if err = b.DeleteBucket(headKey); err == nil { // someone put a bucket in its place
				err = b.Put(headKey, value)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("write the head of the audit trail: %w", err)
	}
	return nil
}

// headContext is what the MAC of the head is for.
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
		return rec, corruptError(inAudit, key, fmt.Errorf("holds record %d", rec.Seq))
	}
	return rec, nil
}

// appendEvents writes events after end, which may be nil if it is not known, and
// returns the new end.
func (w *writer) appendEvents(end *tail, events []idp.AuditEvent) (*tail, error) {
	if len(events) == 0 {
		return end, nil
	}
	if end == nil {
		var err error
		if end, err = w.readTail(); err != nil {
			return nil, err
		}
	}
	b, addresses := w.bucket(inAudit), w.bucket(inAuditAddresses)
	b.FillPercent, addresses.FillPercent = 0.95, 0.95
	next := *end
	at := w.store.clock.Now()
	for _, ev := range events {
		rec, body, address := audit.Link(next.seq, next.hash, ev, at)
		err := b.Put(seqKey(rec.Seq), body)
		if err == nil && address != nil {
			err = addresses.Put(seqKey(rec.Seq), address)
		}
		if err != nil {
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
