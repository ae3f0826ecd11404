package audit_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
)

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// TestVerifyTrail tampers with the file and checks that the affected record is named.
func TestVerifyTrail(t *testing.T) {
	t.Parallel()
	records := func(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket([]byte("audit")) }
	tests := []struct {
		name   string
		tamper func(tx *bbolt.Tx) error
		seq    uint64
		says   string
	}{
		{"changed", func(tx *bbolt.Tx) error {
			return records(tx).Put(key(3), bytes.Replace(records(tx).Get(key(3)), []byte(`"u1"`), []byte(`"u2"`), 1))
		}, 3, "was changed"},
		{"changed as JSON does not see it", func(tx *bbolt.Tx) error {
			return records(tx).Put(key(3), bytes.Replace(records(tx).Get(key(3)), []byte(`"kind"`), []byte(`"KIND"`), 1))
		}, 3, "was changed"},
		{"removed", func(tx *bbolt.Tx) error { return records(tx).Delete(key(3)) }, 3, "is missing"},
		{"swapped", func(tx *bbolt.Tx) error {
			a, b := bytes.Clone(records(tx).Get(key(3))), bytes.Clone(records(tx).Get(key(4)))
			if err := records(tx).Put(key(3), b); err != nil {
				return err
			}
			return records(tx).Put(key(4), a)
		}, 3, "was moved"},
		{"cut", func(tx *bbolt.Tx) error {
			if err := records(tx).SetSequence(7); err != nil {
				return err
			}
			return records(tx).Delete(key(8))
		}, 8, "was cut off"},
		{"added", func(tx *bbolt.Tx) error {
			at := audit.Place{Seq: 8}
			at.Hash = string(records(tx).Get(key(8))[len(records(tx).Get(key(8)))-66:][:64])
			_, body, _ := audit.Link(audit.Place{Seq: 8, Hash: at.Hash}, idp.AuditEvent{Kind: "authn"}, trailStart)
			if err := records(tx).SetSequence(9); err != nil {
				return err
			}
			return records(tx).Put(key(9), body)
		}, 9, "was not written by Vernal"},
		{"made again", func(tx *bbolt.Tx) error {
			seq, hash := uint64(0), ""
			for range 8 {
				rec, body, _ := audit.Link(audit.Place{Seq: seq, Hash: hash}, idp.AuditEvent{Kind: "authn"}, trailStart)
				seq, hash = rec.Seq, rec.Hash
				if err := records(tx).Put(key(seq), body); err != nil {
					return err
				}
				_ = tx.Bucket([]byte("audit-addresses")).Delete(key(seq))
			}
			return nil
		}, 8, "was replaced"},
		{"head taken away", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("audit-head")).Delete([]byte("head")) }, 8, "the head of the trail was changed"},
		{"address taken away", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("audit-addresses")).Delete(key(5)) }, 5, "lost its IP address"},
		{"hidden before record 1", func(tx *bbolt.Tx) error { return records(tx).Put([]byte{0}, []byte("x")) }, 1, "with the number 0"},
		{"hidden after the last", func(tx *bbolt.Tx) error { return records(tx).Put([]byte("odd"), []byte("x")) }, 9, "with the number 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newDeployment(t)
			w.add(8)
			w.whole()
			w.edit(tt.tamper)
			p, err := w.verify(nil)
			ok(t, err)
			if p.Broken == nil || p.Broken.Seq != tt.seq || !strings.Contains(p.Broken.Problem, tt.says) {
				t.Errorf("Broken = %+v; want record %d, %q", p.Broken, tt.seq, tt.says)
			}
		})
	}
}

