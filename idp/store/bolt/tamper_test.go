package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/store/bolt"
	"vernal/idp/store/storetest"
)

// A writer of the file is tried on every record of every guarded bucket: a value that
// was changed, cut, moved from another key or another bucket, or made up. Nothing
// that reads it takes it for a record or for one that is not there, nothing that
// changes it gives it a MAC, and what stays of the store goes on.

const tamperSP, tamperSP2 = idp.EntityID("https://a.example"), idp.EntityID("https://b.example")

func allowed(idp.Standing) error { return nil }

// fillStore writes two records of every kind.
func fillStore(t *testing.T, s *bolt.Store) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, user := range []idp.UserID{"u1", "u2", "u3"} {
		must(bolt.AddUser(ctx, s, &idp.User{ID: user, Emails: []idp.Email{{Address: string(user) + "@example.org"}}}))
		must(s.SetProfile(ctx, user, proofed(string(user)), start))
		if i == 2 {
			must(s.DeleteUser(ctx, user))
		}
	}
	for _, sp := range []idp.EntityID{tamperSP, tamperSP2, "https://removed.example", "https://gone.example"} {
		must(s.CreateProvider(ctx, &idp.ServiceProvider{EntityID: sp, NameIDScope: idp.NameIDScope("sp:" + string(sp))}, ""))
	}
	must(s.RemoveProvider(ctx, "https://removed.example"))
	must(s.RemoveProvider(ctx, "https://gone.example"))
	for i, user := range []idp.UserID{"u1", "u2"} {
		id, sp := idp.SessionID("session "+user), []idp.EntityID{tamperSP, tamperSP2}[i]
		must(s.StartSession(ctx, idp.SessionStart{Session: &idp.Session{ID: id, User: user, CreatedAt: start, SeenAt: start, AuthnAt: start, ExpiresAt: start.Add(time.Hour)}}))
		_, err := s.RecordIssuance(ctx, &idp.Issuance{
			Request: &idp.LoginRequest{Handle: idp.RequestHandle("answered " + user), SP: sp, MessageID: "m" + string(user), ExpiresAt: start.Add(time.Hour)},
			Session: id, User: user, Scope: idp.NameIDScope("sp:" + string(sp)), ProposedNameID: idp.NameID("name " + user), SessionIndex: "i", At: start,
		})
		must(err)
		must(s.CreateLoginRequest(ctx, &idp.LoginRequest{Handle: idp.RequestHandle("waiting " + user), SP: sp, MessageID: "w" + string(user), ExpiresAt: start.Add(time.Hour)}))
		_, err = s.ReceiveLogout(ctx, &idp.LogoutRequest{Handle: idp.RequestHandle("logout " + user), SP: sp, MessageID: "l" + string(user), User: user, ExpiresAt: start.Add(time.Hour)})
		must(err)
		must(s.UpdateDocuments(ctx, "link", []string{string(user)}, func(d *idp.Document) error { d.Data = []byte("document"); return nil }))
	}
	must(s.UpdateDocuments(ctx, idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error { d.Data = []byte("history"); return nil }))
}

