package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestCreateMaster(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	made, err := CreateMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) != 65 || text[64] != '\n' {
		t.Errorf("file holds %d bytes, %v; want 64 hex digits and a newline", len(text), err)
	}
	loaded, err := LoadMaster(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := NewMasters(loaded).Open("c", NewMasters(made).Seal("c", []byte("p"))); err != nil || string(got) != "p" {
		t.Errorf("loaded key does not open what the made one sealed: %v", err)
	}

	if _, err := CreateMaster(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second CreateMaster: %v, want ErrExist", err)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(text, again) {
		t.Error("second CreateMaster changed the file")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
}

// TestCreateMasterAtOnce checks that of several concurrent calls one makes the key, and that
// its key is the one on disk.
func TestCreateMasterAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "master.key")
		var made [8]*Master
		var wg sync.WaitGroup
		for i := range made {
			wg.Go(func() {
				var err error
				if made[i], err = CreateMaster(path); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winners := slices.DeleteFunc(made[:], func(k *Master) bool { return k == nil })
		if len(winners) != 1 {
			t.Fatalf("%d keys were made", len(winners))
		}
		loaded, err := LoadMaster(path, "")
		if err != nil || !loaded.Equal(winners[0]) {
			t.Fatalf("the file holds another key, %v", err)
		}
	}
}

func TestCreateMasterKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	// A dangling link is a name that is taken, too.
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateMaster(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateMaster over a link: %v, want ErrExist", err)
	}
	if _, err := CreateMaster(filepath.Join(dir, "none", "master.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CreateMaster in no folder: %v, want ErrNotExist", err)
	}
}

func TestLoadMaster(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb}, MasterSize)
	hexText := strings.Repeat("fb", MasterSize)
	tests := []struct {
		name, file, env string
		mode            fs.FileMode
		wantErr         string // part of the error; "" for none
	}{
		{"hex", hexText + "\n", "", 0o600, ""},
		{"upper case hex", strings.ToUpper(hexText), "", 0o600, ""},
		{"base64", base64.StdEncoding.EncodeToString(raw) + "\n", "", 0o600, ""},
		{"base64 of addresses, unpadded", base64.RawURLEncoding.EncodeToString(raw), "", 0o400, ""},
		{"environment wins", "broken", hexText, 0o644, ""},
		{"environment broken", hexText, "zz", 0o600, "environment"},
		{"too short", hexText[:62], "", 0o600, "64 hex digits"},
		{"too long", hexText + "00", "", 0o600, "64 hex digits"},
		{"two lines", hexText + "\n" + hexText, "", 0o600, "64 hex digits"},
		{"empty", "", "", 0o600, "64 hex digits"},
		{"group may read", hexText, "", 0o640, "0640"},
		{"others may read", hexText, "", 0o604, "0604"},
		{"others may write", hexText, "", 0o602, "0602"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			k, err := LoadMaster(path, tt.env)
			if tt.wantErr == "" {
				if err != nil {
					t.Fatal(err)
				}
				want, _ := NewMaster(raw)
				if !k.Equal(want) {
					t.Error("another key than the one written")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error = %v, want one with %q", err, tt.wantErr)
			}
			if strings.Contains(err.Error(), "fbfb") {
				t.Errorf("error quotes the key: %v", err)
			}
			if strings.HasPrefix(tt.wantErr, "06") && !errors.Is(err, ErrPermissions) {
				t.Errorf("error = %v, want ErrPermissions", err)
			}
		})
	}
}

func TestLoadMasterNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := LoadMaster(filepath.Join(dir, "none"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v, want ErrNotExist", err)
	}
	if _, err := LoadMaster(dir, ""); err == nil {
		t.Error("a folder was taken for a key")
	}
}
