package bolt_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"vernal/idp"
	"vernal/idp/seal"
	"vernal/idp/store/bolt"
)

// edit changes the file of a store that is closed, as no Vernal would.
func edit(t *testing.T, dir string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "vernal.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
}

func TestOpenWaitsForLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "vernal.db")
	s := open(t, dir)
	if _, err := bolt.Open(path, options(t)); !errors.Is(err, idp.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	o := options(t)
	o.LockWait = time.Minute
	opened := make(chan error)
	go func() {
		second, err := bolt.Open(path, o)
		if err == nil {
			err = second.Close()
		}
		opened <- err
	}()
	closeStore(t, s)
	if err := <-opened; err != nil {
		t.Errorf("Open that waited: %v", err)
	}
}

func TestOpenRefusesForeignOrDamagedStore(t *testing.T) {
	t.Parallel()
	set := func(key, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte(key), []byte(value)) }
	}
	trailer := strings.Repeat("1", 17) // a generation number and a MAC that look like digits
	otherKey, err := seal.NewMaster(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		edit   func(*bbolt.Tx) error
		option func(*bolt.Options)
		want   error
		text   string
	}{
		{name: "newer schema", edit: set("schema", "5"+trailer), want: idp.ErrSchema},
		{name: "much newer schema", edit: set("schema", "42"+trailer), want: idp.ErrSchema},
		{name: "older schema", edit: set("schema", "3"+trailer), want: idp.ErrSchema},
		{name: "schema of a store without MACs", edit: set("schema", "2"), want: idp.ErrSchema},
		{name: "schema without its MAC", edit: set("schema", "4"), want: idp.ErrTampered},
		{name: "no such schema", edit: set("schema", "0"), text: `bucket meta, key "schema"`},
		{name: "schema unreadable", edit: set("schema", "x"), text: `bucket meta, key "schema"`},
		{name: "bucket missing", edit: func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("users")) }, text: "users"},
		{name: "another program's file", edit: func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }, text: "not a store of Vernal"},
		{name: "another master key", option: func(o *bolt.Options) { o.Masters = seal.NewMasters(otherKey) }, want: bolt.ErrMaster},
		{name: "key removed", edit: func(tx *bbolt.Tx) error { return tx.Bucket([]byte("ring-keys")).Delete([]byte("1/mac")) }, want: bolt.ErrMaster},
		{name: "keys swapped", edit: func(tx *bbolt.Tx) error {
			keys := tx.Bucket([]byte("ring-keys"))
			return keys.Put([]byte("1/mac"), keys.Get([]byte("1/index")))
		}, want: bolt.ErrMaster},
		{name: "no master key", option: func(o *bolt.Options) { o.Masters = nil }, text: "required"},
		{name: "no clock", option: func(o *bolt.Options) { o.Clock = nil }, text: "required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			closeStore(t, open(t, dir))
			if tt.edit != nil {
				edit(t, dir, tt.edit)
			}
			o := options(t)
			if tt.option != nil {
				tt.option(&o)
			}
			for range 2 { // the second time shows that the first let go of the file
				s, err := bolt.Open(filepath.Join(dir, "vernal.db"), o)
				if err == nil {
					closeStore(t, s)
					t.Fatal("Open took it")
				}
				if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Open = %v, want %v %q", err, tt.want, tt.text)
				}
			}
		})
	}
}

func TestOpenNotADatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vernal.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path, options(t)); err == nil {
		t.Error("Open took a file that is no database")
	}
	if _, err := bolt.Open(filepath.Join(path, "below", "vernal.db"), options(t)); err == nil {
		t.Error("Open made a folder")
	}
}

func TestStoreFileIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "vernal.db")
	closeStore(t, open(t, dir))
	mode := func() os.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if mode() != 0o600 {
		t.Errorf("new file has mode %v", mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o := options(t)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, err := bolt.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if mode() != 0o600 || !strings.Contains(log.String(), "WARN") {
		t.Errorf("file that was open to others has mode %v now; log: %s", mode(), log.String())
	}
}

func TestStoreFileHoldsNoPersonalData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	u := &idp.User{ID: "u1", PasswordHash: "$argon2id$hash", TOTPs: []idp.TOTP{{Secret: []byte("totp-secret")}},
		Emails: []idp.Email{{Address: "Ann.Example@mail.example"}}}
	if err := bolt.AddUser(t.Context(), s, u); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	data, err := os.ReadFile(filepath.Join(dir, "vernal.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ann.example", "argon2id", "totp-secret", "dG90cC1zZWNyZXQ"} {
		if bytes.Contains(bytes.ToLower(data), []byte(strings.ToLower(secret))) {
			t.Errorf("the file holds %q", secret)
		}
	}

}
