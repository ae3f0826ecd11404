package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/audit"
	"vernal/idp/rotation"
)

// Options of a backup.
type Options struct {
	// MasterKey says how the master key is encrypted; the zero value leaves it out.
	MasterKey Protection
}

// Summary describes a backup that was written.
type Summary struct {
	*Manifest
	Bytes int64 `json:"bytes"`
	// SHA256 is the digest of the file in hexadecimal digits.
	SHA256 string `json:"file_sha256"`
}

// content has the parts of a backup. The caller closes the snapshot.
type content struct {
	store  idp.Snapshot
	keys   []certs.File
	config []byte
	// masterKey is the encrypted master key, nil without one.
	masterKey []byte
}

// WriteArchive writes a backup of this moment. It reads the store twice instead of holding it in
// memory, because the digest comes first. After an error, the written bytes are not a backup.
func (s *Service) WriteArchive(ctx context.Context, w io.Writer, o Options) (*Summary, error) {
	id, err := EnsureInstallationID(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	c, err := s.collect(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.store.Close()
	m := &Manifest{Format: Format, Version: s.Version, Installation: id, CreatedAt: s.Clock.Now().Truncate(time.Second), BaseURL: s.BaseURL}
	if err := c.describe(ctx, m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("describe the backup: %w", err)
	}
	sum := sha256.New()
	counter := &countingWriter{ctx: ctx, w: io.MultiWriter(w, sum)}
	if err := c.write(counter, m); err != nil {
		return nil, fmt.Errorf("write the backup: %w", err)
	}
	return &Summary{Manifest: m, Bytes: counter.n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// collect takes the snapshot while no step of the rotation is under way and no key file is
// written. So the store and the key files fit together: a backup has no key without its
// history, and no history without its key.
func (s *Service) collect(ctx context.Context, o Options) (*content, error) {
	c := &content{config: s.Config}
	err := s.Steps.PauseSteps(func() (err error) {
		c.keys, err = s.Keys.Files(func() (err error) {
			c.store, err = s.Store.Snapshot(ctx)
			return err
		})
		return err
	})
	if err == nil && !o.MasterKey.IsZero() {
		c.masterKey, err = s.encryptMaster(o.MasterKey, c.store.Info().MasterKeys)
	}
	if err != nil {
		if c.store != nil {
			c.store.Close()
		}
		return nil, fmt.Errorf("begin the backup: %w", err)
	}
	return c, nil
}

// encryptMaster encrypts the configured master key, which must be one of ids.
func (s *Service) encryptMaster(p Protection, ids []string) ([]byte, error) {
	master, err := s.Master()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ids, master.ID()) {
		return nil, fmt.Errorf("the configured master key %s does not open the store: finish the change of the master key first", master.ID())
	}
	return p.encrypt([]byte(master.FileText()))
}

// describe fills the manifest. Reading the store for its digest takes most of the time.
func (c *content) describe(ctx context.Context, m *Manifest) error {
	info := c.store.Info()
	m.Schema, m.MasterKeys = info.Schema, info.MasterKeys
	m.Head = audit.Place{Seq: info.Head.Seq, Hash: info.Head.Hash}
	var err error
	if m.Years, err = c.readYears(ctx, m.CreatedAt); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := c.store.WriteTo(&countingWriter{ctx: ctx, w: sum}); err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	m.Members = []Member{{Name: StoreName, Size: info.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}}
	for _, f := range c.listFiles() {
		digest := sha256.Sum256(f.Data)
		m.Members = append(m.Members, Member{Name: f.Name, Size: int64(len(f.Data)), SHA256: hex.EncodeToString(digest[:])})
	}
	m.sign(c.store.MAC)
	return nil
}

// listFiles lists the members after the store.
func (c *content) listFiles() (list []certs.File) {
	for _, f := range c.keys {
		list = append(list, certs.File{Name: KeysFolder + f.Name, Data: f.Data})
	}
	list = append(list, certs.File{Name: ConfigName, Data: c.config})
	if c.masterKey != nil {
		list = append(list, certs.File{Name: MasterKeyName, Data: c.masterKey})
	}
	return list
}

// readYears reads the recorded years of the snapshot.
func (c *content) readYears(ctx context.Context, now time.Time) ([]Year, error) {
	docs, err := c.store.Documents(ctx, idp.RotationKind, idp.DocumentQuery{Keys: []string{idp.RotationKey}})
	if err != nil {
		return nil, fmt.Errorf("read the rotation: %w", err)
	}
	var h rotation.History
	for _, d := range docs {
		if err := json.Unmarshal(d.Data, &h); err != nil {
			return nil, fmt.Errorf("the rotation's history in the store is damaged (%w): restore an older backup", err)
		}
	}
	years := make([]Year, len(h.Records))
	for i, r := range h.Records {
		years[i] = Year{Year: r.Year, State: h.State(r.Year, now), Key: c.findKey(r.Year)}
	}
	return years, nil
}

// findKey returns where the private key of a year is.
func (c *content) findKey(y idp.Year) KeyPlace {
	for _, f := range c.keys {
		name, ext, _ := strings.Cut(f.Name, ".")
		switch {
		case name != string(y):
		case ext == "key":
			return KeyInFile
		case ext == "token":
			return KeyInToken
		}
	}
	return NoKey
}

// write writes the archive, and closes the snapshot as soon as the store is copied.
func (c *content) write(w io.Writer, m *Manifest) error {
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	output := bufio.NewWriterSize(w, 1<<16)
	sum := sha256.New()
	// Sealed records do not shrink, and the rest shrinks at any level.
	compressor, err := gzip.NewWriterLevel(io.MultiWriter(output, sum), gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressor)
	add := func(name string, size int64, writeContent func(io.Writer) error) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: m.CreatedAt}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		return writeContent(archive)
	}
	data := func(data []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(data))
			return err
		}
	}
	if err := add(ManifestName, int64(len(manifest)+1), data(append(manifest, '\n'))); err != nil {
		return err
	}
	store := func(w io.Writer) error {
		_, err := c.store.WriteTo(w)
		return err
	}
	if err := add(StoreName, c.store.Info().Size, store); err != nil {
		return err
	}
	// From here on the store may use its free pages again.
	if err := c.store.Close(); err != nil {
		return err
	}
	for _, f := range c.listFiles() {
		if err := add(f.Name, int64(len(f.Data)), data(f.Data)); err != nil {
			return err
		}
	}
	for _, closeWriter := range []func() error{archive.Close, compressor.Close} {
		if err := closeWriter(); err != nil {
			return err
		}
	}
	if _, err := output.Write(makeTrailer(sum.Sum(nil))); err != nil {
		return err
	}
	return output.Flush()
}

// countingWriter counts bytes, and ends with its context.
type countingWriter struct {
	ctx context.Context
	w   io.Writer
	n   int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

var _ Keys = (*certs.Dir)(nil)
