package certs

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
)

// xorSealer replaces idp/seal, which this package must not import. It is reversible and bound
// to its context.
type xorSealer struct{}

func (xorSealer) Seal(context string, plain []byte) []byte {
	out := []byte(context + "\x00")
	for _, b := range plain {
		out = append(out, b^0x55)
	}
	return out
}

func (s xorSealer) Open(context string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(context+"\x00"))
	if !ok {
		return nil, errors.New("another context")
	}
	plain := make([]byte, len(rest))
	for i, b := range rest {
		plain[i] = b ^ 0x55
	}
	return plain, nil
}

func (xorSealer) RewrapSealed(_ string, sealed []byte) ([]byte, bool, error) {
	return sealed, false, nil
}

func testDir(t *testing.T) (*Dir, string) {
	path := filepath.Join(t.TempDir(), "keys")
	return OpenDir(path, xorSealer{}), path
}

func save(t *testing.T, d *Dir, k *Key) {
	t.Helper()
	if err := d.Save(k); err != nil {
		t.Fatal(err)
	}
}

func TestSavedKeysAreLoadedInOrder(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	if keys, err := d.Load(); err != nil || len(keys) != 0 {
		t.Fatalf("Load without a folder = %v, %v", keys, err)
	}
	save(t, d, madeKey(t, "2027"))
	save(t, d, madeKey(t, "2026"))
	save(t, d, madeKey(t, "2026b"))
	for _, name := range []string{"README", ".tmp-123", "2028.key.bak", "26.key", "2026.pem", "master.key"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	var years []string
	for _, k := range keys {
		years = append(years, string(k.Year))
		if k.Signer == nil || k.Cert == nil {
			t.Errorf("%s is incomplete", k.Year)
		}
	}
	if got := strings.Join(years, " "); got != "2026 2026b 2027" {
		t.Errorf("years = %s", got)
	}
	checkMode(t, path, fs.ModeDir|0o700)
	checkMode(t, filepath.Join(path, "2026.key"), 0o600)
	checkMode(t, filepath.Join(path, "2026.crt"), 0o600)
	sealed, _ := os.ReadFile(filepath.Join(path, "2026.key"))
	if bytes.Contains(sealed, testRSA()[0].Primes[0].Bytes()) {
		t.Error("the private key is in the file unsealed")
	}
}

func checkMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != want {
		t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, want)
	}
}