// readings read or change the record of u1, or of its SP, in each bucket. The part of a key
// after the slash names the record where there are several kinds.
var readings = map[string][]func(context.Context, *bolt.Store) error{
	"documents/history": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := storetest.LookupDocument(ctx, s, idp.RotationKind, idp.RotationKey)
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return s.UpdateDocuments(ctx, idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error { d.Data = []byte("other"); return nil })
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.RecordIssuance(ctx, &idp.Issuance{
				Request: &idp.LoginRequest{Handle: "h", SP: tamperSP, MessageID: "new"}, Session: "session u1", User: "u1",
				Scope: "sp:" + idp.NameIDScope(tamperSP), ProposedNameID: "minted", SessionIndex: "i", At: start, Check: allowed,
			})
			return err
		},
	},
	"providers": {
		func(ctx context.Context, s *bolt.Store) error { _, err := s.Provider(ctx, tamperSP); return err },
		func(ctx context.Context, s *bolt.Store) error {
			all, err := s.Providers(ctx)
			if len(all) != 1 || all[0].EntityID != tamperSP2 {
				return errors.New("the other providers are not listed")
			}
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.UpdateProvider(ctx, idp.ProviderUpdate{ID: tamperSP, Change: func(*idp.ServiceProvider) error { return nil }})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error { return s.RemoveProvider(ctx, tamperSP) },
		func(ctx context.Context, s *bolt.Store) error {
			return s.AnswerLoginRequest(ctx, &idp.LoginRequest{Handle: "waiting u1", SP: tamperSP, MessageID: "wu1"}, start, allowed)
		},
	},
	"provider-scopes": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.Provider(ctx, "https://gone.example")
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return s.CreateProvider(ctx, &idp.ServiceProvider{EntityID: "https://gone.example"}, "")
		},
	},
	"user-emails": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.UserByEmail(ctx, "u1@example.org")
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return bolt.AddUser(ctx, s, &idp.User{ID: "u9", Emails: []idp.Email{{Address: "u1@example.org"}}})
		},
	},
	"name-ids": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.NameID(ctx, "sp:"+idp.NameIDScope(tamperSP), "u1")
			return err
		},
		func(ctx context.Context, s *bolt.Store) error { // none is minted in its place
			_, err := s.RecordIssuance(ctx, &idp.Issuance{
				Request: &idp.LoginRequest{Handle: "h", SP: tamperSP, MessageID: "new"}, Session: "session u1", User: "u1",
				Scope: "sp:" + idp.NameIDScope(tamperSP), ProposedNameID: "minted", SessionIndex: "i", At: start,
			})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			change := func(p *idp.ServiceProvider) error { p.NameIDScope = "agency:A"; return nil }
			_, err := s.UpdateProvider(ctx, idp.ProviderUpdate{ID: tamperSP, Change: change, KeepNameIDs: true})
			return err
		},
	},
	"name-id-users": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.UserByNameID(ctx, "sp:"+idp.NameIDScope(tamperSP), "name u1")
			return err
		},
	},
	"sessions": {
		func(ctx context.Context, s *bolt.Store) error { _, err := s.Session(ctx, "session u1"); return err },
		func(ctx context.Context, s *bolt.Store) error {
			return s.UpdateSession(ctx, "session u1", func(*idp.Session) error { return nil })
		},
	},
	"requests": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "answered u1"})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return s.AnswerLoginRequest(ctx, &idp.LoginRequest{Handle: "answered u1", SP: tamperSP, MessageID: "mu1"}, start, nil)
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.RecordIssuance(ctx, &idp.Issuance{
				Request: &idp.LoginRequest{Handle: "answered u1", SP: tamperSP, MessageID: "mu1"}, Session: "session u1", User: "u1",
				Scope: "sp:" + idp.NameIDScope(tamperSP), SessionIndex: "i", At: start,
			})
			return err
		},
	},
	"logouts": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.LogoutRequest(ctx, idp.RequestKey{Handle: "logout u1"})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.LogoutRequest(ctx, idp.RequestKey{SP: tamperSP, MessageID: "lu1"})
			return err
		},
	},
	"logout-messages": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.LogoutRequest(ctx, idp.RequestKey{SP: tamperSP, MessageID: "lu1"})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.ReceiveLogout(ctx, &idp.LogoutRequest{Handle: "other", SP: tamperSP, MessageID: "lu1", User: "u1"})
			return err
		},
	},
	"documents": {
		func(ctx context.Context, s *bolt.Store) error {
			_, err := storetest.LookupDocument(ctx, s, "link", "u1")
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.Documents(ctx, "link", idp.DocumentQuery{All: true})
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return s.UpdateDocuments(ctx, "link", []string{"u1"}, func(d *idp.Document) error { d.Data = []byte("x"); return nil })
		},
	},
	"users": {
		func(ctx context.Context, s *bolt.Store) error { _, err := s.User(ctx, "u1"); return err },
		func(ctx context.Context, s *bolt.Store) error {
			_, err := s.UserByEmail(ctx, "u1@example.org")
			return err
		},
		func(ctx context.Context, s *bolt.Store) error {
			return s.UpdateUser(ctx, "u1", func(*idp.User) error { return nil })
		},
		func(ctx context.Context, s *bolt.Store) error { return s.DeleteUser(ctx, "u1") },
	},
	"user-keys": {
		func(ctx context.Context, s *bolt.Store) error { _, err := s.User(ctx, "u1"); return err },
		func(ctx context.Context, s *bolt.Store) error { _, err := s.Profile(ctx, "u1"); return err },
		func(ctx context.Context, s *bolt.Store) error { return s.SetProfile(ctx, "u1", nil, start) },
	},
	"profiles": {
		func(ctx context.Context, s *bolt.Store) error { _, err := s.Profile(ctx, "u1"); return err },
	},
}

// unread are the guarded buckets without a reading above, and why.
var unread = map[string]string{
	"meta":            "it is read at Open and by changes of keys, see renew_window_test.go",
	"user-tombstones": "TestTamperedTombstoneIsRefused reads them",
}

// victims finds in a bucket the key of u1's record, or its SP's, and of another one.
func victims(name, mark string, b *bbolt.Bucket) (victim, other []byte) {
	if mark == "" {
		mark = "u1"
	}
	var all [][]byte
	_ = b.ForEach(func(k, _ []byte) error {
		all = append(all, bytes.Clone(k))
		return nil
	})
	for _, k := range all {
		of := func(mark string) bool { return bytes.HasSuffix(k, []byte(mark)) }
		switch {
		case victim == nil && (of(mark) && !of("waiting u1") || of("a.example") || of("gone.example") && name == "provider-scopes"):
			victim = k
		case other == nil:
			other = k
		}
	}
	if victim == nil { // the keys are hashes: all of them are tried
		victim, other = all[0], all[1]
	}
	return victim, other
}

