package backup_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"vernal/idp/backup"
)

// FuzzReader gives the reader arbitrary files: a whole one, or a manifest inside a valid
// archive. What it accepts is within the limits, and has only the names of a backup.
func FuzzReader(f *testing.F) {
	var entries []entry
	m := backup.Manifest{
		Format: backup.Format, Version: "test", Schema: 1, Installation: strings.Repeat("0a", 16), CreatedAt: start,
		Years: []backup.Year{}, MasterKeys: []string{}, Members: []backup.Member{}, MAC: "00",
	}
	for _, name := range []string{backup.StoreName, "keys/2031.key", backup.ConfigName} {
		sum := sha256.Sum256([]byte(name)) // a file contains its name
		entries = append(entries, entry{name: name, data: []byte(name)})
		m.Members = append(m.Members, backup.Member{Name: name, Size: int64(len(name)), SHA256: hex.EncodeToString(sum[:])})
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	data := pack(f, append([]entry{{name: backup.ManifestName, data: manifest}}, entries...), nil)
	if _, _, err := readAll(data, backup.DefaultLimits); err != nil {
		f.Fatal(err)
	}
	f.Add(data, manifest)
	f.Add(data[:len(data)/2], []byte(`{"format":2}`))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}, []byte(`{"format":1,"members":[{"name":"../x"}]}`))
	limits := backup.Limits{Manifest: 1 << 14, Store: 1 << 20, Key: 1 << 14, Config: 1 << 14, MasterKey: 1 << 12}
	f.Fuzz(func(t *testing.T, file, manifest []byte) {
		tryRead(t, file, limits)
		tryRead(t, pack(t, append([]entry{{name: backup.ManifestName, data: manifest}}, entries...), nil), limits)
	})
}

func tryRead(t *testing.T, file []byte, l backup.Limits) {
	r, err := backup.Open(bytes.NewReader(file), l)
	for err == nil {
		var m backup.Member
		var content io.Reader
		if m, content, err = r.Next(); err != nil {
			break
		}
		if bytes.Contains([]byte(m.Name), []byte("..")) || m.Name[0] == '/' {
			t.Errorf("accepted the name %q", m.Name)
		}
		if n, readErr := io.Copy(io.Discard, content); n > l.Store || readErr == nil && n != m.Size {
			t.Errorf("%s has %d bytes", m.Name, n)
		}
	}
	var refusal *backup.Refusal
	if !errors.Is(err, io.EOF) && !errors.As(err, &refusal) {
		t.Errorf("neither the end nor a refusal: %v", err)
	}
}
