package account

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

const textTooLong = "a record is longer than 256 KiB; is a quote or a brace never closed?"

// newJSONReader reads JSON: line by line where each line is one object, so that a broken line
// affects no other, otherwise as one stream. head is the beginning of the text.
func newJSONReader(in *bufio.Reader, limited *boundedReader, head []byte) func() (Line, error) {
	text := bytes.TrimLeft(head, " \t\r\n")
	array := bytes.HasPrefix(text, []byte("["))
	if array || isTruncated(text) {
		s := &jsonStream{limit: limited, source: lineCounter{source: in}, isArray: array}
		s.d = json.NewDecoder(&s.source)
		return s.next
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRecord)
	number := 0
	return func() (Line, error) {
		limited.allowRecord()
		for lines.Scan() {
			number++
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
				return parseLine(number, line), nil
			}
		}
		switch err := lines.Err(); {
		case err == nil:
			return Line{}, io.EOF
		case errors.Is(err, bufio.ErrTooLong), errors.Is(err, errTooLong):
			return Line{}, &FileError{number + 1, textTooLong}
		default:
			return Line{}, err
		}
	}
}

// isTruncated reports whether a line ends within an object, which continues on the next line. A line
// that ends within a string is broken, and the lines after it may be intact.
func isTruncated(text []byte) bool {
	line, _, more := bytes.Cut(text, []byte("\n"))
	if !more || !bytes.HasPrefix(line, []byte("{")) {
		return false
	}
	var raw json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text[:len(line)+1])).Decode(&raw)
	return errors.Is(err, io.ErrUnexpectedEOF)
}

// parseLine converts the text of one object into a Line.
func parseLine(number int, text []byte) Line {
	rec, err := ParseRecord(text)
	return newLine(number, rec, err)
}

func newLine(number int, rec *Record, err error) Line {
	l := Line{Number: number, Record: rec}
	errors.As(err, &l.Problems)
	return l
}

// jsonStream reads an array of objects, or objects that span lines. It cannot continue after
// an error.
type jsonStream struct {
	d       *json.Decoder
	source  lineCounter
	limit *boundedReader
	isArray   bool
	hasBegun   bool
}

func (s *jsonStream) next() (Line, error) {
	s.limit.allowRecord()
	if s.isArray && !s.hasBegun {
		s.hasBegun = true
		if _, err := s.d.Token(); err != nil {
			return Line{}, s.newFileError(err)
		}
	}
	if !s.d.More() {
		return Line{}, s.checkEnd()
	}
	var raw json.RawMessage
	if err := s.d.Decode(&raw); err != nil {
		return Line{}, s.newFileError(err)
	}
	number := s.findLine("") - bytes.Count(raw, []byte("\n"))
	if len(raw) > maxRecord {
		return Line{}, &FileError{number, textTooLong}
	}
	return parseLine(number, raw), nil
}

// checkEnd checks that nothing follows the last object.
func (s *jsonStream) checkEnd() error {
	if s.isArray {
		if _, err := s.d.Token(); err != nil {
			return s.newFileError(err)
		}
		s.isArray = false
	}
	switch _, err := s.d.Token(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, errTooLong):
		return s.newFileError(err)
	}
	return &FileError{s.findLine(""), "something follows the end of the list"}
}

func (s *jsonStream) newFileError(err error) error {
	line := s.findLine(" \t\r\n,")
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errTooLong):
		return &FileError{line, textTooLong}
	case errors.As(err, &syntax):
		return &FileError{line, "not valid JSON; nothing after it was read"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{line, "the file ends within a record, or within the list"}
	}
	return err
}

// findLine returns the decoder's current line, after the characters of skip.
func (s *jsonStream) findLine(skip string) int {
	ahead, _ := io.ReadAll(s.d.Buffered()) // from memory
	return 1 + s.source.lines - bytes.Count(bytes.TrimLeft(ahead, skip), []byte("\n"))
}

// lineCounter counts the line ends that were read.
type lineCounter struct {
	source io.Reader
	lines  int
}

func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.lines += bytes.Count(p[:n], []byte("\n"))
	return n, err
}
