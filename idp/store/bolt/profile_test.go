package bolt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"vernal/idp"
)

func proofed(first string) *idp.Profile {
	return &idp.Profile{Level: idp.IALVerified, VerifiedAt: start, FirstName: first, SSN: "900-11-2222"}
}

// TestProfileSealed opens a store with profiles that somebody has been at: none
// is taken for another one, and the file tells nothing of them.
func TestProfileSealed(t *testing.T) {
	t.Parallel()
	var earlier []byte // u1's profile before the last one
	sealed := func(b *bbolt.Bucket, key string) []byte { return bytes.Clone(b.Get([]byte(key))) }
	tests := []struct {
		name   string
		damage func(users, profiles *bbolt.Bucket) error
	}{
		{"another person's", func(_, profiles *bbolt.Bucket) error { return profiles.Put([]byte("u1"), sealed(profiles, "u2")) }},
		{"the record in its place", func(users, profiles *bbolt.Bucket) error { return profiles.Put([]byte("u1"), sealed(users, "u1")) }},
		{"an earlier one", func(_, profiles *bbolt.Bucket) error { return profiles.Put([]byte("u1"), earlier) }},
		{"cut short", func(_, profiles *bbolt.Bucket) error { return profiles.Put([]byte("u1"), sealed(profiles, "u1")[:20]) }},
		{"taken out", func(_, profiles *bbolt.Bucket) error { return profiles.Delete([]byte("u1")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			s := open(t, dir)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			facial := &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Earlier"}
			must(s.CreateUser(ctx, &idp.User{ID: "u1"}))
			must(s.CreateUser(ctx, &idp.User{ID: "u2"}))
			must(s.SetProfile(ctx, "u1", facial, start))
			must(s.SetProfile(ctx, "u2", proofed("Other"), start))
			closeStore(t, s)
			edit(t, dir, func(tx *bbolt.Tx) error { earlier = sealed(tx.Bucket([]byte("profiles")), "u1"); return nil })
			s = open(t, dir)
			must(s.SetProfile(ctx, "u1", proofed("Ann"), start))
			closeStore(t, s)
			data, err := os.ReadFile(filepath.Join(dir, "vernal.db"))
			must(err)
			for _, secret := range []string{"Ann", "Earlier", "900-11", "first_name"} {
				if bytes.Contains(data, []byte(secret)) {
					t.Errorf("%q can be read in the file", secret)
				}
			}
			edit(t, dir, func(tx *bbolt.Tx) error {
				_, err := options(t).Sealer.Open("profile/u1", tx.Bucket([]byte("profiles")).Get([]byte("u1")))
				return err
			})
			edit(t, dir, func(tx *bbolt.Tx) error { return tt.damage(tx.Bucket([]byte("users")), tx.Bucket([]byte("profiles"))) })

			s = open(t, dir)
			defer closeStore(t, s)
			p, err := s.Profile(ctx, "u1")
			if p != nil || err == nil || errors.Is(err, idp.ErrNotFound) || !strings.Contains(err.Error(), `bucket profiles, key "u1"`) {
				t.Errorf("Profile = %+v, %v; want an error that names the record", p, err)
			}
			if p, err = s.Profile(ctx, "u2"); err != nil || p.FirstName != "Other" {
				t.Errorf("another person's: %+v, %v", p, err)
			}
			// It is made good by proofing the person again.
			must(s.SetProfile(ctx, "u1", proofed("Ann"), start))
			if _, err := s.Profile(ctx, "u1"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMigrateProfiles opens a store of a build that kept profiles in the records
// of people.
func TestMigrateProfiles(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	users := []*idp.User{
		{ID: "u1", Emails: []idp.Email{{Address: "a@example.org"}}, Role: "staff", CreatedAt: start},
		{ID: "u2", CreatedAt: start},
	}
	for _, u := range users {
		if err := s.CreateUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	edit(t, dir, func(tx *bbolt.Tx) error {
		var record map[string]any
		text, err := json.Marshal(users[0])
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		record["profile"] = proofed("Ann")
		text, merr := json.Marshal(record)
		return errors.Join(err, merr,
			tx.Bucket([]byte("users")).Put([]byte("u1"), options(t).Sealer.Seal("user/u1", text)),
			tx.Bucket([]byte("users")).Put([]byte("u9"), []byte("damaged")),
			tx.DeleteBucket([]byte("profiles")),
			tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("1")))
	})
	s = open(t, dir)
	defer closeStore(t, s)
	for range 2 { // what changes later does not bring it back, nor lose it
		p, err := s.Profile(ctx, "u1")
		if diff := cmp.Diff(proofed("Ann"), p); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		users[0].Proofed = p.Proofed()
		u, err := s.User(ctx, "u1")
		if diff := cmp.Diff(users[0], u); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		at := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
		users[0].UpdatedAt = at
		if err := s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.UpdatedAt = at; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Profile(ctx, "u2"); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("somebody unproofed: %v", err)
	}
}
