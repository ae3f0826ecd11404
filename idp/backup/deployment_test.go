package backup_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"vernal/idp"
	"vernal/idp/backup"
	"vernal/idp/idptest/fixture"
	"vernal/idp/installation"
	"vernal/idp/seal"
)

var start = time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)

// newDeployment makes an installation with a year and a user.
func newDeployment(t testing.TB, change func(*installation.Config)) *fixture.Fixture {
	t.Helper()
	var f *fixture.Fixture
	f = fixture.New(t, start, func(c *installation.Config) {
		c.ConfigText = []byte("base_url: https://login.example.gov\n")
		c.Version = "test"
		c.Master = func() (*seal.Master, error) { return f.Masters.Configured(), nil }
		if change != nil {
			change(c)
		}
	})
	if err := f.Rotation.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	addUser(t, f, "ana")
	return f
}

func addUser(t testing.TB, f *fixture.Fixture, id idp.UserID) {
	t.Helper()
	errs, err := f.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: &idp.User{
		ID: id, Emails: []idp.Email{{Address: string(id) + "@example.gov"}}, CreatedAt: start,
	}}})
	if err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
}

// makeArchive makes a backup in memory.
func makeArchive(t testing.TB, f *fixture.Fixture, o backup.Options) ([]byte, *backup.Summary) {
	t.Helper()
	var out bytes.Buffer
	s, err := f.Backups.WriteArchive(t.Context(), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

// readAll reads a backup to its end and returns its files.
func readAll(data []byte, l backup.Limits) (*backup.Reader, map[string][]byte, error) {
	r, err := backup.Open(bytes.NewReader(data), l)
	if err != nil {
		return nil, nil, err
	}
	files := map[string][]byte{}
	for {
		m, content, err := r.Next()
		if err == io.EOF {
			return r, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if files[m.Name], err = io.ReadAll(content); err != nil {
			return nil, nil, err
		}
	}
}

// restoreTo writes the files of a backup into a folder.
func restoreTo(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newIdentity makes a private key of age, as its file holds it, and its public key.
func newIdentity(t testing.TB) (identity, recipient string) {
	t.Helper()
	k, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return "# a comment\n" + k.String() + "\n", k.Recipient().String()
}
