package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"
)

// tamper does to a record of the audit trail in vernal-data, while no server
// runs, what a writer of the file can do. 'tamper record BUCKET KEY' changes any
// other record.
func tamper(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 3 && args[0] == "record" && !neg {
		tamperRecord(ts, args[1], args[2])
		return
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tamper changed|removed|swapped|cut SEQ, or tamper record BUCKET KEY")
	}
	seq, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	db, err := bbolt.Open(ts.MkAbs("vernal-data/"+storeName), 0o600, &bbolt.Options{Timeout: time.Second})
	ts.Check(err)
	err = db.Update(func(tx *bbolt.Tx) error {
		records := tx.Bucket([]byte("audit"))
		this, next := binary.BigEndian.AppendUint64(nil, seq), binary.BigEndian.AppendUint64(nil, seq+1)
		text, after := bytes.Clone(records.Get(this)), bytes.Clone(records.Get(next))
		switch args[0] {
		case "changed":
			return records.Put(this, bytes.Replace(text, []byte(`"ok"`), []byte(`"no"`), 1))
		case "removed":
			return records.Delete(this)
		case "swapped":
			return errors.Join(records.Put(this, after), records.Put(next, text))
		case "cut": // from here on
			last := records.Sequence()
			for n := seq; n <= last; n++ {
				if err := records.Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
					return err
				}
			}
			return records.SetSequence(seq - 1)
		}
		return errors.New("no such change")
	})
	ts.Check(errors.Join(err, db.Close()))
}

// tamperRecord flips a bit of a record. Done twice, it is as it was. KIND/KEY names a
// document.
func tamperRecord(ts *testscript.TestScript, bucket, key string) {
	db, err := bbolt.Open(ts.MkAbs("vernal-data/"+storeName), 0o600, &bbolt.Options{Timeout: time.Second})
	ts.Check(err)
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		at := []byte(key)
		if kind, name, ok := strings.Cut(key, "/"); ok && bucket == "documents" {
			at = append(append(binary.BigEndian.AppendUint16(nil, uint16(len(kind))), kind...), name...)
		}
		value := bytes.Clone(b.Get(at))
		if len(value) == 0 {
			return errors.New("no record " + key + " in " + bucket)
		}
		value[0] ^= 1
		return b.Put(at, value)
	})
	ts.Check(errors.Join(err, db.Close()))
}
