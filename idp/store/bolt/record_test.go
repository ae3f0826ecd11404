package bolt

import (
	"reflect"
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

// TestRecordHoldsEverything fails when idp.Session or idp.LoginRequest has a
// field that record.go does not write.
func TestRecordHoldsEverything(t *testing.T) {
	t.Parallel()
	testRecord(t, sessionFields)
	testRecord(t, requestFields)
}

func testRecord[R any](t *testing.T, each func(*fields, *R)) {
	t.Helper()
	full, n := new(R), 0
	fill(t, reflect.ValueOf(full).Elem(), &n)
	for _, want := range []*R{full, new(R)} {
		value := encodeRecord(want, each)
		got := new(R)
		if err := decodeRecord(value, got, each); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		for n := range value {
			if decodeRecord(value[:n], new(R), each) == nil {
				t.Errorf("%T: the first %d of %d bytes were taken for a record", want, n, len(value))
			}
		}
		if decodeRecord(append(value, 0), new(R), each) == nil {
			t.Errorf("%T: a record was read that has a byte too many", want)
		}
		value[0]++
		if decodeRecord(value, new(R), each) == nil {
			t.Errorf("%T: a record of another form was read", want)
		}
	}
}

// FuzzRecord reads damaged records: no panic, and no memory beyond their size.
func FuzzRecord(f *testing.F) {
	f.Add(encodeRecord(&idp.Session{ID: "s", Factors: make([]idp.FactorUse, 2), Participants: make([]idp.Participant, 1)}, sessionFields))
	f.Add(encodeRecord(&idp.LoginRequest{SP: "a", MessageID: "m", ClassRefs: []string{"x"}}, requestFields))
	f.Add([]byte{recordForm, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		fuzzRecord(t, value, sessionFields)
		fuzzRecord(t, value, requestFields)
		_, _ = messageIn(value)
	})
}

func fuzzRecord[R any](t *testing.T, value []byte, each func(*fields, *R)) {
	read, again := new(R), new(R)
	if decodeRecord(value, read, each) != nil {
		return
	}
	if err := decodeRecord(encodeRecord(read, each), again, each); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read, again); diff != "" {
		t.Errorf("read again (-first +second):\n%s", diff)
	}
}
