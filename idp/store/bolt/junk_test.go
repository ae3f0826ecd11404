package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// A writer of the file may delete records. These tests hold that junk in indexes and
// in the audit trail does no more than that: nothing else stops, and nothing is lost.

// openTampered opens a filled store after an attacker changed its file.
func openTampered(t *testing.T, change func(tx *bbolt.Tx) error) *bolt.Store {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	fillStore(t, s)
	closeStore(t, s)
	edit(t, dir, change)
	s = open(t, dir)
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func putValue(bucket, key, value string) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) }
}

func TestJunkInExpiryIsSweptAway(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"\x00", "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00?x"} {
		s := openTampered(t, putValue("expiry", key, ""))
		if n, err := s.Sweep(t.Context(), start.Add(2*time.Hour), 100); err != nil || n == 0 {
			t.Errorf("%q: Sweep = %d, %v", key, n, err)
		}
	}
}

func TestForgedNameIDEndsTheListOfScopes(t *testing.T) {
	t.Parallel()
	s := openTampered(t, putValue("name-ids", "\x00\x01x"+string(bytes.Repeat([]byte{0xff}, 300)), "x"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if scopes, err := s.NameIDScopes(ctx); !errors.Is(err, idp.ErrTampered) {
		t.Errorf("NameIDScopes = %v, %v", scopes, err)
	}
	s = openTampered(t, putValue("user-tombstones", "ghost", "2031-04-01T09:00:00Z"))
	if ids, err := s.Users(t.Context(), idp.UserQuery{Limit: 10, Deleted: true}); !errors.Is(err, idp.ErrTampered) {
		t.Errorf("Users, deleted = %v, %v", ids, err)
	}
}

// TestJunkInAuditTrail checks that sign-ins go on, and that record 1 stays unchanged.
func TestJunkInAuditTrail(t *testing.T) {
	t.Parallel()
	last := string(bytes.Repeat([]byte{0xff}, 8))
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"a record that is none":   putValue("audit", last, "x"),
		"a record of the highest": putValue("audit", last, `{"seq":18446744073709551615,"hash":"00"}`),
		"a bucket as the head": func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("audit-head"))
			if err := b.Delete([]byte("head")); err != nil {
				return err
			}
			_, err := b.CreateBucket([]byte("head"))
			return err
		},
		"the highest count":    func(tx *bbolt.Tx) error { return tx.Bucket([]byte("audit")).SetSequence(1<<64 - 1) },
		"a damaged checkpoint": putValue("audit-checkpoint", "checkpoint", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			for range 3 {
				if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
					t.Fatal(err)
				}
			}
			first := records1(t, s)
			closeStore(t, s)
			edit(t, dir, change)
			s = open(t, dir)
			defer closeStore(t, s)
			for range 2 {
				if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
					t.Errorf("AppendAudit: %v", err)
				}
			}
			if got := records1(t, s); got != first {
				t.Errorf("record 1 was %s, and is %s", first, got)
			}
		})
	}
}

func records1(t *testing.T, s *bolt.Store) string {
	t.Helper()
	all, err := audit.Records(t.Context(), s, 0, 1)
	if err != nil || len(all) != 1 || all[0].Seq != 1 {
		t.Fatalf("record 1: %+v, %v", all, err)
	}
	return all[0].Hash
}

// TestSessionWithoutIndexHasEnded takes a session out of its user's index, where no
// sign-out of the user finds it: it opens nothing.
func TestSessionWithoutIndexHasEnded(t *testing.T) {
	t.Parallel()
	s := openTampered(t, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("user-sessions")).Delete([]byte("\x00\x02u1session u1"))
	})
	ctx := t.Context()
	if _, err := s.Session(ctx, "session u1"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("Session = %v", err)
	}
	_, err := s.RecordIssuance(ctx, &idp.Issuance{
		Request: &idp.LoginRequest{Handle: "h", SP: tamperSP, MessageID: "new"}, Session: "session u1", User: "u1",
		Scope: "sp:" + idp.NameIDScope(tamperSP), SessionIndex: "i", At: start,
	})
	if !errors.Is(err, idp.ErrSessionEnded) {
		t.Errorf("RecordIssuance = %v", err)
	}
	for want := range 2 {
		if n, err := s.Sweep(ctx, start.Add(2*time.Hour), 100); err != nil || (n == 0) != (want == 1) {
			t.Errorf("Sweep %d = %d, %v", want, n, err)
		}
	}
}

// TestSweptRequestPutBackIsIgnored puts a swept request back after its message was
// stored again.
func TestSweptRequestPutBackIsIgnored(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	create := func(handle idp.RequestHandle) {
		t.Helper()
		if err := s.CreateLoginRequest(ctx, &idp.LoginRequest{Handle: handle, SP: tamperSP, MessageID: "m", ExpiresAt: start}); err != nil {
			t.Fatal(err)
		}
	}
	create("h1")
	closeStore(t, s)
	var older []byte
	edit(t, dir, func(tx *bbolt.Tx) error {
		older = bytes.Clone(tx.Bucket([]byte("requests")).Get([]byte("h1")))
		return nil
	})
	s = open(t, dir)
	if _, err := s.Sweep(ctx, start, 10); err != nil {
		t.Fatal(err)
	}
	create("h2")
	closeStore(t, s)
	edit(t, dir, putValue("requests", "h1", string(older)))
	s = open(t, dir)
	defer closeStore(t, s)
	if r, err := s.LoginRequest(ctx, idp.RequestKey{SP: tamperSP, MessageID: "m"}); err != nil || r.Handle != "h2" {
		t.Errorf("LoginRequest = %+v, %v; want the later one", r, err)
	}
}
