package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"vernal/idp/suggest"
)

// decoder parses JSON that users write by hand into structs, and continues after the first
// error. encoding/json stops at an unknown name, ignores the case of names, and uses the last
// of two equal names, so that two readers of one file could see two values. Errors name the
// field and never quote a value.
type decoder struct{ faults }

// fieldName makes a name from a file safe for a line of an error list.
func fieldName(name string) string {
	const limit = 120
	if len(name) > limit {
		name = name[:limit] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(name), []byte("?")))
}

// decodeObject decodes a text with exactly one JSON object into a struct.
func (d *decoder) decodeObject(data []byte, target any) {
	if !utf8.Valid(data) {
		d.addInvalid("", "not valid UTF-8: save the file as UTF-8")
		return
	}
	stream := json.NewDecoder(bytes.NewReader(data))
	var raw json.RawMessage
	if err := stream.Decode(&raw); err != nil {
		detail := "not valid JSON"
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			detail = "the JSON object ends too early"
		}
		d.addInvalid("", detail)
		return
	}
	if _, err := stream.Token(); !errors.Is(err, io.EOF) {
		d.addInvalid("", "text follows the JSON object")
		return
	}
	d.decode("", raw, reflect.ValueOf(target).Elem())
}

// decode reads a valid JSON value into dst, which errors call path.
func (d *decoder) decode(path string, raw []byte, dst reflect.Value) {
	switch target := dst.Addr().Interface().(type) {
	case *time.Time:
		d.decodeTime(path, raw, target)
		return
	case *RecordEmail:
		if raw[0] == '"' { // the other identity provider confirms it
			target.Confirmed = true
			d.decode(path, raw, reflect.ValueOf(&target.Address).Elem())
			return
		}
	}
	switch dst.Kind() {
	case reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		d.decode(path, raw, dst.Elem())
	case reflect.Struct:
		fields := schemas[dst.Type()]
		d.decodeMembers(path, raw, func(path, name string, raw []byte) {
			if index, ok := fields.index[name]; ok {
				d.decode(path, raw, dst.FieldByIndex(index))
			} else {
				d.addProblem(path, "unknown", describeUnknownName(name, fields.names))
			}
		})
	case reflect.Map:
		dst.Set(reflect.MakeMap(dst.Type()))
		d.decodeMembers(path, raw, func(path, name string, raw []byte) {
			value := reflect.New(dst.Type().Elem()).Elem()
			d.decode(path, raw, value)
			dst.SetMapIndex(reflect.ValueOf(name), value)
		})
	case reflect.Slice:
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			d.addInvalid(path, "must be a list")
		}
		dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
		for i, item := range list {
			d.decode(fmt.Sprintf("%s[%d]", path, i+1), item, dst.Index(i))
		}
	default:
		if err := json.Unmarshal(raw, dst.Addr().Interface()); err != nil {
			d.addInvalid(path, kindRules[dst.Kind()])
		}
	}
}

// kindRules describes the values that scalar fields accept.
var kindRules = map[reflect.Kind]string{
	reflect.String: "must be a string", reflect.Bool: "must be true or false",
	reflect.Int: "must be a whole number", reflect.Int64: "must be a whole number",
}

// decodeTime reads an RFC 3339 time, or a date, which means its first moment in UTC.
func (d *decoder) decodeTime(path string, raw []byte, target *time.Time) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				*target = at.UTC()
				return
			}
		}
	}
	d.addInvalid(path, "must be a time or a date, for example 2026-04-01T09:00:00Z or 2026-04-01")
}

// decodeMembers calls visit for every member of an object whose value is not null.
func (d *decoder) decodeMembers(path string, raw []byte, visit func(path, name string, raw []byte)) {
	stream := json.NewDecoder(bytes.NewReader(raw))
	if token, err := stream.Token(); err != nil || token != json.Delim('{') {
		d.addInvalid(path, "must be a JSON object")
		return
	}
	if path != "" {
		path += "."
	}
	seen := map[string]bool{}
	for stream.More() {
		token, _ := stream.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if stream.Decode(&value) != nil {
			return // cannot happen: the object is valid
		}
		switch {
		case seen[name]:
			d.addInvalid(path+name, "appears twice")
		case !bytes.Equal(value, []byte("null")):
			visit(path+name, name, value)
		}
		seen[name] = true
	}
}

// schema describes the fields of a struct: their names in a file, their positions and their
// kinds.
type schema struct {
	names []string
	index map[string][]int
	kinds map[string]reflect.Kind
}

var (
	recordSchema  = newSchema(reflect.TypeFor[recordFile]())
	profileSchema = newSchema(reflect.TypeFor[RecordProfile]())

	schemas = map[reflect.Type]*schema{
		reflect.TypeFor[recordFile]():    recordSchema,
		reflect.TypeFor[RecordProfile](): profileSchema,
		reflect.TypeFor[RecordEmail]():   newSchema(reflect.TypeFor[RecordEmail]()),
		reflect.TypeFor[RecordTOTP]():    newSchema(reflect.TypeFor[RecordTOTP]()),
		reflect.TypeFor[RecordService](): newSchema(reflect.TypeFor[RecordService]()),
	}
)

func newSchema(t reflect.Type) *schema {
	s := &schema{index: make(map[string][]int), kinds: make(map[string]reflect.Kind)}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			s.names, s.index[name], s.kinds[name] = append(s.names, name), f.Index, f.Type.Kind()
		}
	}
	return s
}

// describeUnknownName returns the error for an unknown name, with the most similar known name.
func describeUnknownName(name string, names []string) string {
	if suggestion := suggest.Nearest(name, names, len(name)/2); suggestion != "" {
		return "unknown field: did you mean " + suggestion + "?"
	}
	return "unknown field"
}
