package board

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is stored reads back as it was; anything else is damaged, and harms
// nobody.
func FuzzUsage(f *testing.F) {
	g := &usage{
		First: 1, Last: 1 << 42, Signed: true, Cert: "b", Certs: map[string]int64{"a": 5, "b": 1 << 42}, Unsigned: 7,
		Relay: relay{Bytes: 100, At: 9, Last: 10}, Clock: delay{Day: 20_000, Millis: -45_000}, Days: days{Last: 20_000, Counts: []int{1, 0, 3}},
	}
	f.Add(g.encode())
	f.Add((&usage{}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := decodeUsage(doc)
		if err != nil {
			return
		}
		again, err := decodeUsage(g.encode())
		if err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		if diff := cmp.Diff(g, again, cmp.AllowUnexported(usage{}, relay{}, delay{}, days{})); diff != "" {
			t.Errorf("read, written and read (-want +got):\n%s", diff)
		}
	})
}

func TestUsageReadsBack(t *testing.T) {
	t.Parallel()
	g := &usage{First: 1, Last: 2, Cert: "aa", Certs: map[string]int64{"aa": 2}, Days: days{Last: 3, Counts: []int{4}}}
	again, err := decodeUsage(g.encode())
	if diff := cmp.Diff(g, again, cmp.AllowUnexported(usage{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for n := range g.encode() {
		if _, err := decodeUsage(g.encode()[:n]); err == nil {
			t.Errorf("cut after %d bytes it is read", n)
		}
	}
}
