package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"vernal/idp/durable"
	"vernal/idp/secretfile"
)

// maxFile bounds a master key file: 32 bytes as hex are 64 characters.
const maxFile = 1024

// ErrPermissions is returned for a master key file that group or others can read
// or write.
var ErrPermissions = secretfile.ErrOpen

// LoadMaster returns an existing master key. A non-empty env, the
// value of an environment variable, wins over the file; both hold the key as
// 64 hex digits or as base64 of 32 bytes, spaces around it ignored.
//
// A missing file gives fs.ErrNotExist, one that group or others may read or
// write ErrPermissions. No error quotes the key.
func LoadMaster(path, env string) (*Master, error) {
	from := "from the environment"
	if strings.TrimSpace(env) == "" {
		text, err := secretfile.Read(path, maxFile)
		if err != nil {
			return nil, fmt.Errorf("read the master key: %w", err)
		}
		from, env = path, string(text)
	}
	m, err := ParseMaster(env)
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", from, err)
	}
	return m, nil
}

// CreateMaster makes a new random master key and writes it to path, mode 0600.
// When it returns nil the file survives a crash. A file that is there stays as
// it is and gives fs.ErrExist: without its master key, nothing can be unwrapped.
func CreateMaster(path string) (*Master, error) {
	master := make([]byte, MasterSize)
	rand.Read(master)
	key, err := NewMaster(master)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteNew(path, []byte(hex.EncodeToString(master)+"\n")); err != nil {
		return nil, fmt.Errorf("create master key: %w", err)
	}
	return key, nil
}

// ParseMaster reads a master key as its file holds it.
func ParseMaster(text string) (*Master, error) {
	secret, ok := decodeKey(strings.TrimSpace(text))
	if !ok {
		return nil, fmt.Errorf("want 64 hex digits or base64 of %d bytes", MasterSize)
	}
	return NewMaster(secret)
}

func decodeKey(s string) ([]byte, bool) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == MasterSize {
		return b, true
	}
	s = strings.TrimRight(s, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(s); err == nil && len(b) == MasterSize {
			return b, true
		}
	}
	return nil, false
}
