package usage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is stored reads back as it was. Anything else is damaged, and does no harm.
func FuzzTally(f *testing.F) {
	g := &Tally{
		First: 1, Last: 1 << 42, Signed: true, Cert: "b", Certs: map[string]int64{"a": 5, "b": 1 << 42}, Unsigned: 7,
		Relay: Relay{Bytes: 100, At: 9, Last: 10}, Clock: Delay{Day: 20_000, Millis: -45_000}, Days: Days{Last: 20_000, Counts: []int{1, 0, 3}},
	}
	f.Add(g.encode())
	f.Add((&Tally{}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := decodeTally(doc)
		if err != nil {
			return
		}
		again, err := decodeTally(g.encode())
		if err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		if diff := cmp.Diff(g, again); diff != "" {
			t.Errorf("read, written and read (-want +got):\n%s", diff)
		}
	})
}

func TestTallyReadsBack(t *testing.T) {
	t.Parallel()
	g := &Tally{First: 1, Last: 2, Cert: "aa", Certs: map[string]int64{"aa": 2}, Days: Days{Last: 3, Counts: []int{4}}}
	again, err := decodeTally(g.encode())
	if diff := cmp.Diff(g, again); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for n := range g.encode() {
		if _, err := decodeTally(g.encode()[:n]); err == nil {
			t.Errorf("cut after %d bytes it is read", n)
		}
	}
}