func TestTamperedRecordIsRefused(t *testing.T) {
	t.Parallel()
	// Each makes of a value what a writer of the file puts in its place.
	forgeries := map[string]func(tx *bbolt.Tx, name string, value, other []byte) []byte{
		"changed": func(_ *bbolt.Tx, _ string, value, _ []byte) []byte { value[0] ^= 1; return value },
		"MAC changed": func(_ *bbolt.Tx, _ string, value, _ []byte) []byte {
			value[len(value)-1] ^= 1
			return value
		},
		"without its MAC": func(_ *bbolt.Tx, _ string, value, _ []byte) []byte { return value[:len(value)-17] },
		"cut short":       func(_ *bbolt.Tx, _ string, value, _ []byte) []byte { return value[:len(value)/2] },
		"empty":           func(*bbolt.Tx, string, []byte, []byte) []byte { return []byte{} },
		"longer":          func(_ *bbolt.Tx, _ string, value, _ []byte) []byte { return append(value, 0) },
		"another record's": func(_ *bbolt.Tx, _ string, _, other []byte) []byte {
			return other
		},
		"another bucket's": func(tx *bbolt.Tx, name string, _, _ []byte) []byte {
			from := "documents"
			if name == from {
				from = "providers"
			}
			_, v := tx.Bucket([]byte(from)).Cursor().First()
			return bytes.Clone(v)
		},
	}
	for reading, calls := range readings {
		name, mark, _ := strings.Cut(reading, "/")
		for forgery, forge := range forgeries {
			t.Run(reading+"/"+forgery, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				s := open(t, dir)
				fillStore(t, s)
				closeStore(t, s)
				var victim, forged []byte
				edit(t, dir, func(tx *bbolt.Tx) error {
					b := tx.Bucket([]byte(name))
					var other []byte
					victim, other = victims(name, mark, b)
					value, otherValue := bytes.Clone(b.Get(victim)), bytes.Clone(b.Get(other))
					forged = forge(tx, name, bytes.Clone(value), otherValue)
					err := b.Put(victim, forged)
					if name == "user-emails" { // the keys are hashes: both are forged
						err = errors.Join(err, b.Put(other, forge(tx, name, bytes.Clone(otherValue), value)))
					}
					return err
				})
				s, err := bolt.Open(filepath.Join(dir, "vernal.db"), options(t))
				if err != nil {
					t.Fatal(err)
				}
				for i, call := range calls {
					if err := call(t.Context(), s); !errors.Is(err, idp.ErrTampered) || errors.Is(err, idp.ErrNotFound) {
						t.Errorf("reading %d: %v, want ErrTampered", i, err)
					}
				}
				if err := s.StartSession(t.Context(), idp.SessionStart{Session: &idp.Session{ID: "new", User: "u2", ExpiresAt: start}}); err != nil {
					t.Errorf("the store does not go on: %v", err)
				}
				closeStore(t, s)
				edit(t, dir, func(tx *bbolt.Tx) error {
					if got := tx.Bucket([]byte(name)).Get(victim); !bytes.Equal(got, forged) {
						t.Errorf("the forged value was replaced by %q", got)
					}
					return nil
				})
			})
		}
	}
}

// TestEveryGuardedBucketIsTamperTested fails when a guarded bucket comes that
// TestTamperedRecordIsRefused does not read.
func TestEveryGuardedBucketIsTamperTested(t *testing.T) {
	t.Parallel()
	for _, name := range bolt.GuardedBuckets() {
		if readings[name] == nil && unread[name] == "" {
			t.Errorf("bucket %s has no reading", name)
		}
	}
}

