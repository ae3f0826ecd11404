package storetest

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

// testAuditStored checks the stored records against the chain: byte by byte, with the end of
// the trail, and without IP addresses in it.
func testAuditStored(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	page := readStored(t, s, 0)
	if !page.Authentic || page.Head.Seq != 0 || page.Head.Hash != audit.FirstPrev || page.Counted != 0 || page.Checkpoint != nil {
		t.Errorf("an empty trail: %+v", page)
	}
	ev := event("a")
	ev.Address = "2001:db8::7"
	ok(t, s.AppendAudit(ctx, ev, event("b")))
	ok(t, s.AppendAudit(ctx, ev))
	page = readStored(t, s, 3)
	var place audit.Place
	for _, line := range page.Lines {
		next, err := place.Next(line)
		ok(t, err)
		place = next
	}
	if !page.Authentic || page.Stray || page.Counted != 3 || (audit.Place{Seq: page.Head.Seq, Hash: page.Head.Hash}) != place || page.Head.MAC == "" {
		t.Errorf("page %+v; want the head at %+v", page, place)
	}
	if page.Lines[0].Address == nil || page.Lines[1].Address != nil {
		t.Error("addresses are not beside the records that came from one")
	}
	// The sweep removes IP addresses after their lifetime, and the records stay.
	_, err := s.Sweep(ctx, trail(t, s)[0].At.Add(idp.AddressLifetime-time.Second), 100)
	ok(t, err)
	if records := trail(t, s); records[0].Address != ev.Address {
		t.Errorf("address %q before its time, want %q", records[0].Address, ev.Address)
	}
	at := trail(t, s)[0].At.Add(idp.AddressLifetime + time.Second)
	for _, want := range []int{1, 1, 0} {
		if n, err := s.Sweep(ctx, at, 1); n != want || err != nil {
			t.Errorf("Sweep = %d, %v; want %d", n, err, want)
		}
	}
	if records := trail(t, s); len(records) != 3 || records[0].Address != "" || records[0].AddressSum == "" {
		t.Errorf("records after the sweep: %+v", records)
	}
}

func readStored(t *testing.T, s idp.OwnedStore, want int) *idp.AuditPage {
	t.Helper()
	page, err := s.AuditPage(t.Context(), 0, 100)
	ok(t, err)
	if len(page.Lines) != want {
		t.Fatalf("%d records are stored, want %d", len(page.Lines), want)
	}
	return page
}

// testAuditPrune makes checkpoints and prunes in steps.
func testAuditPrune(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for range 5 {
		ev := event("k")
		ev.Address = "192.0.2.1"
		ok(t, s.AppendAudit(ctx, ev))
	}
	records := trail(t, s)
	c := idp.AuditCheckpoint{Seq: 3, Hash: records[2].Hash, At: start, Issuer: "https://idp.example", Year: "2031", SHA256: "x", Signature: []byte("s"), MAC: "m"}
	refused := func(want error, change func(*idp.AuditCheckpoint)) {
		t.Helper()
		wrong := c
		change(&wrong)
		n, err := s.PruneAudit(ctx, wrong, 10, event("x"))
		if n != 0 || err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("PruneAudit(%+v) = %d, %v; want %v", wrong, n, err, want)
		}
	}
	refused(nil, func(c *idp.AuditCheckpoint) { c.Hash = records[1].Hash }) // another record's hash
	refused(idp.ErrNotFound, func(c *idp.AuditCheckpoint) { c.Seq = 9 })
	prune := func(limit, want int, events ...idp.AuditEvent) {
		t.Helper()
		if n, err := s.PruneAudit(ctx, c, limit, events...); n != want || err != nil {
			t.Errorf("PruneAudit(%d) = %d, %v; want %d", limit, n, err, want)
		}
	}
	prune(0, 0, event("audit.prune"))
	checkSame(t, &c, readStored(t, s, 6).Checkpoint, nil)
	refused(idp.ErrExists, func(c *idp.AuditCheckpoint) { c.Seq, c.Hash = 2, records[1].Hash }) // moves back
	refused(idp.ErrExists, func(c *idp.AuditCheckpoint) { c.Signature = []byte("other") })

	prune(2, 2)
	checkSame(t, uint64(3), readStored(t, s, 4).Lines[0].Place, nil)
	c.MAC = "renewed"
	prune(0, 0)
	checkSame(t, &c, readStored(t, s, 4).Checkpoint, nil)
	prune(2, 1)
	prune(2, 0)
	page := readStored(t, s, 3)
	if page.Lines[0].Place != 4 || page.Stray || page.Head.Seq != 6 || page.Counted != 6 {
		t.Errorf("after pruning: %+v", page)
	}
	checkSame(t, records[3:], trail(t, s)[:2], nil)

	// The last record stays, even when an event comes after it.
	c.Seq, c.Hash = 6, trail(t, s)[2].Hash
	prune(10, 2, event("audit.prune"))
	prune(10, 1)
	checkSame(t, uint64(7), readStored(t, s, 1).Lines[0].Place, nil)
	c.Seq, c.Hash = 7, trail(t, s)[0].Hash
	prune(10, 0)
	ok(t, s.AppendAudit(ctx, event("later")))
}
