package secretfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadRefusesSharedOrForeignFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		mode fs.FileMode
		uid  int // 0: ours
		want error
	}{
		{"closed", 0o600, 0, nil},
		{"read only", 0o400, 0, nil},
		{"group may read", 0o640, 0, ErrOpen},
		{"group may write", 0o620, 0, ErrOpen},
		{"others may read", 0o604, 0, ErrOpen},
		{"others may write", 0o602, 0, ErrOpen},
		{"another user's", 0o600, 12345, ErrOwner},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.uid != 0 {
				if os.Geteuid() != 0 {
					if os.Getenv("CI") == "true" {
						t.Fatal("needs root")
					}
					t.Skip("needs root to give a file away")
				}
				if err := os.Chown(path, tt.uid, tt.uid); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			data, err := Read(path, 7)
			if !errors.Is(err, tt.want) || tt.want == nil && string(data) != "hunter2" {
				t.Errorf("%q, %v; want %v", data, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the secret: %v", err)
			}
			if _, err := Read(path, 6); err == nil {
				t.Error("a file that is too long was read")
			}
		})
	}
	if _, err := Read(t.TempDir(), 10); err == nil {
		t.Error("a folder was read")
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
