package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// Format is the version of the archive and of its manifest. Only this one is read.
const Format = 1

// The names of members. Files of signing keys are in KeysFolder under their names in the keys
// folder.
const (
	ManifestName  = "manifest.json"
	StoreName     = "vernal.db"
	ConfigName    = "vernal.yaml"
	KeysFolder    = "keys/"
	MasterKeyName = "master.key.age"
)

// Manifest describes a backup.
type Manifest struct {
	Format int `json:"format"`
	// Version is the version of Vernal that made it, Schema that of its store.
	Version string `json:"version"`
	Schema  int    `json:"schema"`
	// Installation is the ID of the installation; see EnsureInstallationID.
	Installation string    `json:"installation"`
	CreatedAt    time.Time `json:"created_at"`
	BaseURL      string    `json:"base_url"`
	// Head is the last record of the audit trail in the store.
	Head audit.Place `json:"audit_head"`
	// Years are the recorded years, oldest first.
	Years []Year `json:"years"`
	// MasterKeys are the IDs of the master keys that open the store. Any one of them is enough.
	MasterKeys []string `json:"master_keys"`
	// Members are the files in the archive after the manifest, in their order.
	Members []Member `json:"members"`
	// MAC is made with the keys in the store. It covers all other fields.
	MAC string `json:"mac"`
}

// Year is a year of the rotation in a backup.
type Year struct {
	Year  idp.Year       `json:"year"`
	State rotation.State `json:"state"`
	Key   KeyPlace       `json:"key"`
}

// KeyPlace is the place of a private key.
type KeyPlace string

// The places of private keys.
const (
	KeyInFile  KeyPlace = "file"  // sealed, in the backup
	KeyInToken KeyPlace = "token" // in a PKCS#11 token: not in the backup
	NoKey      KeyPlace = "none"  // destroyed, or missing
)

// Member is a file in the archive.
type Member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal digits
}

// Contains reports whether the backup has a member with the name.
func (m *Manifest) Contains(name string) bool {
	return slices.ContainsFunc(m.Members, func(member Member) bool { return member.Name == name })
}

// macContext is the context of the MAC of a manifest.
const macContext = "backup/manifest"

// marshalSigned returns the bytes that the MAC covers: every value, however the JSON was written.
func (m *Manifest) marshalSigned() []byte {
	body := *m
	body.MAC = ""
	data, err := json.Marshal(&body)
	if err != nil {
		panic(err) // strings, numbers and a time in UTC
	}
	return data
}

// sign sets the MAC.
func (m *Manifest) sign(mac func(context string, data []byte) []byte) {
	m.MAC = hex.EncodeToString(mac(macContext, m.marshalSigned()))
}

// Verify returns ErrForeign unless the manifest was made with the keys of s.
func (m *Manifest) Verify(s interface {
	VerifyMAC(context string, data, mac []byte) bool
}) error {
	mac, err := hex.DecodeString(m.MAC)
	if err != nil || !s.VerifyMAC(macContext, m.marshalSigned(), mac) {
		return refuse(CodeForeign, "")
	}
	return nil
}

// ParseManifest reads a manifest and checks its form. Verify checks its origin.
func ParseManifest(data []byte) (*Manifest, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil || version.Format < 1 {
		return nil, refuse(CodeDamaged, ManifestName)
	}
	if version.Format > Format {
		return nil, refuse(CodeNewerFormat, fmt.Sprint(version.Format))
	}
	m := new(Manifest)
	if err := decodeStrict(data, m); err != nil {
		return nil, refuse(CodeDamaged, ManifestName)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// decodeStrict reads exactly one JSON value and refuses unknown fields, because the MAC covers
// only the known ones.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data follows the JSON value")
	}
	return nil
}

const (
	maxMembers = 1000
	maxText    = 2000
)

var (
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
	idPattern     = regexp.MustCompile(`^[0-9a-f]{32}$`)
	keyPattern    = regexp.MustCompile(`^keys/([0-9a-z]+)\.(key|token|crt)$`)
)

// check refuses a manifest that Vernal cannot have written.
func (m *Manifest) check() error {
	texts := append([]string{m.Version, m.BaseURL, m.Head.Hash, m.MAC}, m.MasterKeys...)
	for _, text := range texts {
		if len(text) > maxText {
			return refuse(CodeDamaged, ManifestName)
		}
	}
	if !idPattern.MatchString(m.Installation) || m.Schema < 1 || m.CreatedAt.Location() != time.UTC ||
		len(m.Members) > maxMembers || len(m.Years) > maxMembers || len(m.MasterKeys) > maxMembers {
		return refuse(CodeDamaged, ManifestName)
	}
	seen := map[string]bool{}
	for _, member := range m.Members {
		if !isMember(member.Name) || seen[member.Name] {
			return refuse(CodeUnknownMember, member.Name)
		}
		seen[member.Name] = true
		if member.Size < 0 || !sha256Pattern.MatchString(member.SHA256) {
			return refuse(CodeDamaged, ManifestName)
		}
	}
	for _, name := range []string{StoreName, ConfigName} {
		if !seen[name] {
			return refuse(CodeMissingMember, name)
		}
	}
	return nil
}

// isMember reports whether an archive may contain a file with the name. No such name leads out
// of the folder that the archive is extracted into.
func isMember(name string) bool {
	switch name {
	case StoreName, ConfigName, MasterKeyName:
		return true
	}
	m := keyPattern.FindStringSubmatch(name)
	return m != nil && idp.Year(m[1]).IsValid()
}
