package bolt

import (
	"encoding/binary"
	"errors"
	"reflect"
	"time"
)

// Sessions and requests are read and written several times in every sign-in, so they
// are not stored as JSON but in a binary form: recordForm, then the fields in the order in which
// package idp declares them.
//
//	string   length as uvarint, bytes
//	bool     one byte, 0 or 1
//	time     12 bytes, see appendTime; read back as UTC
//	duration nanoseconds as varint
//	list     number as uvarint, elements
//	struct   its fields
//
// If the fields of a record change, increase recordForm, put the new layout into
// TestRecordFormChangesWithFields, and the form of a new field into addedFields.
const recordForm = 2

// addedFields contains the form that was the first to have a field. Records of an earlier form have
// it at its zero value.
var addedFields = map[string]byte{"AsksForSignUp": 2}

// fields visits the fields of a record, and either appends them to output or reads them from
// input, so that one function defines both directions.
type fields struct {
	form      byte
	output    []byte
	input     string
	isReading bool
	isDamaged bool // input is malformed, so all further fields are zero
}

// encodeRecord returns the bytes of the record that r points to.
func encodeRecord(r any) []byte {
	f := fields{form: recordForm, output: append(make([]byte, 0, 512), recordForm)}
	f.walk(reflect.ValueOf(r).Elem())
	return f.output
}

// decodeRecord reads a whole record into the zero record that r points to. The result does not
// share memory with value.
func decodeRecord(value []byte, r any) error {
	rest, err := decodeFields(value, r)
	if err == nil && rest != "" {
		return errors.New("record is followed by extra bytes")
	}
	return err
}

// decodeFields reads the first fields of a record into the struct that r points to, and returns the
// remaining bytes.
func decodeFields(value []byte, r any) (rest string, err error) {
	f := fields{input: string(value), isReading: true}
	form := f.take(1)
	if form == "" || form[0] == 0 || form[0] > recordForm {
		return "", errors.New("record has an unknown form")
	}
	f.form = form[0]
	if f.walk(reflect.ValueOf(r).Elem()); f.isDamaged {
		return "", errors.New("record is truncated")
	}
	return f.input, nil
}

// take reads n bytes.
func (f *fields) take(n int) string {
	if n > len(f.input) {
		f.input, f.isDamaged = "", true
		return ""
	}
	part := f.input[:n]
	f.input = f.input[n:]
	return part
}

// walkLength writes or reads a length. Every element has at least one byte, so a length beyond the
// remaining bytes is damage and must not allocate memory.
func (f *fields) walkLength(n int) int {
	if !f.isReading {
		f.output = binary.AppendUvarint(f.output, uint64(n))
		return n
	}
	got, size := binary.Uvarint([]byte(f.input[:min(len(f.input), binary.MaxVarintLen64)]))
	if size <= 0 || got > uint64(len(f.input)-size) {
		f.input, f.isDamaged = "", true
		return 0
	}
	f.input = f.input[size:]
	return int(got)
}

// walk writes or reads a value. Writing does not change v.
func (f *fields) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			f.walkTime(at)
			return
		}
		for i := range v.NumField() {
			if f.form < recordForm && addedFields[v.Type().Field(i).Name] > f.form {
				continue
			}
			f.walk(v.Field(i))
		}
	case reflect.String:
		n := f.walkLength(v.Len())
		if f.isReading {
			v.SetString(f.take(n))
		} else {
			f.output = append(f.output, v.String()...)
		}
	case reflect.Slice:
		n := f.walkLength(v.Len())
		isBytes := v.Type().Elem().Kind() == reflect.Uint8
		switch {
		case isBytes && !f.isReading:
			f.output = append(f.output, v.Bytes()...)
			return
		case isBytes && n > 0:
			v.SetBytes([]byte(f.take(n)))
			return
		case f.isReading && n > 0:
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			f.walk(v.Index(i))
		}
	case reflect.Bool:
		switch {
		case f.isReading:
			v.SetBool(f.take(1) == "\x01")
		case v.Bool():
			f.output = append(f.output, 1)
		default:
			f.output = append(f.output, 0)
		}
	case reflect.Int64:
		if !f.isReading {
			f.output = binary.AppendVarint(f.output, v.Int())
			return
		}
		got, size := binary.Varint([]byte(f.input[:min(len(f.input), binary.MaxVarintLen64)]))
		f.take(max(size, 0))
		f.isDamaged = f.isDamaged || size <= 0
		v.SetInt(got)
	default:
		panic("a record cannot contain a " + v.Type().String())
	}
}

func (f *fields) walkTime(t *time.Time) {
	if !f.isReading {
		f.output = appendTime(f.output, *t)
	} else if part := []byte(f.take(timeLen)); len(part) == timeLen {
		*t = decodeTime(part)
	}
}
