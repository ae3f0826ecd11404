package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
)

// Limits bound the files of a backup that is read, in bytes.
type Limits struct {
	Manifest  int64
	Store     int64
	Key       int64 // each file of the keys folder
	Config    int64
	MasterKey int64
}

// DefaultLimits are far above the sizes that Vernal writes. The caller may bound the store by the
// free space of the disk.
var DefaultLimits = Limits{Manifest: 1 << 20, Store: 1 << 40, Key: 1 << 18, Config: 1 << 20, MasterKey: 1 << 16}

func (l Limits) findLimit(name string) int64 {
	switch name {
	case StoreName:
		return l.Store
	case ConfigName:
		return l.Config
	case MasterKeyName:
		return l.MasterKey
	}
	return l.Key
}

// Reader reads a backup as a stream. It keeps at most the manifest in memory. Do not rely on
// its results before Next has returned io.EOF: only then is the file known to be whole.
type Reader struct {
	// Manifest describes the backup. ManifestJSON is the file that it was read from.
	Manifest     *Manifest
	ManifestJSON []byte

	sum          hash.Hash // of the file
	file         *bufio.Reader
	zipped       *hashingReader
	decompressor *gzip.Reader
	tar          *tar.Reader
	limits       Limits
	next         int
	member       *memberReader // nil before the first
	err          error         // the final error of Next
}

// Open reads the beginning of a backup and its manifest. Errors about its content are of type
// *Refusal, others are those of r.
func Open(r io.Reader, l Limits) (*Reader, error) {
	sum := sha256.New()
	b := &Reader{sum: sum, file: bufio.NewReaderSize(io.TeeReader(&sourceReader{r}, sum), 1<<16), limits: l}
	if err := b.open(); err != nil {
		return nil, convertError(err, ManifestName)
	}
	return b, nil
}

func (b *Reader) open() error {
	b.zipped = &hashingReader{r: b.file, sum: sha256.New()}
	var err error
	if b.decompressor, err = gzip.NewReader(b.zipped); err != nil {
		return err
	}
	b.decompressor.Multistream(false)
	b.tar = tar.NewReader(b.decompressor)
	size, err := b.readHeader(ManifestName)
	if err != nil {
		return err
	}
	if size > b.limits.Manifest {
		return refuse(CodeTooLarge, ManifestName)
	}
	if b.ManifestJSON, err = io.ReadAll(b.tar); err != nil {
		return err
	}
	if b.Manifest, err = ParseManifest(b.ManifestJSON); err != nil {
		return err
	}
	for _, m := range b.Manifest.Members { // before the caller allocates space for them
		if m.Size > b.limits.findLimit(m.Name) {
			return refuse(CodeTooLarge, m.Name)
		}
	}
	return nil
}

// readHeader reads the header of the next file, which must have the name, and returns its size.
func (b *Reader) readHeader(name string) (int64, error) {
	h, err := b.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return 0, refuse(CodeMissingMember, name)
	case err != nil:
		return 0, err
	case h.Typeflag != tar.TypeReg || !isMember(h.Name) && h.Name != ManifestName:
		return 0, refuse(CodeUnknownMember, h.Name)
	case h.Name != name:
		return 0, refuse(CodeMissingMember, name)
	}
	return h.Size, nil
}

// Next returns the next file and its content. The content ends with an error if its digest is
// not the one in the manifest. Next skips unread content of the file before, and checks it too.
// After the last file, and once the whole backup has been read, it returns io.EOF.
func (b *Reader) Next() (Member, io.Reader, error) {
	if b.err == nil {
		b.err = b.advance()
	}
	if b.err != nil {
		return Member{}, nil, b.err
	}
	return b.member.member, b.member, nil
}

func (b *Reader) advance() error {
	if b.member != nil {
		if _, err := io.Copy(io.Discard, b.member); err != nil {
			return err
		}
	}
	if b.next == len(b.Manifest.Members) {
		return b.readEnd()
	}
	m := b.Manifest.Members[b.next]
	b.next++
	size, err := b.readHeader(m.Name)
	switch {
	case err != nil:
		return convertError(err, m.Name)
	case size != m.Size:
		return refuse(CodeDamaged, m.Name)
	}
	b.member = &memberReader{member: m, r: b.tar, sum: sha256.New()}
	return nil
}

