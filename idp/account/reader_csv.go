package account

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// column is what a column of a CSV file holds.
type column struct {
	// name is the JSON name; within profile or name_ids, what stands below it.
	name string
	in   string // "", "profile" or "name_ids"
	kind columnKind
}

// columnKind is how the text of a cell becomes JSON.
type columnKind int

const (
	textColumn   columnKind = iota
	scalarColumn            // true, false or a number, as JSON writes them
	listColumn              // addresses, parted by spaces, commas or semicolons
	jsonColumn              // JSON
)

// columnKinds are those of the names that hold something else than text.
var columnKinds = map[string]columnKind{
	"locked": scalarColumn, "deleted": scalarColumn, "totp_period": scalarColumn, "emails": listColumn,
	"totps": jsonColumn, "profile": jsonColumn, "name_ids": jsonColumn,
}

// csvLines reads CSV (RFC 4180). The first record names the columns: the JSON
// names, those of the profile with "profile." before them or without, and
// "name_ids.KEY" for one agency or service provider.
type csvLines struct {
	r       *csv.Reader
	limited *bounded
	columns []column
	line    int // where the last record began
}

func newCSVLines(in *bufio.Reader, limited *bounded) (*csvLines, error) {
	c := &csvLines{r: csv.NewReader(in), limited: limited}
	c.r.FieldsPerRecord = -1
	c.r.ReuseRecord = true
	limited.allow()
	header, err := c.r.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, &FileError{1, "the file is empty; its first line must name the columns"}
	case err != nil:
		return nil, c.fault(err)
	}
	c.line, _ = c.r.FieldPos(0)
	if err := c.readHeader(header); err != nil {
		return nil, &FileError{c.line, err.Error()}
	}
	return c, nil
}

func (c *csvLines) readHeader(header []string) error {
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		return errors.New("columns must be parted by commas")
	}
	inProfile := []string{"level", "verified_at"}
	for _, f := range profileFields {
		inProfile = append(inProfile, f.name)
	}
	var faults []string
	for i, name := range header {
		col, ok := columnOf(strings.TrimSpace(name), inProfile)
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("column %d, %q: %s", i+1, fieldName(name),
				unknownName(strings.TrimPrefix(strings.TrimSpace(name), "profile."), append(inProfile, recordNames...))))
		case slices.Contains(c.columns, col), slices.ContainsFunc(c.columns, col.excludes):
			faults = append(faults, fmt.Sprintf("column %d, %q: is there already", i+1, fieldName(name)))
		}
		c.columns = append(c.columns, col)
		if len(faults) > maxProblems {
			break
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// excludes reports whether two columns would write the same thing.
func (c column) excludes(other column) bool {
	return c.in == "" && c.name == other.in || other.in == "" && other.name == c.in
}

func columnOf(name string, inProfile []string) (column, bool) {
	if key, ok := strings.CutPrefix(name, "name_ids."); ok && key != "" && utf8.ValidString(key) {
		return column{name: key, in: "name_ids"}, true
	}
	below, ok := strings.CutPrefix(name, "profile.")
	if slices.Contains(inProfile, below) {
		return column{name: below, in: "profile"}, true
	}
	return column{name: name, kind: columnKinds[name]}, !ok && slices.Contains(recordNames, name)
}

func (c *csvLines) next() (Line, error) {
	c.limited.allow()
	cells, err := c.r.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		// The reader goes on with the next line.
		c.line = parse.Line
		return Line{Number: parse.StartLine, Problems: InputErrors{{"", "invalid", "not valid CSV: " + parse.Err.Error()}}}, nil
	case err != nil:
		return Line{}, c.fault(err)
	}
	c.line, _ = c.r.FieldPos(0)
	if len(cells) != len(c.columns) {
		return Line{Number: c.line, Problems: InputErrors{{"", "invalid", fmt.Sprintf("has %d cells, and there are %d columns", len(cells), len(c.columns))}}}, nil
	}
	text, wrong := c.object(cells)
	if len(wrong) > 0 {
		return Line{Number: c.line, Problems: wrong}, nil
	}
	if len(text) > maxRecord {
		return Line{Number: c.line, Problems: InputErrors{{"", "too_long", "is longer than 256 KiB"}}}, nil
	}
	return lineOf(c.line, text), nil
}

func (c *csvLines) fault(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return &FileError{c.line + 1, tooLong}
	case errors.As(err, &parse):
		return &FileError{parse.StartLine, "not valid CSV: " + parse.Err.Error()}
	}
	return err
}

// object makes the JSON object that a record stands for, which is then read as
// strictly as any. An empty cell says nothing.
func (c *csvLines) object(cells []string) (text []byte, wrong InputErrors) {
	members := map[string]map[string]json.RawMessage{"": {}, "profile": {}, "name_ids": {}}
	for i, cell := range cells {
		col := c.columns[i]
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		if !utf8.ValidString(cell) {
			wrong = append(wrong, &InputError{fieldName(col.name), "invalid", "not valid UTF-8; save the file as UTF-8"})
			continue
		}
		raw, ok := col.json(cell)
		if !ok {
			wrong = append(wrong, &InputError{fieldName(col.name), "invalid", "must be JSON"})
			continue
		}
		members[col.in][col.name] = raw
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	for _, in := range []string{"profile", "name_ids"} {
		if len(members[in]) > 0 {
			members[""][in], _ = json.Marshal(members[in]) // texts only
		}
	}
	text, err := json.Marshal(members[""])
	if err != nil {
		return nil, InputErrors{{"", "invalid", "cannot be read"}}
	}
	return text, nil
}

// json is the cell as JSON; ok is false for a cell that must be JSON and is not.
func (c column) json(cell string) (raw json.RawMessage, ok bool) {
	switch c.kind {
	case jsonColumn:
		return json.RawMessage(cell), json.Valid([]byte(cell))
	case scalarColumn:
		if lower := strings.ToLower(cell); json.Valid([]byte(lower)) {
			return json.RawMessage(lower), true // TRUE is what spreadsheets write
		}
	case listColumn:
		list := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n", r) })
		raw, err := json.Marshal(list)
		return raw, err == nil
	}
	raw, err := json.Marshal(cell)
	return raw, err == nil
}
