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

// maxFileSize bounds a master key file: 32 bytes as hex are 64 characters.
const maxFileSize = 1024

// ErrPermissions is returned for a master key file that group or others can read
// or write.
var ErrPermissions = secretfile.ErrOpen

// LoadMaster returns an existing master key. A non-empty env, the value of an environment variable,
// overrides the file. Both contain the key as 64 hex digits or as base64 of 32 bytes. Spaces around
// it are ignored.
//
// The error is fs.ErrNotExist for a missing file, and ErrPermissions for a file that group or
// others may read or write. No error quotes the key.
func LoadMaster(path, env string) (*Master, error) {
	from := "from the environment"
	if strings.TrimSpace(env) == "" {
		text, err := secretfile.Read(path, maxFileSize)
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

// CreateMaster makes a new random master key and writes it durably to path, with mode 0600. It
// never replaces an existing file, because no key can be unwrapped without its master key. The
// error is then fs.ErrExist.
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

// ParseMaster reads a master key in the form of its file.
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
