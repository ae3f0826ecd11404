package bolt_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/store/bolt"
)

// TestDamaged reads and changes records that are not what they should be: an
// error that names the record, never a panic, and the store goes on.
func TestDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	ctx := t.Context()
	u := &idp.User{ID: "u1", Emails: []idp.Email{{Address: "a@example.org"}}}
	if err := s.CreateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateThrottle(ctx, "k", start, func(x *idp.Throttle) error { x.ExpiresAt = start; return nil }); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error {
		var err error
		put := func(bucket, key, value string) {
			err = errors.Join(err, tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)))
		}
		put("providers", "bad", "{")
		put("users", "u1", "short")
		put("sessions", "bad", `{"id":7}`)
		put("user-sessions", "\x00\x02u2gone", "")
		put("audit", "odd key", `{"seq":1}`)
		return errors.Join(err, tx.Bucket([]byte("throttles")).ForEach(func(k, _ []byte) error {
			return tx.Bucket([]byte("throttles")).Put(k, []byte("null!"))
		}))
	})
	s = open(t, dir)
	defer closeStore(t, s)

	nothing := func(*idp.Session) error { return nil }
	_, provider := s.Provider(ctx, "bad")
	_, providers := s.Providers(ctx)
	_, user := s.User(ctx, "u1")
	_, email := s.UserByEmail(ctx, "a@example.org")
	_, users := s.Users(ctx, "", 10)
	_, sess := s.Session(ctx, "bad")
	_, sessions := s.UserSessions(ctx, "u2")
	_, throttle := s.Throttle(ctx, "k", start)
	_, sweep := s.Sweep(ctx, start, 10)
	_, trail := s.AuditRecords(ctx, 0, 10)
	_, issuance := s.RecordIssuance(ctx, &idp.Issuance{Request: &idp.LoginRequest{Handle: "h"}, Session: "bad", At: start})
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"Provider", provider, `bucket providers, key "bad"`},
		{"Providers", providers, `bucket providers, key "bad"`},
		{"User", user, `bucket users, key "u1"`},
		{"UserByEmail", email, `bucket users, key "u1"`},
		{"Users", users, `bucket users, key "u1"`},
		{"DeleteUser", s.DeleteUser(ctx, "u1"), `bucket users, key "u1"`},
		{"Session", sess, `bucket sessions, key "bad"`},
		{"UpdateSession", s.UpdateSession(ctx, "bad", nothing), `bucket sessions, key "bad"`},
		{"EndSession", s.EndSession(ctx, "bad"), `bucket sessions, key "bad"`},
		{"UserSessions", sessions, `bucket user-sessions, key`},
		{"Throttle", throttle, `bucket throttles, key`},
		{"Sweep", sweep, `bucket throttles, key`},
		{"AuditRecords", trail, `bucket audit, key "odd key"`},
		{"AppendAudit", s.AppendAudit(ctx, idp.AuditEvent{Kind: "k"}), `bucket audit, key "odd key"`},
		{"RecordIssuance", issuance, `bucket sessions, key "bad"`},
	}
	for _, tt := range tests {
		if tt.err == nil || errors.Is(tt.err, idp.ErrNotFound) || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, tt.err, tt.want)
		}
	}
	if err := s.CreateSession(ctx, &idp.Session{ID: "s1", User: "u3"}, nil); err != nil {
		t.Errorf("the store does not go on: %v", err)
	}
}

// TestAuditCut takes records from the end of the trail, where the chain itself
// shows nothing: the next record leaves a gap.
func TestAuditCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for range 5 {
		if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte("audit")).Cursor()
		c.Last()
		err := c.Delete()
		c.Last()
		return errors.Join(err, c.Delete())
	})
	s = open(t, dir)
	defer closeStore(t, s)
	if err := s.AppendAudit(t.Context(), idp.AuditEvent{Kind: "k"}); err != nil {
		t.Fatal(err)
	}
	var broken *audit.BrokenError
	if err := audit.Verify(records(t.Context(), s, 0)); !errors.As(err, &broken) || broken.Seq != 4 {
		t.Errorf("Verify = %v, want record 4 missing", err)
	}
}

// TestDamagedRequests opens stores whose requests cannot all be told apart by
// their messages. Going on would let a message be answered twice.
func TestDamagedRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(b *bbolt.Bucket) error
	}{
		{"cut short", func(b *bbolt.Bucket) error { return b.Put([]byte("h1"), b.Get([]byte("h1"))[:5]) }},
		{"of an unknown form", func(b *bbolt.Bucket) error { return b.Put([]byte("h1"), []byte("{}")) }},
		{"one message twice", func(b *bbolt.Bucket) error { return b.Put([]byte("h2"), b.Get([]byte("h1"))) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			if err := s.CreateLoginRequest(t.Context(), &idp.LoginRequest{Handle: "h1", SP: "https://sp.example", MessageID: "m"}); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			edit(t, dir, func(tx *bbolt.Tx) error { return tt.damage(tx.Bucket([]byte("requests"))) })
			s, err := bolt.Open(filepath.Join(dir, "vernal.db"), options(t))
			if err == nil {
				closeStore(t, s)
			}
			if err == nil || !strings.Contains(err.Error(), "bucket requests, key") {
				t.Errorf("Open: %v, want an error that names the record", err)
			}
		})
	}
}
