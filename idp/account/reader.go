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
	FormatJSON = "json" // an array of objects, or a sequence of objects
)

// maxRecord limits one record of a file, in bytes. Otherwise an unclosed quote would read the
// whole file into memory.
const maxRecord = 256 << 10

// peekSize is the number of bytes read from a file to detect its format.
const peekSize = 64 << 10

// Line is one record of a file: its position, and the record or its problems.
type Line struct {
	// Number is the line on which the record begins, from 1.
	Number int
	// Record is nil if there are Problems, or if an earlier line is identical.
	Record   *Record
	Problems InputErrors
	// DuplicateLine is the number of the identical earlier line, or 0.
	DuplicateLine int
}

// FileError is returned for a file that cannot be read any further.
type FileError struct {
	Line int
	Text string
}

func (e *FileError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// RecordReader reads a file of users one at a time, of any size. Of earlier users it keeps
// only hashes of the values that must be unique.
type RecordReader struct {
	next func() (Line, error)
	seen map[[16]byte]location
}

// location is the line that contains a key, and a hash of its record.
type location struct {
	line int
	sum  [16]byte
}

// NewRecordReader returns a reader of source. format is FormatCSV, FormatJSON or "": a file
// that begins with a brace or a bracket is JSON. The error is a *FileError, or an error of the
// source.
func NewRecordReader(source io.Reader, format string) (*RecordReader, error) {
	limited := &boundedReader{source: source}
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
	r := &RecordReader{seen: make(map[[16]byte]location)}
	if format == FormatJSON {
		r.next = newJSONReader(in, limited, head)
		return r, nil
	}
	if r.next, err = newCSVReader(in, limited); err != nil {
		return nil, err
	}
	return r, nil
}

// Next returns the next record, or io.EOF after the last. A *FileError contains the line on
// which reading stopped.
func (r *RecordReader) Next() (Line, error) {
	l, err := r.next()
	if err == nil && l.Record != nil {
		r.checkDuplicates(&l)
	}
	return l, err
}

// checkDuplicates finds email addresses and NameIDs that an earlier line contains.
func (r *RecordReader) checkDuplicates(l *Line) {
	text, err := json.Marshal(l.Record)
	if err != nil {
		l.Problems, l.Record = InputErrors{{"", "invalid", "cannot be read"}}, nil
		return
	}
	here := location{l.Number, hashText(string(text))}
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
			l.DuplicateLine, l.Record = before.line, nil
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

// hashText returns a hash long enough to distinguish the records of one file.
func hashText(s string) [16]byte {
	sum := sha256.Sum256([]byte(s))
	return [16]byte(sum[:16])
}

// boundedReader stops reading when one record is too large; see allowRecord.
type boundedReader struct {
	source io.Reader
	left   int
}

var errTooLong = errors.New("record too long")

// allowRecord must be called before each record. Buffers read ahead, so the limit exceeds
// maxRecord by their size.
func (b *boundedReader) allowRecord() { b.left = maxRecord + 128<<10 }

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.source.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
