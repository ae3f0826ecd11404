package bolt

import (
	"bytes"
	"testing"
	"time"

	"vernal/idp"
)

func TestKeysSortByTimeAndPairUnambiguously(t *testing.T) {
	t.Parallel()
	times := []time.Time{{}, time.Unix(-5, 0), time.Unix(-1, 999), time.Unix(0, 0), time.Unix(0, 1), time.Unix(1, 0),
		time.Date(2031, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	for k := 1; k < len(times); k++ {
		if bytes.Compare(appendTime(nil, times[k-1]), appendTime(nil, times[k])) >= 0 {
			t.Errorf("key of %v does not sort before that of %v", times[k-1], times[k])
		}
	}
	if bytes.Equal(pairKey("ab", "c"), pairKey("a", "bc")) {
		t.Error("two pairs have one key")
	}
	if !bytes.HasPrefix(pairKey("a", "b"), pairKey("a", "")) {
		t.Error("a pair is not under its first part")
	}
}

// TestExpiryIndexKeepsNoStaleEntry holds that no entry stays behind when a record goes or gets
// another end: the sweep would tolerate it, but has to walk over it.
func TestExpiryIndexKeepsNoStaleEntry(t *testing.T) {
	t.Parallel()
	s := openInside(t)
	ctx := t.Context()
	at := s.clock.Now()
	entries := func(want int) {
		t.Helper()
		got := 0
		err := s.view(ctx, func(r *reader) error {
			for range r.scan(inExpiry, nil) {
				got++
			}
			return nil
		})
		if err != nil || got != want {
			t.Errorf("%d entries, %v; want %d", got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keep := func(end time.Time) error {
		return s.UpdateDocuments(ctx, "k", []string{"d"}, func(d *idp.Document) error { d.Data, d.ExpiresAt = []byte("x"), end; return nil })
	}
	must(s.StartSession(ctx, idp.SessionStart{Session: &idp.Session{ID: "s1", User: "u", ExpiresAt: at}}))
	must(s.CreateLoginRequest(ctx, &idp.LoginRequest{Handle: "h", ExpiresAt: at}))
	must(keep(at))
	entries(3)
	must(s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.ExpiresAt = at.Add(1); return nil }))
	must(keep(at))
	must(keep(at.Add(time.Hour)))
	must(s.AnswerLoginRequest(ctx, &idp.LoginRequest{Handle: "h"}, at, nil))
	entries(3)
	must(s.StartSession(ctx, idp.SessionStart{Session: &idp.Session{ID: "s2", User: "u", ExpiresAt: at}, ReplacedIDs: []idp.SessionID{"s1"}}))
	entries(3)
	must(keep(time.Time{}))
	entries(2)
	must(EndSession(ctx, s, "s2"))
	entries(1)
	_, err := s.Sweep(ctx, at, 10)
	must(err)
	entries(0)

	// An entry that is not its record's goes without it.
	must(s.StartSession(ctx, idp.SessionStart{Session: &idp.Session{ID: "s3", User: "u", ExpiresAt: at.Add(1)}}))
	must(s.update(ctx, nil, func(w *writer) error {
		for _, k := range []kind{sessionKind, requestKind, documentKind} {
			w.put(inExpiry, expiryKey(at, k, []byte("s3")), nil)
		}
		return nil
	}))
	n, err := s.Sweep(ctx, at, 10)
	must(err)
	if n != 0 {
		t.Errorf("Sweep removed %d records before their end", n)
	}
	entries(1)
	_, err = s.Session(ctx, "s3")
	must(err)
}
