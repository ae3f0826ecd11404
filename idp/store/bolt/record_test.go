package bolt

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// fill sets everything in v to something that is not zero and differs from
// field to field. It knows the kinds that the records have, and fails on others.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		*at = time.Date(2031, 4, 1, 9, 0, *n, *n, time.UTC)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(time.Duration(*n).String() + "\x00ü")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(*n) * -77777)
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("records cannot hold a %v yet", v.Type())
	}
}

// TestEveryRecordFieldIsStored fails when idp.Session or idp.LoginRequest has a field that
// record.go cannot write.
func TestEveryRecordFieldIsStored(t *testing.T) {
	t.Parallel()
	testRecord[idp.Session](t)
	testRecord[idp.LoginRequest](t)
}

func testRecord[R any](t *testing.T) {
	t.Helper()
	full, n := new(R), 0
	fill(t, reflect.ValueOf(full).Elem(), &n)
	for _, want := range []*R{full, new(R)} {
		value := encodeRecord(want)
		got := new(R)
		if err := decodeRecord(value, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		for n := range value {
			if decodeRecord(value[:n], new(R)) == nil {
				t.Errorf("%T: the first %d of %d bytes were taken for a record", want, n, len(value))
			}
		}
		if decodeRecord(append(value, 0), new(R)) == nil {
			t.Errorf("%T: a record was read that has a byte too many", want)
		}
		value[0]++
		if decodeRecord(value, new(R)) == nil {
			t.Errorf("%T: a record of another form was read", want)
		}
	}
}

// layoutOf lists the fields of a record in the order in which they are stored.
func layoutOf(t reflect.Type, name string) string {
	switch {
	case t == reflect.TypeFor[time.Time](), t.Kind() != reflect.Struct && t.Kind() != reflect.Slice:
		return name + " " + t.Kind().String() + "\n"
	case t.Kind() == reflect.Slice:
		return layoutOf(t.Elem(), name+"[]")
	}
	var all strings.Builder
	for i := range t.NumField() {
		all.WriteString(layoutOf(t.Field(i).Type, name+"."+t.Field(i).Name))
	}
	return all.String()
}

// TestRecordFormChangesWithFields fails when the stored fields change: recordForm then
// gets the next number, and this test the new sum.
func TestRecordFormChangesWithFields(t *testing.T) {
	t.Parallel()
	layout := layoutOf(reflect.TypeFor[idp.Session](), "Session") + layoutOf(reflect.TypeFor[idp.LoginRequest](), "LoginRequest")
	const form, want = 2, "9f2df96bff3b79ec"
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(layout)))[:16]; got != want || recordForm != form {
		t.Errorf("form %d has the layout %s, want form %d and %s:\n%s", recordForm, got, form, want, layout)
	}
	if !strings.Contains(layout, "LoginRequest.SP string\nLoginRequest.MessageID string\n") || strings.Index(layout, "LoginRequest.") != strings.Index(layout, "LoginRequest.SP") {
		t.Error("a request does not begin with its message, see decodeMessage")
	}
}

// TestEarlierFormIsRead reads records that a server before the last change of their fields wrote.
func TestEarlierFormIsRead(t *testing.T) {
	t.Parallel()
	want := idp.LoginRequest{SP: "a", MessageID: "m", Locale: "fr", CertSHA256: "x", AsksForSignUp: true, ClassRefs: []string{"c"}}
	f := fields{form: 1, output: []byte{1}}
	f.walk(reflect.ValueOf(&want).Elem())
	var got idp.LoginRequest
	if err := decodeRecord(f.output, &got); err != nil {
		t.Fatal(err)
	}
	want.AsksForSignUp = false
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// FuzzRecord reads damaged records: no panic, and no memory beyond their size.
func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord(&idp.Session{ID: "s", Factors: make([]idp.FactorUse, 2), Participants: make([]idp.Participant, 1)}))
	f.Add(encodeRecord(&idp.LoginRequest{SP: "a", MessageID: "m", ClassRefs: []string{"x"}}))
	f.Add([]byte{recordForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		fuzzRecord[idp.Session](t, value)
		fuzzRecord[idp.LoginRequest](t, value)
		_, _ = decodeMessage(value)
	})
}

func fuzzRecord[R any](t *testing.T, value []byte) {
	read, again := new(R), new(R)
	if decodeRecord(value, read) != nil {
		return
	}
	if err := decodeRecord(encodeRecord(read), again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read, again); diff != "" {
		t.Errorf("read again (-first +second):\n%s", diff)
	}
}
