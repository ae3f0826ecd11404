package usage

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// FuzzRecord checks that a stored record reads back unchanged, and that anything else counts
// as damaged and does no harm.
func FuzzRecord(f *testing.F) {
	now := noon(2026, 6, 1)
	l := &Ledger{Log: slog.New(slog.DiscardHandler)}
	r := new(record)
	for day := range 40 {
		at := now.AddDate(0, 0, day-45)
		findOrAddEntry(&r.Years, "2026").add(idp.Use{Year: "2026", At: at, CertSHA256: fmt.Sprint(day % 3), RelayStateLength: 100, IssuedAt: at.Add(-time.Second)})
	}
	r.Loads = []Loads{{"2026", spA, "192.0.2.1", "curl", now, 3}}
	doc, err := r.encode()
	ok(f, err)
	f.Add(doc)
	for _, text := range []string{"", "null", "{}", `{"years":null}`, `{"years":{"2026":null}}`, `{"years":{"":{"days":{"last":9223372036854775807}}}}`} {
		f.Add([]byte(text))
	}
	read := func(doc []byte) *record {
		if r := l.parse(&idp.Document{Key: "a", Data: doc}, now); r != nil {
			return r
		}
		return new(record)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r := read(doc)
		doc, err := r.encode()
		ok(t, err)
		again := read(doc)
		twice, err := again.encode()
		if err != nil || !bytes.Equal(doc, twice) {
			t.Errorf("written: %s\nread and written: %s, %v", doc, twice, err)
		}
		sum := new(record)
		sum.addLast(r)
		sum.merge(r)
	})
}

func TestStoredUsageReadsBack(t *testing.T) {
	t.Parallel()
	now := noon(2026, 6, 1)
	l := &Ledger{Log: slog.New(slog.DiscardHandler)}
	r := &record{Years: map[idp.Year]*Tally{"2026": {
		FirstAt: 1, LastAt: 2, IsSigned: true, Cert: "b", Certs: map[string]int64{"a": 5, "b": 6}, UnsignedAt: 7,
		Relay: Relay{Bytes: 100, At: 9, LastAt: 10}, Clock: Delay{Day: 20_000, Millis: -45_000},
		Days: Days{LastDay: 20_000, Counts: [KeepDays]int{1, 0, 3}},
	}}, Loads: []Loads{{"2026", spA, "192.0.2.1", "curl", now, 3}}}
	doc, err := r.encode()
	ok(t, err)
	again := l.parse(&idp.Document{Key: "a", Data: doc}, now)
	if diff := cmp.Diff(r, again); again == nil || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range doc {
		if l.parse(&idp.Document{Key: "a", Data: doc[:n]}, now) != nil {
			t.Errorf("cut after %d bytes it is read", n)
		}
	}
}

// TestNotedUsesAreBounded checks that clients cannot fill the memory between two flushes, or
// while the store cannot be written. The oldest loads are dropped.
func TestNotedUsesAreBounded(t *testing.T) {
	t.Parallel()
	at := noon(2026, 6, 1)
	var first, later notes
	flood := func(n *notes, name string) {
		for i := range 5 * maxPendingLoads {
			at = at.Add(time.Millisecond)
			n.addLoads(Loads{IPAddress: "192.0.2.1", UserAgent: fmt.Sprint(name, i), LastAt: at, Count: 1})
		}
	}
	flood(&first, "a")
	flood(&later, "b")
	first.merge(later)
	if len(first.loads) > 2*maxPendingLoads {
		t.Errorf("%d clients", len(first.loads))
	}
	if last := sumLoads(first.loads)[0].UserAgent; last != fmt.Sprint("b", 5*maxPendingLoads-1) {
		t.Errorf("the last one that is kept is %s", last)
	}
}
