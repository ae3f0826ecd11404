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

	"vernal/idp"
)

// csvReader reads CSV (RFC 4180). The first record names the columns: the JSON
// names, those of the profile with "profile." before them or without, and
// "name_ids.KEY" for one agency or service provider.
type csvReader struct {
	r       *csv.Reader
	limited *bounded
	columns []string // paths: "emails", "profile.ssn", "name_ids.Parks"
	line    int      // where the last record began
}

func newCSVReader(in *bufio.Reader, limited *bounded) (*csvReader, error) {
	c := &csvReader{r: csv.NewReader(in), limited: limited}
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

func (c *csvReader) readHeader(header []string) error {
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		return errors.New("columns must be separated by commas")
	}
	known := slices.Concat(schemas[reflect.TypeFor[RecordProfile]()].names, schemas[reflect.TypeFor[recordFile]()].names)
	taken := make(map[string]bool) // "profile." stands for a part of the profile
	var faults []string
	for i, name := range header {
		name = strings.TrimSpace(name)
		path, ok := columnPath(name)
		whole, _, part := strings.Cut(path, ".")
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("column %d, %q: %s", i+1, fieldName(name), unknownName(strings.TrimPrefix(name, "profile."), known)))
		case taken[path], part && taken[whole], !part && taken[whole+"."]:
			faults = append(faults, fmt.Sprintf("column %d, %q: is there already", i+1, fieldName(name)))
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

// columnPath returns the path of the field that a column holds.
func columnPath(name string) (path string, ok bool) {
	if key, ok := strings.CutPrefix(name, "name_ids."); ok {
		return name, key != "" && utf8.ValidString(key)
	}
	below := strings.TrimPrefix(name, "profile.")
	if _, ok := schemas[reflect.TypeFor[RecordProfile]()].index[below]; ok {
		return "profile." + below, true
	}
	_, ok = schemas[reflect.TypeFor[recordFile]()].index[name]
	return name, ok
}

func (c *csvReader) next() (Line, error) {
	c.limited.allow()
	cells, err := c.r.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		// The reader goes on with the next line.
		c.line = parse.Line
		return newLine(parse.StartLine, nil, InputErrors{{"", "invalid", "not valid CSV: " + parse.Err.Error()}}), nil
	case err != nil:
		return Line{}, c.fault(err)
	}
	c.line, _ = c.r.FieldPos(0)
	if len(cells) != len(c.columns) {
		return newLine(c.line, nil, InputErrors{{"", "invalid", fmt.Sprintf("has %d cells, and there are %d columns", len(cells), len(c.columns))}}), nil
	}
	rec, err := c.parseCells(cells)
	return newLine(c.line, rec, err), nil
}

func (c *csvReader) fault(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errTooLong):
		return &FileError{c.line + 1, tooLong}
	case errors.As(err, &parse):
		return &FileError{parse.StartLine, "not valid CSV: " + parse.Err.Error()}
	}
	return err
}

// parseCells makes a record of the cells, each as strict as in JSON. An empty cell
// says nothing.
func (c *csvReader) parseCells(cells []string) (*Record, error) {
	var d decoder
	var f recordFile
	size := 0
	for i, cell := range cells {
		path := c.columns[i]
		cell = strings.TrimSpace(cell)
		size += len(path) + len(cell)
		switch key, isNameID := strings.CutPrefix(path, "name_ids."); {
		case cell == "":
		case !utf8.ValidString(cell):
			d.add(path, "invalid", "not valid UTF-8; save the file as UTF-8")
		case isNameID:
			if f.NameIDs == nil {
				f.NameIDs = make(map[string]idp.NameID)
			}
			f.NameIDs[key] = idp.NameID(cell)
		default:
			d.decodeCell(path, cell, f.locate(path))
		}
	}
	if size > maxRecord {
		d.add("", "too_long", "is longer than 256 KiB")
	}
	return d.unfold(&f)
}

// locate returns the field of a path.
func (f *recordFile) locate(path string) reflect.Value {
	v := reflect.ValueOf(f).Elem()
	if name, ok := strings.CutPrefix(path, "profile."); ok {
		if f.Profile == nil {
			f.Profile = new(RecordProfile)
		}
		path, v = name, reflect.ValueOf(f.Profile).Elem()
	}
	return v.FieldByIndex(schemas[v.Type()].index[path])
}

// decodeCell reads a cell: true, false and numbers as JSON writes them, email
// addresses separated by spaces, commas or semicolons, lists and objects as JSON, and
// all else as the text that it is.
func (d *decoder) decodeCell(path, cell string, v reflect.Value) {
	raw := []byte(cell)
	switch v.Interface().(type) {
	case bool, int:
		raw = []byte(strings.ToLower(cell)) // TRUE is what spreadsheets write
	case []RecordEmail:
		raw = mustMarshal(strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(" ,;\t\r\n", r) }))
	case []RecordTOTP, *RecordProfile, map[string]idp.NameID:
		if !json.Valid(raw) {
			d.add(path, "invalid", "must be JSON")
			return
		}
	default:
		raw = mustMarshal(cell)
	}
	d.decode(path, raw, v)
}

// mustMarshal writes strings as JSON, which cannot fail.
func mustMarshal[T string | []string](v T) []byte {
	raw, _ := json.Marshal(v)
	return raw
}
