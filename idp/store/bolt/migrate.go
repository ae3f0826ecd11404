package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/durable"
)

// A store of an older schema is brought up to date when it is opened, by the
// server or by a command:
//
//	vernal.db --copy--> vernal.db.schema1.tmp --fsync, rename--> vernal.db.schema1
//	vernal.db --one transaction: all steps, audit record, schema--> vernal.db
//
// A crash before the transaction is durable leaves the store as it was, and the
// next Open begins anew, with a new copy: the store may have been used with the
// earlier version meanwhile. The copy is the way back, since that version does not
// open what a newer one has written. Nothing here removes it.
//
// The steps, by the schema that they begin with:
//
//	1   buckets were added, and with them the head of the audit trail and its
//	    MAC; sessions and requests got another form, see recordForm; profiles
//	    are apart from the records of people

// migrations are the steps. Each changes the store in the transaction of the
// writer, and says in counts what it dropped. All buckets of today are there.
var migrations = map[int]func(w *writer, told map[string]string) error{
	1: (*writer).fromFirst,
}

// migrate brings the store up to date.
func (s *Store) migrate(from int) error {
	kept := fmt.Sprintf("%s.schema%d", s.db.Path(), from)
	if err := s.keepCopy(kept); err != nil {
		return fmt.Errorf("keep a copy of the store of an earlier version: %w", err)
	}
	told := map[string]string{"from": strconv.Itoa(from), "to": strconv.Itoa(schema)}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return s.migrateIn(tx, from, told) }); err != nil {
		return fmt.Errorf("bring the store up to date from schema %d: %w", from, err)
	}
	args := []any{"copy", kept}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		args = append(args, slog.String(name, told[name]))
	}
	s.log.Warn("the store of an earlier version was brought up to date, and kept as it was beside it", args...)
	return nil
}

func (s *Store) migrateIn(tx *bbolt.Tx, from int, told map[string]string) error {
	if err := makeBuckets(tx); err != nil {
		return err
	}
	w := &writer{reader: reader{store: s, tx: tx}}
	for v := from; v < schema; v++ {
		if err := migrations[v](w, told); err != nil {
			return err
		}
	}
	end, err := w.append(nil, []idp.AuditEvent{{Kind: "store.migrate", Outcome: "ok", Actor: "server", Detail: told}})
	if err != nil {
		return err
	}
	if err := s.putHead(tx, *end); err != nil {
		return err
	}
	return w.bucket(inMeta).Put([]byte("schema"), []byte(strconv.Itoa(schema)))
}

// keepCopy writes the store as it is to a file of its own, which is there whole
// or not at all. It replaces one that is there.
func (s *Store) keepCopy(path string) error {
	tmp := path + ".tmp" // one name, so that a crash leaves no more than one
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return durable.SyncDir(filepath.Dir(path))
}

// fromFirst is the step from schema 1. A session or request of another form than
// it claims may be read as something; what it then says of its end is not in the
// index.
func (w *writer) fromFirst(told map[string]string) error {
	if !w.has(inAuditHead, headKey) {
		if err := w.firstHead(told); err != nil {
			return err
		}
	}
	sessions, err := w.dropped(inSessions, func(key, value []byte) bool {
		var sess idp.Session
		return decodeRecord(value, &sess, sessionFields) == nil &&
			w.has(inUserSessions, pair(string(sess.User), string(key))) &&
			w.has(inExpiry, expiryKey(due(&sess), sessionKind, key))
	})
	if err != nil {
		return err
	}
	requests, err := w.dropped(inRequests, func(key, value []byte) bool {
		var req idp.LoginRequest
		return decodeRecord(value, &req, requestFields) == nil &&
			w.has(inExpiry, expiryKey(req.ExpiresAt, requestKind, key))
	})
	if err != nil {
		return err
	}
	told["sessions_dropped"], told["requests_dropped"] = strconv.Itoa(sessions), strconv.Itoa(requests)
	if err := w.profilesApart(); err != nil {
		return err
	}
	return w.dropStrays()
}

// dropStrays removes what the indexes say of sessions and requests that are not
// there, and what no sweep could read.
func (w *writer) dropStrays() error {
	_, err := w.dropped(inUserSessions, func(key, _ []byte) bool {
		user, err := firstOf(key)
		return err == nil && w.has(inSessions, key[2+len(user):])
	})
	if err != nil {
		return err
	}
	of := map[kind]bucket{sessionKind: inSessions, requestKind: inRequests, throttleKind: inThrottles, logoutKind: inLogouts}
	_, err = w.dropped(inExpiry, func(key, _ []byte) bool {
		if len(key) <= timeLen+1 {
			return false
		}
		b, known := of[kind(key[timeLen])]
		return known && w.has(b, key[timeLen+1:])
	})
	return err
}

// dropped removes the entries of a bucket that are not good, and counts them.
func (w *writer) dropped(in bucket, good func(key, value []byte) bool) (int, error) {
	var bad [][]byte // a cursor does not like what moves under it
	b := w.bucket(in)
	err := b.ForEach(func(key, value []byte) error {
		if !good(key, value) {
			bad = append(bad, slices.Clone(key))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range bad {
		if err := b.Delete(key); err != nil {
			return 0, err
		}
	}
	return len(bad), nil
}

// firstHead makes the head of a trail that has none yet. From here on its MAC
// vouches for all of it, so the chain is walked once, and what is wrong with it is
// put on record. If records were cut off, no head is made: the record of the
// migration then leaves the gap that shows it, see tail.
func (w *writer) firstHead(told map[string]string) error {
	var place audit.Place
	c := w.bucket(inAudit).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		next, err := place.Next(idp.AuditLine{Place: placeOf(k), JSON: v})
		if err != nil {
			told["trail"] = err.Error()
			w.store.log.Error("the audit trail of the earlier version is not what was written", "err", err)
			break
		}
		place = next
	}
	end, err := w.lastRecord()
	if err != nil {
		return err
	}
	if written := w.bucket(inAudit).Sequence(); written != end.seq {
		told["trail"] = fmt.Sprintf("%d records were written, and %d is the last", written, end.seq)
		w.store.log.Error("the audit trail of the earlier version was cut off", "written", written, "last", end.seq)
		return nil
	}
	return w.store.putHead(w.tx, *end)
}
