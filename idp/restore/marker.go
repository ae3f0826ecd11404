package restore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vernal/idp"
	"vernal/idp/durable"
)

// Names in the data folder while a restore is pending.
const (
	// MarkerName is the file of the Marker.
	MarkerName = "restore.json"
	// SinceName is a copy of the exported audit trail that is applied to the restored
	// installation.
	SinceName = "restore-since.jsonl"
)

// maxMarker bounds the file of a Marker, and maxText its texts.
const (
	maxMarker = 2 << 20
	maxText   = 200
)

// Marker says that a data folder holds a backup whose restore is not finished. It is written
// before the store is put in place and removed last.
type Marker struct {
	// Manifest is the backup's manifest.json with its MAC, byte by byte.
	Manifest json.RawMessage `json:"manifest"`
	// FileSHA256 is the digest of the backup file, in hexadecimal digits.
	FileSHA256 string `json:"file_sha256"`
	// Actor is the user who restored it, as in audit records.
	Actor string `json:"actor"`
	// HasSince says that the exported audit trail in SinceName is applied.
	HasSince bool `json:"has_since,omitzero"`
}

// WriteMarker writes the marker into the data folder, durably. It returns fs.ErrExist if a marker
// is there.
func WriteMarker(dir string, m Marker) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", MarkerName, err)
	}
	if len(text) > maxMarker {
		return fmt.Errorf("write %s: the manifest has more than %d bytes", MarkerName, maxMarker)
	}
	return durable.WriteNew(filepath.Join(dir, MarkerName), append(text, '\n'))
}

// ReadMarker reads the marker in a data folder. It returns nil if no restore is pending.
func ReadMarker(dir string) (*Marker, error) {
	name := filepath.Join(dir, MarkerName)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxMarker+1))
	if err != nil {
		return nil, err
	}
	m := &Marker{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil || len(text) > maxMarker || d.More() ||
		len(m.Actor) > maxText || len(m.FileSHA256) > maxText || idp.HasControl(m.Actor+m.FileSHA256) {
		return nil, refuse(CodeMarkerDamaged, name)
	}
	return m, nil
}

// removeMarker removes the copy of the exported trail and then the marker, durably.
func removeMarker(dir string) error {
	for _, name := range []string{SinceName, MarkerName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
