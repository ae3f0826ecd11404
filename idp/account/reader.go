package account

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Formats of a file of records.
const (
	FormatCSV  = "csv"
	FormatJSON = "json" // an array of objects, or objects one after the other
)

// maxRecord bounds one record of a file, in bytes. A quote that is never closed
// would otherwise swallow the file, and the memory.
const maxRecord = 256 << 10

// peekSize is how much of a file decides about its format.
const peekSize = 64 << 10

// Line is one record of a file: its place, and what was read or what is wrong with
// it.
type Line struct {
	// Number is the line on which the record begins, from 1.
	Number int
	// Record is nil if there are Problems, or if an earlier line is the same.
	Record   *Record
	Problems InputErrors
	// Same is the number of the earlier line; 0 if there is none.
	Same int
}

// FileError is returned for a file that cannot be read further.
type FileError struct {
	Line int
	Text string
}

func (e *FileError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// RecordReader reads a file of users, one after the other, of any size: of those
// before it keeps only hashes of what must not be there twice.
type RecordReader struct {
	next func() (Line, error)
	seen map[[16]byte]place
}

// place is the line that has a key, and a hash of its record.
type place struct {
	line int
	sum  [16]byte
}

// NewRecordReader begins to read. format is FormatCSV, FormatJSON or "": a file that
// begins with a brace or a bracket is JSON. The error is a *FileError, or one of
// the source.
func NewRecordReader(source io.Reader, format string) (*RecordReader, error) {
	limited := &bounded{source: source}
	limited.allowRecord()
	in := bufio.NewReaderSize(limited, peekSize)
	head, err := in.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, &FileError{1, "the file is UTF-16; save it as UTF-8"}
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		head = head[3:]
		_, _ = in.Discard(3)
	}
	if format == "" {
		format = FormatCSV
		start := bytes.TrimLeft(head, " \t\r\n")
		// An export without users is empty.
		if len(head) == 0 || bytes.HasPrefix(start, []byte("{")) || bytes.HasPrefix(start, []byte("[")) {
			format = FormatJSON
		}
	}
	r := &RecordReader{seen: make(map[[16]byte]place)}
	if format == FormatJSON {
		r.next = newJSONReader(in, limited, head)
		return r, nil
	}
	if r.next, err = newCSVReader(in, limited); err != nil {
		return nil, err
	}
	return r, nil
}

// Next returns the next record; io.EOF after the last. A *FileError names the line on
// which reading had to end.
func (r *RecordReader) Next() (Line, error) {
	l, err := r.next()
	if err == nil && l.Record != nil {
		r.checkRepeated(&l)
	}
	return l, err
}

// checkRepeated finds email addresses and NameIDs that an earlier line has.
func (r *RecordReader) checkRepeated(l *Line) {
	text, err := json.Marshal(l.Record)
	if err != nil {
		l.Problems, l.Record = InputErrors{{"", "invalid", "cannot be read"}}, nil
		return
	}
	here := place{l.Number, hashText(string(text))}
	type key struct {
		field string
		sum   [16]byte
	}
	var keys []key
	for _, e := range l.Record.Emails {
		keys = append(keys, key{"emails", hashText("email\x00" + strings.ToLower(strings.TrimSpace(e.Address)))})
	}
	for _, name := range sortedKeys(l.Record.NameIDs) {
		keys = append(keys, key{"name_ids." + name, hashText("name\x00" + name + "\x00" + string(l.Record.NameIDs[name]))})
	}
	for _, k := range keys {
		before, ok := r.seen[k.sum]
		switch {
		case !ok:
		case before.sum == here.sum:
			l.Same, l.Record = before.line, nil
			return
		default:
			l.Problems = append(l.Problems, &InputError{fieldName(k.field), "taken", fmt.Sprintf("is on line %d already", before.line)})
		}
	}
	if len(l.Problems) > 0 {
		l.Record = nil
		return
	}
	for _, k := range keys {
		r.seen[k.sum] = here
	}
}

// hashText is long enough to distinguish the records of one file.
func hashText(s string) [16]byte {
	sum := sha256.Sum256([]byte(s))
	return [16]byte(sum[:16])
}

// bounded ends reading when one record takes too much; see allowRecord.
type bounded struct {
	source io.Reader
	left   int
}

var errTooLong = errors.New("record too long")

// allowRecord is called before each record. Buffers read ahead, so the bound is
// above maxRecord by their size.
func (b *bounded) allowRecord() { b.left = maxRecord + 128<<10 }

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.source.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
