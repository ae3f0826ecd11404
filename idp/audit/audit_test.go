package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/audit"
)

var start = time.Date(2031, 4, 1, 9, 0, 0, 123456789, time.UTC)

// trail makes n chained records and reads them back from JSON, as every
// reader of a trail gets them.
func trail(t *testing.T, n int) []idp.AuditRecord {
	t.Helper()
	var prev idp.AuditRecord
	var out []idp.AuditRecord
	for i := range n {
		ev := idp.AuditEvent{Kind: "sign_in", Outcome: "ok", User: idp.UserID(fmt.Sprint("u", i)), SP: "https://sp.example/<&>"}
		if i%2 == 0 {
			ev.Detail = map[string]string{"b": "2", "a": "1"}
		}
		prev = link(prev, ev, start.Add(time.Duration(i)*time.Second))
		out = append(out, reread(t, prev))
	}
	return out
}

func reread(t *testing.T, rec idp.AuditRecord) idp.AuditRecord {
	t.Helper()
	body, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	var out idp.AuditRecord
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// link returns the record that follows prev.
func link(prev idp.AuditRecord, ev idp.AuditEvent, at time.Time) idp.AuditRecord {
	rec, _, _ := audit.Link(audit.Place{Seq: prev.Seq, Hash: prev.Hash}, ev, at)
	return rec
}

// verify verifies records against the chain, as they are stored.
func verify(t *testing.T, records ...idp.AuditRecord) (err error) {
	t.Helper()
	var place audit.Place
	for _, rec := range records {
		rec.IPAddress = ""
		body, jsonErr := json.Marshal(rec)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		if place, err = place.Next(idp.AuditLine{Place: rec.Seq, JSON: body}); err != nil {
			return err
		}
	}
	return nil
}

func TestVerifyFindsTamperedRecord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tamper func(r []idp.AuditRecord) []idp.AuditRecord
		bad    uint64 // 0: the trail is whole
	}{
		{"whole", func(r []idp.AuditRecord) []idp.AuditRecord { return r }, 0},
		{"empty", func(r []idp.AuditRecord) []idp.AuditRecord { return nil }, 0},
		{"event changed", func(r []idp.AuditRecord) []idp.AuditRecord { r[2].Outcome = "refused"; return r }, 3},
		{"detail changed", func(r []idp.AuditRecord) []idp.AuditRecord { r[2].Detail["a"] = "7"; return r }, 3},
		{"detail added", func(r []idp.AuditRecord) []idp.AuditRecord {
			r[1].Detail = map[string]string{"x": "y"}
			return r
		}, 2},
		{"time changed", func(r []idp.AuditRecord) []idp.AuditRecord { r[3].At = r[3].At.Add(1); return r }, 4},
		{"hash changed", func(r []idp.AuditRecord) []idp.AuditRecord { r[3].Hash = r[2].Hash; return r }, 4},
		{"hash upper case", func(r []idp.AuditRecord) []idp.AuditRecord {
			r[0].Hash = strings.ToUpper(r[0].Hash)
			return r
		}, 1},
		{"first removed", func(r []idp.AuditRecord) []idp.AuditRecord { return r[1:] }, 1},
		{"one removed", func(r []idp.AuditRecord) []idp.AuditRecord { return slices.Delete(r, 2, 3) }, 3},
		{"removed and renumbered", func(r []idp.AuditRecord) []idp.AuditRecord {
			r = slices.Delete(r, 2, 3)
			r[2].Seq = 3
			return r
		}, 3},
		{"two swapped", func(r []idp.AuditRecord) []idp.AuditRecord { r[1], r[2] = r[2], r[1]; return r }, 2},
		{"one twice", func(r []idp.AuditRecord) []idp.AuditRecord { return slices.Insert(r, 2, r[1]) }, 3},
		{"changed and hashed again", func(r []idp.AuditRecord) []idp.AuditRecord {
			ev := r[2].AuditEvent
			ev.User = "someone-else"
			r[2] = link(r[1], ev, r[2].At)
			return r
		}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := verify(t, tt.tamper(trail(t, 6))...)
			if tt.bad == 0 {
				if err != nil {
					t.Fatalf("Verify = %v, want nil", err)
				}
				return
			}
			var broken *audit.BrokenError
			if !errors.As(err, &broken) || broken.Seq != tt.bad {
				t.Fatalf("Verify = %v, want a break at record %d", err, tt.bad)
			}
		})
	}
}