// TestTamperedSessionEnds forges a session of each of two users: neither opens
// anything, and the users can still end sessions, sign in and change their password.
func TestTamperedSessionEnds(t *testing.T) {
	t.Parallel()
	forge := func(t *testing.T) *bolt.Store {
		t.Helper()
		dir := t.TempDir()
		s := open(t, dir)
		fillStore(t, s)
		closeStore(t, s)
		edit(t, dir, func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("sessions"))
			// The session of u2 becomes one of u1's, and that of u1 is made up.
			return errors.Join(tx.Bucket([]byte("user-sessions")).Put([]byte("\x00\x02u1session u2"), nil), b.Put([]byte("session u1"), []byte("forged")))
		})
		s = open(t, dir)
		t.Cleanup(func() { closeStore(t, s) })
		return s
	}
	ctx := t.Context()
	sess := &idp.Session{ID: "new", User: "u1", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	tests := []struct {
		name string
		call func(s *bolt.Store) error
		want error
	}{
		{"EndSessions", func(s *bolt.Store) error {
			_, err := s.EndSessions(ctx, idp.SessionEnd{IDs: []idp.SessionID{"session u1"}})
			return err
		}, nil},
		{"begin", func(s *bolt.Store) error {
			return s.StartSession(ctx, idp.SessionStart{Session: sess, ReplacedIDs: []idp.SessionID{"session u1"}})
		}, nil},
		{"complete", func(s *bolt.Store) error {
			return s.StartSession(ctx, idp.SessionStart{Session: sess, PendingID: "session u1"})
		}, idp.ErrSessionEnded},
		{"step up", func(s *bolt.Store) error {
			return s.StartSession(ctx, idp.SessionStart{Session: sess, PreviousID: "session u1"})
		}, idp.ErrSessionEnded},
		{"RecordIssuance", func(s *bolt.Store) error {
			_, err := s.RecordIssuance(ctx, &idp.Issuance{Request: &idp.LoginRequest{Handle: "h", SP: tamperSP, MessageID: "new"}, Session: "session u1", User: "u1", At: start})
			return err
		}, idp.ErrSessionEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := forge(t)
			if err := tt.call(s); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			of, err := s.Sessions(ctx, idp.SessionQuery{User: "u1"})
			if i := slices.IndexFunc(of, func(s *idp.Session) bool { return s.ID != "new" }); err != nil || i >= 0 {
				t.Errorf("sessions of u1 = %v, %v; want none but the new one", of, err)
			}
			if n, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1"}); err != nil || n != len(of) {
				t.Errorf("EndSessions of a user = %d, %v", n, err)
			}
			if _, err := s.Session(ctx, "session u2"); err != nil {
				t.Errorf("the session of u2 was ended for u1: %v", err)
			}
			if err := s.DeleteUser(ctx, "u1"); err != nil {
				t.Error(err)
			}
			if n, err := s.Sweep(ctx, start.Add(2*time.Hour), 100); err != nil || n == 0 {
				t.Errorf("Sweep = %d, %v", n, err)
			}
			if n, err := s.Sweep(ctx, start.Add(2*time.Hour), 100); err != nil || n != 0 {
				t.Errorf("second Sweep = %d, %v; want nothing left", n, err)
			}
		})
	}
}

// TestOlderRecordContradictsNewerOnes puts back an earlier version of a record. That looks the
// same as a restored store, but data read together with a newer record does not match it.
func TestOlderRecordContradictsNewerOnes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	fillStore(t, s)
	closeStore(t, s)
	var entry, email []byte
	edit(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("user-emails")).ForEach(func(k, v []byte) error {
			if bytes.HasPrefix(v, []byte("u1")) {
				entry, email = bytes.Clone(k), bytes.Clone(v)
			}
			return nil
		})
	})
	s = open(t, dir)
	if err := s.UpdateUser(t.Context(), "u1", func(u *idp.User) error { u.Emails[0].Address = "new@example.org"; return nil }); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("user-emails")).Put(entry, email) })
	s = open(t, dir)
	defer closeStore(t, s)
	if _, err := s.UserByEmail(t.Context(), "u1@example.org"); !errors.Is(err, idp.ErrTampered) {
		t.Errorf("an address that was taken away finds its user: %v", err)
	}
}

// TestTamperedTombstoneIsRefused forges what is left of a deleted user, and an entry of an email
// address that is reserved for that user.
func TestTamperedTombstoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"user-tombstones", "user-emails"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, ctx := t.TempDir(), t.Context()
			s := open(t, dir)
			err := bolt.AddUser(ctx, s, &idp.User{ID: "u1", Emails: []idp.Email{{Address: "a@example.org", DisclosedTo: []idp.EntityID{"sp"}}}})
			if err = errors.Join(err, s.DeleteUser(ctx, "u1")); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			edit(t, dir, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(name))
				key, value := b.Cursor().First()
				value = bytes.Clone(value)
				value[0] ^= 1
				return b.Put(bytes.Clone(key), value)
			})
			s = open(t, dir)
			defer closeStore(t, s)
			_, err = s.Users(ctx, idp.UserQuery{Limit: 10, Deleted: true})
			if isRead := err == nil; isRead == (name == "user-tombstones") || !isRead && !errors.Is(err, idp.ErrTampered) {
				t.Errorf("deleted users: %v", err)
			}
			err = bolt.AddUser(ctx, s, &idp.User{ID: "u2", Emails: []idp.Email{{Address: "a@example.org"}}})
			if want := map[string]error{"user-tombstones": idp.ErrExists, "user-emails": idp.ErrTampered}[name]; !errors.Is(err, want) {
				t.Errorf("another user with the reserved email address: %v, want %v", err, want)
			}
		})
	}
}
