package account

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// csvReader reads CSV (RFC 4180). The first record names the columns: the JSON names, those of
// the profile with or without the prefix "profile.", and "name_ids.KEY" for one agency or
// service provider.
type csvReader struct {
	r       *csv.Reader
	limit *boundedReader
	columns []string // paths: "emails", "profile.ssn", "name_ids.Parks"
	line    int      // where the last record began
}

func newCSVReader(in *bufio.Reader, limited *boundedReader) (next func() (Line, error), err error) {
	c := &csvReader{r: csv.NewReader(in), limit: limited}
	c.r.FieldsPerRecord = -1
	c.r.ReuseRecord = true
	limited.allowRecord()
	header, err := c.r.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, &FileError{1, "the file is empty; its first line must name the columns"}
	case err != nil:
		return nil, c.newFileError(err)
	}
	c.line, _ = c.r.FieldPos(0)
	if err := c.readHeader(header); err != nil {
		return nil, &FileError{c.line, err.Error()}
	}
	return c.next, nil
}

func (c *csvReader) readHeader(header []string) error {
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		return errors.New("columns must be separated by commas")
	}
	known := slices.Concat(profileSchema.names, recordSchema.names)
	taken := make(map[string]bool) // "profile." represents every part of the profile
	var faults []string
	for i, name := range header {
		name = strings.TrimSpace(name)
		path, ok := parseColumn(name)
		whole, _, part := strings.Cut(path, ".")
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("column %d, %q: %s", i+1, fieldName(name), describeUnknownName(strings.TrimPrefix(name, "profile."), known)))
		case taken[path], part && taken[whole], !part && taken[whole+"."]:
			faults = append(faults, fmt.Sprintf("column %d, %q: is given twice", i+1, fieldName(name)))
		}
		taken[path] = true
		if part {
			taken[whole+"."] = true
		}
		c.columns = append(c.columns, path)
		if len(faults) > maxProblems {
			break
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// parseColumn returns the path of a column's field.
func parseColumn(name string) (path string, ok bool) {
	if key, ok := strings.CutPrefix(name, "name_ids."); ok {
		return name, key != "" && utf8.ValidString(key)
	}
	if below := strings.TrimPrefix(name, "profile."); slices.Contains(profileSchema.names, below) {
		return "profile." + below, true
	}
	return name, slices.Contains(recordSchema.names, name)
}

func (c *csvReader) next() (Line, error) {
	c.limit.allowRecord()
	cells, err := c.r.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		// The reader continues with the next line.
		c.line = parse.Line
		return newLine(parse.StartLine, nil, InputErrors{{"", "invalid", "not valid CSV: " + parse.Err.Error()}}), nil
	case err != nil:
		return Line{}, c.newFileError(err)
	}
	c.line, _ = c.r.FieldPos(0)
	if len(cells) != len(c.columns) {
		return newLine(c.line, nil, InputErrors{{"", "invalid", fmt.Sprintf("has %d cells, and there are %d columns", len(cells), len(c.columns))}}), nil
	}
	rec, err := c.parseCells(cells)
	return newLine(c.line, rec, err), nil
}

func (c *csvReader) newFileError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return &FileError{c.line + 1, textTooLong}
	case errors.As(err, &parse):
		return &FileError{parse.StartLine, "not valid CSV: " + parse.Err.Error()}
	}
	return err
}

// parseCells converts the cells into a JSON object and parses it. An empty cell means an
// absent value.
func (c *csvReader) parseCells(cells []string) (*Record, error) {
	var d decoder
	object := make(map[string]any)
	for i, cell := range cells {
		if cell = strings.TrimSpace(cell); cell == "" {
			continue
		}
		if !utf8.ValidString(cell) {
			d.addInvalid(c.columns[i], "not valid UTF-8; save the file as UTF-8")
			continue
		}
		whole, part, ok := strings.Cut(c.columns[i], ".")
		if !ok {
			object[whole] = parseCell(whole, cell)
			continue
		}
		if object[whole] == nil {
			object[whole] = make(map[string]string)
		}
		object[whole].(map[string]string)[part] = cell
	}
	text, err := json.Marshal(object)
	if err != nil || len(text) > maxRecord {
		d.addProblem("", "too_long", "is longer than 256 KiB")
	}
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return ParseRecord(text)
}

// parseCell reads the cell of a field: email addresses separated by spaces, commas or
// semicolons, JSON where the field is not a string or time, otherwise the plain text. The
// decoder reports invalid JSON, because its error names the accepted values.
func parseCell(name, cell string) any {
	switch kind := recordSchema.kinds[name]; {
	case name == "emails":
		return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n", r) })
	case kind == reflect.Bool:
		cell = strings.ToLower(cell) // spreadsheets write TRUE
	case kind == reflect.String, kind == reflect.Struct:
		return cell
	}
	if json.Valid([]byte(cell)) {
		return json.RawMessage(cell)
	}
	return cell
}
