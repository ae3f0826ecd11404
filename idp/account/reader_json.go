package account

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// jsonLines reads JSON: a line at a time where each holds one object, so that
// one broken line costs no other, else as one stream.
type jsonLines struct {
	in      *bufio.Reader
	limited *bounded
	line    int
	begun   bool
	stream  *jsonStream
}

func newJSONLines(in *bufio.Reader, limited *bounded) *jsonLines {
	return &jsonLines{in: in, limited: limited}
}

func (j *jsonLines) next() (Line, error) {
	for j.stream == nil {
		j.limited.allow()
		text, err := readLine(j.in)
		if errors.Is(err, errTooLong) {
			return Line{}, &FileError{j.line + 1, tooLong}
		}
		if err != nil {
			return Line{}, err
		}
		j.line++
		trimmed := bytes.TrimSpace(text)
		if len(trimmed) == 0 {
			continue
		}
		first := !j.begun
		j.begun = true
		if first && streams(trimmed) {
			j.stream = newJSONStream(text, j.in, j.limited, j.line)
			break
		}
		return lineOf(j.line, trimmed), nil
	}
	return j.stream.next()
}

// streams reports whether the text that begins with the line goes over lines: an
// array, or an object that ends on a later one. A line that ends within a string
// is broken, and the ones after it may be whole.
func streams(line []byte) bool {
	if line[0] == '[' {
		return true
	}
	var raw json.RawMessage
	err := json.NewDecoder(io.MultiReader(bytes.NewReader(line), strings.NewReader("\n"))).Decode(&raw)
	return line[0] == '{' && errors.Is(err, io.ErrUnexpectedEOF)
}

const tooLong = "a record is longer than 256 KiB; is a quote or a brace never closed?"

// readLine reads to the end of the line, which may lack at the end of the file.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxRecord:
			return nil, errTooLong
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// lineOf makes a Line of the text of one object.
func lineOf(number int, text []byte) Line {
	l := Line{Number: number}
	rec, err := ParseRecord(text)
	if err != nil {
		if !errors.As(err, &l.Problems) {
			l.Problems = InputErrors{{"", "invalid", "cannot be read"}}
		}
		return l
	}
	l.Record = rec
	return l
}

// jsonStream reads an array of objects, or objects that go over lines. It
// cannot go on after an error.
type jsonStream struct {
	d       *json.Decoder
	lines   *lineCounter
	limited *bounded
	array   bool
	begun   bool
}

func newJSONStream(first []byte, rest io.Reader, limited *bounded, line int) *jsonStream {
	c := &lineCounter{source: io.MultiReader(bytes.NewReader(first), rest), first: line}
	return &jsonStream{d: json.NewDecoder(c), lines: c, limited: limited, array: bytes.TrimSpace(first)[0] == '['}
}

func (s *jsonStream) next() (Line, error) {
	s.limited.allow()
	if s.array && !s.begun {
		if _, err := s.d.Token(); err != nil {
			return Line{}, s.fault(err)
		}
		s.begun = true
	}
	if !s.d.More() {
		return Line{}, s.end()
	}
	number := s.lines.at(s.d.InputOffset())
	var raw json.RawMessage
	if err := s.d.Decode(&raw); err != nil {
		return Line{}, s.fault(err)
	}
	if len(raw) > maxRecord {
		return Line{}, &FileError{number, tooLong}
	}
	// InputOffset stood before the space and comma that part two records.
	after := s.d.InputOffset()
	return lineOf(s.lines.at(after-int64(len(raw))), raw), nil
}

// end reads what must follow the last object: nothing.
func (s *jsonStream) end() error {
	if s.array {
		if t, err := s.d.Token(); err != nil || t != json.Delim(']') {
			return s.fault(err)
		}
		s.array = false
	}
	if _, err := s.d.Token(); !errors.Is(err, io.EOF) {
		return &FileError{s.lines.at(s.d.InputOffset()), "something follows the end of the list"}
	}
	return io.EOF
}

func (s *jsonStream) fault(err error) error {
	line := s.lines.at(s.d.InputOffset())
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errTooLong):
		return &FileError{line, tooLong}
	case errors.As(err, &syntax):
		line = s.lines.at(syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{line, "the file ends within a record, or within the list"}
	case err != nil:
		return err
	}
	return &FileError{line, jsonFault(err, "not valid JSON") + "; nothing after it was read"}
}

// lineCounter remembers where lines begin, as far as it is asked.
type lineCounter struct {
	source io.Reader
	first  int     // the number of the line at offset 0
	read   int64   // how much was read
	starts []int64 // offsets after each line's end that at has not passed
	passed int     // how many it has
}

func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			c.starts = append(c.starts, c.read+int64(i)+1)
		}
	}
	c.read += int64(n)
	return n, err
}

// at is the line of an offset, which must not be before that of the last call.
func (c *lineCounter) at(offset int64) int {
	n := 0
	for n < len(c.starts) && c.starts[n] <= offset {
		n++
	}
	c.passed += n
	c.starts = c.starts[n:]
	return c.first + c.passed
}
