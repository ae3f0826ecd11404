package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"vernal/idp"
	"vernal/idp/suggest"
)

// object reads a JSON object that people write by hand: strictly, and on past
// the first error. Errors name the field and never quote a value.
type object struct {
	path  string   // where it stands; "" at the top
	names []string // that it may have; nil: any
	wrong InputErrors
}

// maxProblems bounds what is said of one object.
const maxProblems = 50

func (o *object) fault(name, problem, detail string) {
	if o.path != "" && name != "" {
		name = o.path + "." + name
	} else if name == "" {
		name = o.path
	}
	if len(o.wrong) < maxProblems {
		o.wrong = append(o.wrong, &InputError{fieldName(name), problem, detail})
	}
}

// fieldName makes a name from a file fit for a line of an error list.
func fieldName(name string) string {
	const limit = 120
	if len(name) > limit {
		name = name[:limit] + "…"
	}
	return string(bytes.ToValidUTF8([]byte(name), []byte("?")))
}

// read calls each for every member whose value is not null.
func (o *object) read(data []byte, each func(name string, raw json.RawMessage)) {
	if !utf8.Valid(data) {
		o.fault("", "invalid", "not valid UTF-8; save the file as UTF-8")
		return
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		o.fault("", "invalid", jsonFault(err, "must be a JSON object"))
		return
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var raw json.RawMessage
		if err == nil && ok {
			err = d.Decode(&raw)
		}
		if err != nil || !ok {
			o.fault("", "invalid", jsonFault(err, "not a JSON object"))
			return
		}
		switch {
		case seen[name]:
			o.fault(name, "invalid", "stands here twice")
		case o.names != nil && !slices.Contains(o.names, name):
			o.fault(name, "unknown", unknownName(name, o.names))
		case !bytes.Equal(raw, []byte("null")):
			each(name, raw)
		}
		seen[name] = true
	}
	if _, err := d.Token(); err != nil {
		o.fault("", "invalid", jsonFault(err, "not a JSON object"))
	} else if _, err := d.Token(); !errors.Is(err, io.EOF) {
		o.fault("", "invalid", "something follows the JSON object")
	}
}

// jsonFault says what is wrong with JSON text, without quoting it: the
// decoder's own words hold a character of it at most.
func jsonFault(err error, otherwise string) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON object ends too early"
	case errors.As(err, &syntax):
		return "not valid JSON"
	}
	return otherwise
}

func (o *object) text(name string, raw json.RawMessage, into *string) bool {
	if err := json.Unmarshal(raw, into); err != nil {
		o.fault(name, "invalid", "must be a string")
		return false
	}
	return true
}

func (o *object) flag(name string, raw json.RawMessage, into *bool) {
	if err := json.Unmarshal(raw, into); err != nil {
		o.fault(name, "invalid", "must be true or false")
	}
}

// number reads a whole number into an *int or *int64.
func (o *object) number(name string, raw json.RawMessage, into any) {
	if err := json.Unmarshal(raw, into); err != nil {
		o.fault(name, "invalid", "must be a whole number")
	}
}

// time reads an RFC 3339 time, or a date, which means its first moment in UTC.
func (o *object) time(name string, raw json.RawMessage, into *time.Time) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, form := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(form, text); err == nil {
				*into = at.UTC()
				return
			}
		}
	}
	o.fault(name, "invalid", "must be a time as 2026-04-01T09:00:00Z, or a date as 2026-04-01")
}

// texts reads a list of strings, which the length of a record bounds.
func (o *object) texts(name string, raw json.RawMessage, into *[]idp.EntityID) {
	if err := json.Unmarshal(raw, into); err != nil {
		o.fault(name, "invalid", "must be a list of strings")
	}
}

func (o *object) list(name string, raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		o.fault(name, "invalid", "must be a list")
		return nil
	}
	const limit = 100
	if len(list) > limit {
		o.fault(name, "too_many", "has more than 100 entries")
		return nil
	}
	return list
}

// unknownName says that a name is not known, and which one may be meant.
func unknownName(name string, names []string) string {
	if near := suggest.Nearest(name, names, len(name)/2); near != "" {
		return "no such field; did you mean " + near + "?"
	}
	return "no such field"
}