// TestLinkJSON holds the promise that Link's bytes are the record's JSON.
func TestLinkJSON(t *testing.T) {
	t.Parallel()
	rec, body, _ := audit.Link(audit.Place{}, idp.AuditEvent{Kind: "sp.add", Outcome: "ok", Actor: "cli:uid=0(\"root\")", Detail: map[string]string{"k": "v"}}, start)
	want, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)); diff != "" {
		t.Errorf("JSON of the record (-want +got):\n%s", diff)
	}
	if rec.Seq != 1 || rec.Prev != strings.Repeat("0", 64) {
		t.Errorf("first record has Seq %d and Prev %q", rec.Seq, rec.Prev)
	}
}

// TestLinkKeepsTheAddressApart checks that the permanent record does not contain the IP
// address, and that the record verifies with the address and without it.
func TestLinkKeepsTheAddressApart(t *testing.T) {
	t.Parallel()
	rec, body, kept := audit.Link(audit.Place{}, idp.AuditEvent{Kind: "authn", Outcome: "ok", IPAddress: "192.0.2.77"}, start)
	if strings.Contains(string(body), "192.0.2.77") || !strings.Contains(string(kept), "192.0.2.77") || rec.IPAddress == "" {
		t.Errorf("stored %s and, beside it, %q", body, kept)
	}
	for _, address := range []string{rec.IPAddress, ""} {
		rec.IPAddress = address
		if err := verify(t, rec); err != nil {
			t.Errorf("with the address %q: %v", address, err)
		}
	}
}

// TestChainSurvivesJSON feeds what JSON cannot carry unchanged: a record must
// hash the same after it was stored and read.
func TestChainSurvivesJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ev   idp.AuditEvent
		at   time.Time
	}{
		{"not UTF-8", idp.AuditEvent{Kind: "k", SP: "https://sp/\xff", User: "\xfe", Detail: map[string]string{"a\xc0": "\xff"}}, start},
		{"line separator", idp.AuditEvent{Kind: "\u2028", Actor: "a\x00b"}, start},
		{"empty detail", idp.AuditEvent{Kind: "k", Detail: map[string]string{}}, start},
		{"another zone", idp.AuditEvent{Kind: "k"}, start.In(time.FixedZone("x", 5*3600+17))},
		{"monotonic clock", idp.AuditEvent{Kind: "k"}, time.Now()},
		{"year 10000", idp.AuditEvent{Kind: "k"}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"zero time", idp.AuditEvent{Kind: "k"}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := link(idp.AuditRecord{}, tt.ev, tt.at)
			if err := verify(t, rec); err != nil {
				t.Errorf("as made: %v", err)
			}
			if err := verify(t, reread(t, rec)); err != nil {
				t.Errorf("after JSON: %v", err)
			}
			if rec.At.Location() != time.UTC {
				t.Errorf("At is in %v, want UTC", rec.At.Location())
			}
		})
	}
}

func TestLinkLeavesDetailAlone(t *testing.T) {
	t.Parallel()
	detail := map[string]string{"a": "\xff"}
	link(idp.AuditRecord{}, idp.AuditEvent{Kind: "k", Detail: detail}, start)
	if detail["a"] != "\xff" {
		t.Error("Link changed the caller's Detail")
	}
}

func BenchmarkLink(b *testing.B) {
	ev := idp.AuditEvent{Kind: "sign_in", Outcome: "ok", User: "0b9e7d6c-7a5e-4a55-8f6b-1f2e3d4c5b6a", SP: "https://sp.example/metadata",
		Year: "2027", RequestID: "01J9ZB4QK8", IPAddress: "203.0.113.7", Detail: map[string]string{"aal": "2"}}
	b.ReportAllocs()
	for b.Loop() {
		audit.Link(audit.Place{Seq: 7, Hash: audit.FirstPrev}, ev, start)
	}
}
