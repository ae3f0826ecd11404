package bolt_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// What is in the store of the earlier version.
const (
	oldRecords = 17
	ada        = idp.UserID("SNJZNS5WO27RHEELQNQ2DFDYRR")
	carl       = idp.UserID("SOVK5RK4RUA2ZQFKF4IN6VY4ZI") // was deleted
	adaAtParks = idp.NameID("b8bfa33f-ae4a-4091-b14a-a5de2dd7835a")
)

const oldFolder = "../../../testdata/upgrade/vernal-data"

// unpackOld puts the store of the earlier version into a folder of its own.
func unpackOld(t *testing.T) (path string) {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join(oldFolder, "vernal.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "vernal.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func oldKey(folder string) (*seal.Key, error) {
	text, err := os.ReadFile(filepath.Join(folder, "master.key"))
	if err != nil {
		return nil, err
	}
	return seal.LoadMaster("", strings.TrimSpace(string(text)))
}

// oldOptions open it. What it tells the log is in the buffer.
func oldOptions(t *testing.T) (bolt.Options, *bytes.Buffer) {
	t.Helper()
	key, err := oldKey(oldFolder)
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	clock := func() time.Time { return time.Date(2026, 11, 22, 17, 20, 0, 0, time.UTC) }
	return bolt.Options{Sealer: key, Clock: clock, Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func openOld(t *testing.T, path string) (*bolt.Store, string) {
	t.Helper()
	o, log := oldOptions(t)
	s, err := bolt.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, log.String()
}

// dump is all that a file holds, by bucket and key.
func dump(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			in := map[string]string{}
			all[string(name)] = in
			return b.ForEach(func(k, v []byte) error {
				in[string(k)] = string(v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// proven checks the whole trail as it is stored, and gives its records.
func proven(t *testing.T, s *bolt.Store) []idp.AuditRecord {
	t.Helper()
	page, err := s.AuditPage(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var place audit.Place
	for _, line := range page.Lines {
		if place, err = place.Next(line); err != nil {
			t.Error(err)
			break
		}
	}
	if !page.Authentic || page.Stray || page.Counted != place.Seq || (audit.Place{Seq: page.Head.Seq, Hash: page.Head.Hash}) != place {
		t.Errorf("the trail ends at %d; head %+v, authentic %v, counted %d, stray %v", place.Seq, page.Head, page.Authentic, page.Counted, page.Stray)
	}
	all, err := s.AuditRecords(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	path := unpackOld(t)
	before := dump(t, path)
	s, log := openOld(t, path)
	all := proven(t, s)
	if err := audit.Verify(func(yield func(idp.AuditRecord, error) bool) {
		for _, rec := range all {
			if !yield(rec, nil) {
				return
			}
		}
	}); err != nil {
		t.Errorf("records of both forms: %v", err)
	}
	last := all[len(all)-1]
	want := idp.AuditEvent{Kind: "store.migrate", Outcome: "ok", Actor: "server", Detail: map[string]string{
		"from": "1", "to": "2", "sessions_dropped": "0", "requests_dropped": "0"}}
	if diff := cmp.Diff(want, last.AuditEvent); diff != "" || last.Seq != oldRecords+1 {
		t.Errorf("record %d (-want +got):\n%s", last.Seq, diff)
	}
	if !strings.Contains(log, "level=WARN") || !strings.Contains(log, path+".schema1") {
		t.Errorf("the log does not tell of it: %s", log)
	}
	checkOldStore(t, s)
	closeStore(t, s)

	// What is there for good is byte by byte what it was.
	after := dump(t, path)
	for _, name := range []string{"providers", "provider-scopes", "users", "user-emails", "user-tombstones", "name-ids", "name-id-users",
		"sessions", "user-sessions", "requests", "throttles", "expiry"} {
		if diff := cmp.Diff(before[name], after[name]); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
	if before["meta"]["rotation"] == "" || before["meta"]["rotation"] != after["meta"]["rotation"] {
		t.Error("the rotation's document is another one")
	}
	checkCopy(t, path, before)

	// The second time there is nothing to do.
	s, log = openOld(t, path)
	defer closeStore(t, s)
	if n := len(proven(t, s)); n != oldRecords+1 || log != "" {
		t.Errorf("opened again: %d records; log: %s", n, log)
	}
}

func checkOldStore(t *testing.T, s *bolt.Store) {
	t.Helper()
	ctx := t.Context()
	u, err := s.UserByEmail(ctx, "ADA@agency.example")
	if err != nil || u.ID != ada || len(u.TOTPs) != 1 || u.PasswordHash == "" {
		t.Errorf("ada: %+v, %v", u, err)
	}
	if bob, err := s.UserByEmail(ctx, "bob@agency.example"); err != nil || !bob.Locked() {
		t.Errorf("bob: %+v, %v", bob, err)
	}
	if err := s.CreateUser(ctx, &idp.User{ID: carl}); err == nil {
		t.Error("the ID of somebody who was deleted is free again")
	}
	parks, err := s.Provider(ctx, "https://parks.example/sp")
	if err != nil || len(parks.Certs) != 1 {
		t.Fatalf("parks: %+v, %v", parks, err)
	}
	if name, err := s.NameID(ctx, parks.NameIDScope, ada); err != nil || name != adaAtParks {
		t.Errorf("NameID = %q, %v", name, err)
	}
	sessions, err := s.UserSessions(ctx, ada)
	if err != nil || len(sessions) != 1 || len(sessions[0].Participants) != 2 {
		t.Errorf("ada's sessions: %+v, %v", sessions, err)
	}
	for message, answered := range map[string]bool{"_first": true, "_underway": false} {
		r, err := s.LoginRequestByMessage(ctx, parks.EntityID, message)
		if err != nil || r.Answered() != answered || r.Preview != "" || !r.IssuedAt.IsZero() || r.ReceivedAt.IsZero() {
			t.Errorf("request %s: %+v, %v", message, r, err)
		}
	}
}

// checkCopy holds the copy against what the store was.
func checkCopy(t *testing.T, path string, before map[string]map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, dump(t, path+".schema1")); diff != "" {
		t.Errorf("the copy (-before +copy):\n%s", diff)
	}
	info, err := os.Stat(path + ".schema1")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || !slices.Equal(names, []string{path, path + ".schema1"}) {
		t.Errorf("files: %q, %v", names, err)
	}
}

// TestMigrateDrops opens a store with entries that nothing of today can read.
func TestMigrateDrops(t *testing.T) {
	t.Parallel()
	path := unpackOld(t)
	edit(t, filepath.Dir(path), func(tx *bbolt.Tx) error {
		requests := tx.Bucket([]byte("requests"))
		_, form := requests.Cursor().First()
		return errors.Join(
			requests.Put([]byte("zz1"), []byte("{")),
			requests.Put([]byte("zz2"), append(slices.Clone(form), 0)),
			requests.Put([]byte("zz3"), form), // of another handle
			tx.Bucket([]byte("sessions")).Put([]byte("s"), []byte{9, 1, 's'}),
			tx.Bucket([]byte("user-sessions")).Put([]byte("x"), nil),
			tx.Bucket([]byte("user-sessions")).Put([]byte("\x00\x02u1gone"), nil),
			tx.Bucket([]byte("expiry")).Put([]byte("x"), nil),
			tx.Bucket([]byte("expiry")).Put([]byte("\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00?x"), nil),
		)
	})
	s, _ := openOld(t, path)
	defer closeStore(t, s)
	all := proven(t, s)
	if d := all[len(all)-1].Detail; d["sessions_dropped"] != "1" || d["requests_dropped"] != "3" {
		t.Errorf("on record: %v", d)
	}
	checkOldStore(t, s)
	// The sweep reads all of the index.
	if n, err := s.Sweep(t.Context(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), 1000); err != nil || n == 0 {
		t.Errorf("Sweep = %d, %v", n, err)
	}
}

// TestMigrateTrail opens stores at whose trail somebody has been: that must not
// be lost when the trail gets its first head.
func TestMigrateTrail(t *testing.T) {
	t.Parallel()
	last := []byte{0, 0, 0, 0, 0, 0, 0, oldRecords}
	tests := []struct {
		name string
		edit func(trail *bbolt.Bucket) error
		want string // in the record of the migration
		gap  bool
	}{
		{name: "a record was changed", want: "record 3 was changed", edit: func(trail *bbolt.Bucket) error {
			key := []byte{0, 0, 0, 0, 0, 0, 0, 3}
			return trail.Put(key, bytes.Replace(trail.Get(key), []byte("sp.add"), []byte("sp.ade"), 1))
		}},
		{name: "the end was cut off", want: "17 records were written, and 16", gap: true,
			edit: func(trail *bbolt.Bucket) error { return trail.Delete(last) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := unpackOld(t)
			edit(t, filepath.Dir(path), func(tx *bbolt.Tx) error { return tt.edit(tx.Bucket([]byte("audit"))) })
			s, log := openOld(t, path)
			defer closeStore(t, s)
			all, err := s.AuditRecords(t.Context(), 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			made := all[len(all)-1]
			if made.Kind != "store.migrate" || !strings.Contains(made.Detail["trail"], tt.want) || !strings.Contains(log, "level=ERROR") {
				t.Errorf("on record: %+v; log: %s", made, log)
			}
			if gap := made.Seq > oldRecords+1; gap != tt.gap {
				t.Errorf("the migration is record %d", made.Seq)
			}
		})
	}
}

// TestMigrateCannotCopy leaves the store alone if there would be no way back.
func TestMigrateCannotCopy(t *testing.T) {
	t.Parallel()
	path := unpackOld(t)
	before := dump(t, path)
	taken := filepath.Join(path+".schema1", "x")
	if err := os.MkdirAll(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	o, _ := oldOptions(t)
	if s, err := bolt.Open(path, o); err == nil || !strings.Contains(err.Error(), "keep a copy") {
		t.Errorf("Open = %v, %v", s, err)
	}
	if diff := cmp.Diff(before, dump(t, path)); diff != "" {
		t.Errorf("the store was changed (-before +after):\n%s", diff)
	}
	if err := os.RemoveAll(path + ".schema1"); err != nil {
		t.Fatal(err)
	}
	s, _ := openOld(t, path)
	closeStore(t, s)
	checkCopy(t, path, before)
}

// TestMigrateRefused leaves no copy of a store that it does not open.
func TestMigrateRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*bbolt.Tx) error
		key  bool
		text string
	}{
		{name: "another master key", key: true, text: "another master key"},
		{name: "bucket missing", edit: func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("name-ids")) }, text: "bucket name-ids is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := unpackOld(t)
			o, _ := oldOptions(t)
			if tt.key {
				o.Sealer = options(t).Sealer
			}
			if tt.edit != nil {
				edit(t, filepath.Dir(path), tt.edit)
			}
			before := dump(t, path)
			if s, err := bolt.Open(path, o); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open = %v, %v", s, err)
			}
			if diff := cmp.Diff(before, dump(t, path)); diff != "" {
				t.Errorf("the store was changed (-before +after):\n%s", diff)
			}
			if names, _ := filepath.Glob(path + ".*"); len(names) > 0 {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}