func TestSaveNeverOverwrites(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	first := madeKey(t, "2026")
	save(t, d, first)
	before := files(t, path)
	other := &Key{Year: "2026", Signer: testRSA()[1], Cert: nil}
	cert, err := Certify(bytes.NewReader(make([]byte, 1024)), testRSA()[1], "2026", endOf("2026"), Spec{}, "https://x.example", at("2026-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*Key{"same again": first, "another key": cert, "another key alone": other} {
		if err := d.Save(k); !errors.Is(err, idp.ErrExists) || !strings.Contains(err.Error(), "2026") {
			t.Errorf("%s: Save = %v, want ErrExists naming the year", name, err)
		}
	}
	if err := os.Remove(filepath.Join(path, "2026.key")); err != nil {
		t.Fatal(err)
	}
	delete(before, "2026.key")
	if err := d.Save(cert); !errors.Is(err, idp.ErrExists) {
		t.Errorf("Save over a retired year = %v, want ErrExists", err)
	}
	after := files(t, path)
	if len(after) != len(before) || after["2026.crt"] != before["2026.crt"] {
		t.Errorf("files changed: %d before, %d after", len(before), len(after))
	}
}

func files(t *testing.T, path string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// TestSaveCompletesKeyAfterCrash checks that a private key left alone by a crash between the
// two files does not count as a retired year, and can be completed only with its own
// certificate.
func TestSaveCompletesKeyAfterCrash(t *testing.T) {
	t.Parallel()
	d, _ := testDir(t)
	k := madeKey(t, "2026")
	save(t, d, &Key{Year: "2026", Signer: k.Signer, Cert: nil})
	keys, err := d.Load()
	if err != nil || len(keys) != 1 || keys[0].Cert != nil {
		t.Fatalf("Load = %v, %v; want a key without certificate", keys, err)
	}
	other, err := Certify(bytes.NewReader(make([]byte, 1024)), testRSA()[1], "2026", endOf("2026"), Spec{}, "https://x.example", at("2026-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Save(other); !errors.Is(err, idp.ErrExists) {
		t.Errorf("Save of another key = %v, want ErrExists", err)
	}
	save(t, d, k)
	if keys, err = d.Load(); err != nil || keys[0].Cert == nil {
		t.Errorf("Load = %v, %v; want a complete key", keys, err)
	}
}

func TestSaveRefusesFaultyKey(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	k := madeKey(t, "2026")
	for name, bad := range map[string]*Key{
		"no private key":      {Year: "2026", Signer: nil, Cert: k.Cert},
		"parts do not match":  {Year: "2026", Signer: testRSA()[1], Cert: k.Cert},
		"year is a path":      {Year: "../2026", Signer: k.Signer, Cert: k.Cert},
		"no year":             {Year: "", Signer: k.Signer, Cert: k.Cert},
		"year in upper case":  {Year: "2026B", Signer: k.Signer, Cert: k.Cert},
		"year with a newline": {Year: "2026\n", Signer: k.Signer, Cert: k.Cert},
	} {
		if err := d.Save(bad); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

func TestLoadNamesTheYear(t *testing.T) {
	t.Parallel()
	k := madeKey(t, "2026")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Cert.Raw})
	tests := []struct {
		name  string
		files map[string][]byte
		ok    bool
	}{
		{"certificate alone: a retired year", map[string][]byte{"2026.crt": cert}, true},
		{"key of another year", map[string][]byte{"2026.key": xorSealer{}.Seal("key/2025", nil)}, false},
		{"key is no PKCS#8", map[string][]byte{"2026.key": xorSealer{}.Seal("key/2026", []byte("x"))}, false},
		{"key is empty", map[string][]byte{"2026.key": nil}, false},
		{"certificate is empty", map[string][]byte{"2026.crt": nil}, false},
		{"certificate is no PEM", map[string][]byte{"2026.crt": k.Cert.Raw}, false},
		{"two certificates", map[string][]byte{"2026.crt": append(bytes.Clone(cert), cert...)}, false},
		{"a private key as certificate", map[string][]byte{"2026.crt": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, path := testDir(t)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, data := range tt.files {
				if err := os.WriteFile(filepath.Join(path, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := d.Load()
			if tt.ok {
				if err != nil || len(keys) != 1 || keys[0].Signer != nil {
					t.Errorf("Load = %v, %v", keys, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "2026") {
				t.Errorf("Load = %v, want an error that names the year", err)
			}
		})
	}
}

// TestLoadRefusesRenamed checks that a private key file under another year's name does not
// open.
func TestLoadRefusesRenamed(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	save(t, d, madeKey(t, "2026"))
	for _, ext := range []string{".key", ".crt"} {
		if err := os.Rename(filepath.Join(path, "2026"+ext), filepath.Join(path, "2027"+ext)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), "2027") {
		t.Errorf("Load = %v, want an error that names the year", err)
	}
}

func TestLoadRefusesMismatch(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	save(t, d, madeKey(t, "2026"))
	other, err := Certify(bytes.NewReader(make([]byte, 1024)), testRSA()[1], "2026", endOf("2026"), Spec{}, "https://x.example", at("2026-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Cert.Raw})
	if err := os.WriteFile(filepath.Join(path, "2026.crt"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), "2026") {
		t.Errorf("Load = %v, want an error that names the year", err)
	}
}

func TestDestroyRemovesOnlyPrivateKey(t *testing.T) {
	t.Parallel()
	d, path := testDir(t)
	save(t, d, madeKey(t, "2026"))
	save(t, d, madeKey(t, "2027"))
	for range 2 { // one cut short is taken again
		if err := d.Destroy("2026"); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := d.Load()
	if err != nil || len(keys) != 2 || keys[0].Signer != nil || keys[0].Cert == nil || keys[1].Signer == nil {
		t.Errorf("Load = %+v, %v", keys, err)
	}
	if err := d.Save(madeKey(t, "2026")); !errors.Is(err, idp.ErrExists) {
		t.Errorf("Save of a destroyed year: %v, want ErrExists", err)
	}
	if err := d.Destroy("../2027"); err == nil {
		t.Error("destroyed what is not a year")
	}
	if _, err := os.Stat(filepath.Join(path, "2027.key")); err != nil {
		t.Error(err)
	}
}

// otherKey returns a key of the year that is not the one of madeKey.
func otherKey(t *testing.T, y idp.Year) *Key {
	t.Helper()
	k, err := Certify(bytes.NewReader(make([]byte, 1024)), testRSA()[1], y, endOf(y), Spec{}, "https://other.example", at("2026-01-15"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func yearsOfKeys(keys []*Key) (years []idp.Year) {
	for _, k := range keys {
		years = append(years, k.Year)
	}
	return years
}

// TestLoadBesideDamagedYear checks that a damaged year does not affect the others, and that
// a single year can be read.
func TestLoadBesideDamagedYear(t *testing.T) {
	t.Parallel()
	cert := madeKey(t, "2031")
	tests := []struct {
		name  string
		files map[string]string
		cert  bool
	}{
		{"stray certificate", map[string]string{"2031.crt": ""}, false},
		{"stray key", map[string]string{"2031.key": "x"}, false},
		{"two private keys", map[string]string{"2031.key": "x", "2031.token": "x"}, false},
		{"key under another name", map[string]string{"2031.key": "2026.key", "2031.crt": "2031.crt"}, true},
		{"another pair's certificate", map[string]string{"2031.key": "2031.key", "2031.crt": "2026.crt"}, true},
		{"a folder in its place", map[string]string{"2031.key/x": ""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, from := testDir(t)
			save(t, source, otherKey(t, "2026"))
			save(t, source, cert)
			d, path := testDir(t)
			save(t, d, madeKey(t, "2026"))
			save(t, d, madeKey(t, "2027"))
			for name, content := range tt.files {
				data, err := os.ReadFile(filepath.Join(from, content))
				if content == "" || err != nil {
					data = []byte(content)
				}
				if err := os.MkdirAll(filepath.Dir(filepath.Join(path, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(path, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := d.Load()
			var damaged *DamagedError
			if !errors.As(err, &damaged) || len(damaged.Years) != 1 || damaged.Years[0].Year != "2031" || damaged.Years[0].Err == nil {
				t.Fatalf("Load = %v, want it to name 2031", err)
			}
			if (damaged.Years[0].Cert != nil) != tt.cert {
				t.Errorf("its certificate was read: %v, want %v", damaged.Years[0].Cert != nil, tt.cert)
			}
			if got := yearsOfKeys(keys); !slices.Equal(got, []idp.Year{"2026", "2027"}) || keys[0].Signer == nil || keys[1].Cert == nil {
				t.Errorf("the intact keys: %v", got)
			}
			if _, err := d.LoadYear("2031"); !errors.As(err, &damaged) {
				t.Errorf("LoadYear = %v", err)
			}
			if k, err := d.LoadYear("2027"); err != nil || k.Signer == nil || k.Cert == nil {
				t.Errorf("LoadYear of an intact year: %v", err)
			}
			if k, err := d.LoadYear("2028"); k != nil || err != nil {
				t.Errorf("LoadYear of a year without files: %v, %v", k, err)
			}
			if _, err := d.LoadYear("../2027"); err == nil {
				t.Error("LoadYear read what is no year")
			}
		})
	}
}