// TestNewRecordsDoNotHideTampering adds records after the trail was tampered with. New records
// must not hide it.
func TestNewRecordsDoNotHideTampering(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	w.add(8)
	w.edit(func(tx *bbolt.Tx) error { // a perfect cut, but for the head's MAC
		b := tx.Bucket([]byte("audit"))
		for _, seq := range []uint64{6, 7, 8} {
			if err := b.Delete(key(seq)); err != nil {
				return err
			}
			_ = tx.Bucket([]byte("audit-addresses")).Delete(key(seq))
		}
		return b.SetSequence(5)
	})
	w.add(10)
	p, err := w.verify(nil)
	ok(t, err)
	if p.Broken == nil || p.Broken.Seq != 6 {
		t.Errorf("Broken = %+v, want record 6", p.Broken)
	}
}

// TestOlderStoreCopyIsDetected restores an older copy of the store, including head and MAC.
// Only a place noted outside the store shows it.
func TestOlderStoreCopyIsDetected(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	w.add(8)
	noted, fifth := w.place(8), w.place(5)
	p, err := w.verify(&noted)
	if ok(t, err); !p.Compared || p.Broken != nil {
		t.Errorf("progress %+v", p)
	}
	noted.Seq = 12
	p, err = w.verify(&noted)
	if ok(t, err); p.Broken == nil || p.Broken.Seq != 9 {
		t.Errorf("Broken = %+v, want record 9 cut off", p.Broken)
	}
	fifth.Seq = 6
	p, err = w.verify(&fifth)
	if ok(t, err); p.Broken == nil || p.Broken.Seq != 6 {
		t.Errorf("Broken = %+v, want record 6", p.Broken)
	}
}

// TestFlippedByteIsDetected flips bits in the stored trail: in each byte of a record, an IP
// address, the head and the checkpoint, with their keys; in the sequence; and at random.
func TestFlippedByteIsDetected(t *testing.T) {
	t.Parallel()
	w := newDeployment(t)
	w.add(12)
	c, err := w.Checkpoint(t.Context(), w.place(3))
	ok(t, err)
	_, _, err = w.Prune(t.Context(), *c, "test")
	ok(t, err)
	w.add(6)
	w.whole()

	// Stored entries are in the file as key and value, one after the other.
	var entries [][]byte
	w.edit(func(tx *bbolt.Tx) error {
		for _, name := range []string{"audit", "audit-addresses", "audit-head", "audit-checkpoint"} {
			err := tx.Bucket([]byte(name)).ForEach(func(k, v []byte) error {
				entries = append(entries, append(bytes.Clone(k), v...))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	f, err := os.OpenFile(w.fixture.StoreFile(), os.O_RDWR, 0)
	ok(t, err)
	defer f.Close()
	content, err := os.ReadFile(w.fixture.StoreFile())
	ok(t, err)
	n := 0
	for i, entry := range entries {
		// Pages that are not in use any more may hold copies. The store sees a
		// change of the file at once: it is mapped.
		var copies []int64
		for from := 0; ; {
			next := bytes.Index(content[from:], entry)
			if next < 0 {
				break
			}
			copies = append(copies, int64(from+next))
			from += next + len(entry)
		}
		flip := func(at int, to byte) {
			for _, offset := range copies {
				_, err := f.WriteAt([]byte{to}, offset+int64(at))
				ok(t, err)
			}
		}
		for at := range entry {
			if whole := i == 1 || i >= len(entries)-3; !whole && rand.IntN(20) > 0 {
				continue
			}
			n++
			bit := byte(1) << rand.IntN(8)
			flip(at, entry[at]^bit)
			if p, err := w.verify(nil); err == nil && p.Broken == nil {
				t.Errorf("bit %08b of byte %d of %q: not found", bit, at, entry)
			}
			flip(at, entry[at])
		}
	}
	t.Logf("%d bytes flipped", n)
	if n < 1000 {
		t.Errorf("only %d bytes were flipped", n)
	}
	w.whole()
	w.edit(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("audit")).SetSequence(1000) })
	if p, err := w.verify(nil); err == nil && p.Broken == nil {
		t.Error("a wrong sequence was not found")
	}
}