// readEnd checks the end of the archive: only zeros may follow the files, and only the trailer
// the compressed data.
func (b *Reader) readEnd() error {
	if h, err := b.tar.Next(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = refuse(CodeUnknownMember, h.Name)
		}
		return convertError(err, "")
	}
	buffer := make([]byte, 1<<12)
	for n := 0; n < 1<<16; {
		count, err := b.decompressor.Read(buffer)
		n += count
		if len(bytes.Trim(buffer[:count], "\x00")) > 0 {
			return refuse(CodeDamaged, "")
		}
		if errors.Is(err, io.EOF) {
			return b.readTrailer()
		}
		if err != nil {
			return convertError(err, "")
		}
	}
	return refuse(CodeDamaged, "")
}

// readTrailer checks that the file ends with the trailer, see makeTrailer.
func (b *Reader) readTrailer() error {
	want := makeTrailer(b.zipped.finishDigest())
	got := make([]byte, len(want))
	if _, err := io.ReadFull(b.file, got); err != nil {
		return convertError(err, "")
	}
	if !bytes.Equal(got, want) {
		return refuse(CodeDamaged, "")
	}
	if _, err := b.file.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = refuse(CodeDamaged, "")
		}
		return err
	}
	return io.EOF
}

// SHA256 returns the digest of the file in hexadecimal digits, once Next has returned io.EOF.
func (b *Reader) SHA256() string { return hex.EncodeToString(b.sum.Sum(nil)) }

// makeTrailer returns the end of a backup: an empty gzip stream whose comment is the digest of
// the compressed data before it. Tools skip it. It reveals every changed bit, even one that
// gzip ignores.
func makeTrailer(digest []byte) []byte {
	trailer := []byte{0x1f, 0x8b, 8, 1 << 4, 0, 0, 0, 0, 0, 255} // RFC 1952: a comment, and no time
	trailer = append(hex.AppendEncode(trailer, digest), 0)
	trailer = append(trailer, 3, 0)                // RFC 1951: one empty block
	return append(trailer, 0, 0, 0, 0, 0, 0, 0, 0) // checksum and length of nothing
}

// hashingReader hashes exactly the bytes that the decompressor takes.
type hashingReader struct {
	r      *bufio.Reader
	sum    hash.Hash
	buffer []byte // not yet hashed
}

func (h *hashingReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.flush()
	h.sum.Write(p[:n])
	return n, err
}

// ReadByte prevents the decompressor from reading ahead.
func (h *hashingReader) ReadByte() (byte, error) {
	c, err := h.r.ReadByte()
	if err == nil {
		if h.buffer = append(h.buffer, c); len(h.buffer) >= 1<<12 {
			h.flush()
		}
	}
	return c, err
}

func (h *hashingReader) flush() {
	h.sum.Write(h.buffer)
	h.buffer = h.buffer[:0]
}

func (h *hashingReader) finishDigest() []byte {
	h.flush()
	return h.sum.Sum(nil)
}

// memberReader reads one file and checks its digest.
type memberReader struct {
	member Member
	r      io.Reader
	sum    hash.Hash
	err    error
}

func (m *memberReader) Read(p []byte) (n int, err error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err = m.r.Read(p)
	m.sum.Write(p[:n])
	switch {
	case errors.Is(err, io.EOF):
		if hex.EncodeToString(m.sum.Sum(nil)) != m.member.SHA256 {
			err = refuse(CodeDamaged, m.member.Name)
		}
	case err != nil:
		err = convertError(err, m.member.Name)
	}
	m.err = err
	return n, err
}

// sourceError is an error of the file itself, such as that of a failing disk.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// sourceReader marks the errors of the file, so that they do not count as damage.
type sourceReader struct{ r io.Reader }

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sourceError{err}
	}
	return n, err
}

// convertError returns the refusal for an error of a decoder, and other errors unchanged.
func convertError(err error, name string) error {
	var refusal *Refusal
	var sourceErr *sourceError
	if errors.As(err, &refusal) || errors.As(err, &sourceErr) {
		return err
	}
	return refuse(CodeDamaged, name)
}
