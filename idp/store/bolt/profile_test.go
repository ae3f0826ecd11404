package bolt_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/store/bolt"
)

func proofed(first string) *idp.Profile {
	return &idp.Profile{Level: idp.IALVerified, VerifiedAt: start, FirstName: first, SSN: "900-11-2222"}
}

// TestSwappedProfileIsRefused opens a store whose profiles were tampered with: no profile is
// accepted in place of another, and the file discloses nothing about them.
func TestSwappedProfileIsRefused(t *testing.T) {
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
			must(bolt.AddUser(ctx, s, &idp.User{ID: "u1"}))
			must(bolt.AddUser(ctx, s, &idp.User{ID: "u2"}))
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
			edit(t, dir, func(tx *bbolt.Tx) error { return tt.damage(tx.Bucket([]byte("users")), tx.Bucket([]byte("profiles"))) })

			s = open(t, dir)
			defer closeStore(t, s)
			p, err := s.Profile(ctx, "u1")
			if p != nil || !errors.Is(err, idp.ErrTampered) {
				t.Errorf("Profile = %+v, %v; want ErrTampered", p, err)
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
