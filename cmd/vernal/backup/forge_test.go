package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"vernal/cmd/vernal/cli"
	"vernal/idp"
	"vernal/idp/backup"
)

// forge writes a copy of a backup that someone without the master key changed: every digest fits,
// and only the MAC does not.
func forge(t *testing.T, file string, change func(m *backup.Manifest, files map[string][]byte)) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.Open(bytes.NewReader(data), backup.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for {
		m, content, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			files[m.Name], err = io.ReadAll(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(r.Manifest, files)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	archive := tar.NewWriter(z)
	for i, m := range r.Manifest.Members {
		sum := sha256.Sum256(files[m.Name])
		r.Manifest.Members[i].Size, r.Manifest.Members[i].SHA256 = int64(len(files[m.Name])), hex.EncodeToString(sum[:])
	}
	files[backup.ManifestName], err = json.Marshal(r.Manifest)
	for _, m := range append([]backup.Member{{Name: backup.ManifestName}}, r.Manifest.Members...) {
		h := &tar.Header{Name: m.Name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(files[m.Name]))}
		err = errors.Join(err, archive.WriteHeader(h))
		_, writeErr := archive.Write(files[m.Name])
		err = errors.Join(err, writeErr)
	}
	if err = errors.Join(err, archive.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	end := append([]byte{0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 255}, hex.EncodeToString(sum[:])...)
	out.Write(append(end, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	forged := filepath.Join(t.TempDir(), "forged.tar.gz")
	if err := os.WriteFile(forged, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return forged
}

// TestForgedBackupIsRefused checks that only the installation itself can make a backup that its
// master key accepts, and that nothing of another one is put in place.
func TestForgedBackupIsRefused(t *testing.T) {
	t.Parallel()
	s, other := newSource(t), newSource(t)
	var foreign map[string][]byte
	forge(t, other.file, func(_ *backup.Manifest, files map[string][]byte) { foreign = files })
	tests := []struct {
		name   string
		change func(m *backup.Manifest, files map[string][]byte)
	}{
		{"URL", func(m *backup.Manifest, _ map[string][]byte) { m.BaseURL = "https://evil.example" }},
		{"time", func(m *backup.Manifest, _ map[string][]byte) { m.CreatedAt = m.CreatedAt.AddDate(1, 0, 0) }},
		{"audit head", func(m *backup.Manifest, _ map[string][]byte) { m.Head.Seq-- }},
		{"configuration", func(_ *backup.Manifest, files map[string][]byte) { files[backup.ConfigName] = []byte("listen: x\n") }},
		{"certificate", func(_ *backup.Manifest, files map[string][]byte) {
			files["keys/2031.crt"] = foreign["keys/2031.crt"]
		}},
		{"key left out", func(m *backup.Manifest, _ map[string][]byte) { m.Members = append(m.Members[:1], m.Members[2:]...) }},
		{"no MAC", func(m *backup.Manifest, _ map[string][]byte) { m.MAC = "" }},
	}
	whole := s.file
	for _, tt := range tests {
		s.file = forge(t, whole, tt.change)
		dir := t.TempDir()
		if steps, err := s.run(t, dir, -1); !errors.Is(err, backup.ErrForeign) || len(steps) > 0 {
			t.Errorf("%s: restored: %v, %v", tt.name, steps, err)
		}
		entries, err := os.ReadDir(filepath.Join(dir, "data"))
		if err != nil || len(entries) > 0 {
			t.Errorf("%s: %v is left, %v", tt.name, entries, err)
		}
		for _, withKey := range []bool{true, false} {
			c := s.command(dir).restoreCommand()
			c.SilenceErrors, c.SilenceUsage = true, true
			args := []string{s.file, "--check"}
			if withKey {
				args = append(args, "--master-key", s.masterKey)
			}
			c.SetArgs(args)
			if err := c.ExecuteContext(t.Context()); errors.Is(err, backup.ErrForeign) != withKey || !withKey && err != nil {
				t.Errorf("%s: checked, with the key %v: %v", tt.name, withKey, err)
			}
		}
	}
	s.file = whole
	if _, err := s.run(t, t.TempDir(), -1); err != nil {
		t.Error(err)
	}
}

// TestBackupOfOtherSchemaIsRefused checks that a store of another version is refused even without
// the master key.
func TestBackupOfOtherSchemaIsRefused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	s.file = forge(t, s.file, func(m *backup.Manifest, _ map[string][]byte) { m.Schema++ })
	dir := t.TempDir()
	for _, args := range [][]string{{s.file}, {s.file, "--check"}} {
		c := s.command(dir).restoreCommand()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(args)
		if err := c.ExecuteContext(t.Context()); !errors.Is(err, &backup.Refusal{Code: backup.CodeOtherSchema}) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestExportFromPipeIsRefused checks that an export that can be read only once is refused before
// anything is put in place: it is read again when the restore is finished.
func TestExportFromPipeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	page, err := s.Store.AuditPage(t.Context(), idp.AuditQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for _, line := range page.Lines {
		_, writeErr := out.Write(append(bytes.Clone(line.JSON), '\n'))
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := s.command(dir).restoreCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs([]string{s.file, "--master-key", s.masterKey, "--since", fmt.Sprintf("/dev/fd/%d", in.Fd())})
	if err := c.ExecuteContext(t.Context()); !cli.IsRefusal(err) {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "data")); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

// TestUnprovedConfigurationIsNotUsed checks that the configuration of a backup that no master key
// has proved is put aside: a server reads its configuration before it can check the backup, and a
// later restore keeps what is there.
func TestUnprovedConfigurationIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	file := forge(t, s.file, func(_ *backup.Manifest, files map[string][]byte) { files[backup.ConfigName] = []byte("# forged\n") })
	dir := t.TempDir()
	c := s.command(dir).restoreCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs([]string{file})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "vernal.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a configuration that no one proved is in place: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "data", restoredConfig))
	if err != nil || string(text) != "# forged\n" {
		t.Errorf("%q, %v", text, err)
	}
}
