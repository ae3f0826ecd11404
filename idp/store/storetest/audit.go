package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/audit"
)

// testAuditStored checks the stored records against the chain: byte by byte, with the end of
// the trail, and without IP addresses in it.
func testAuditStored(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	page := readAuditPage(t, s, 0)
	if !page.IsHeadAuthentic || page.Head.Seq != 0 || page.Head.Hash != audit.FirstPrev || page.RecordCount != 0 || page.Checkpoint != nil {
		t.Errorf("an empty trail: %+v", page)
	}
	ev := newEvent("a")
	ev.IPAddress = "2001:db8::7"
	requireNoError(t, s.AppendAudit(ctx, ev, newEvent("b")))
	requireNoError(t, s.AppendAudit(ctx, ev))
	page = readAuditPage(t, s, 3)
	var place audit.Place
	for _, line := range page.Lines {
		next, err := place.Next(line)
		requireNoError(t, err)
		place = next
	}
	if !page.IsHeadAuthentic || page.HasStrayIPAddress || page.RecordCount != 3 || (audit.Place{Seq: page.Head.Seq, Hash: page.Head.Hash}) != place || page.Head.MAC == "" {
		t.Errorf("page %+v; want the head at %+v", page, place)
	}
	if page.Lines[0].IPAddress == nil || page.Lines[1].IPAddress != nil {
		t.Error("IP addresses are not stored beside the records of their events")
	}
	// The sweep removes IP addresses after their lifetime, and the records stay.
	_, err := s.Sweep(ctx, readTrail(t, s)[0].At.Add(idp.IPAddressLifetime-time.Second), 100)
	requireNoError(t, err)
	if records := readTrail(t, s); records[0].IPAddress != ev.IPAddress {
		t.Errorf("IP address %q before the end of its lifetime, want %q", records[0].IPAddress, ev.IPAddress)
	}
	at := readTrail(t, s)[0].At.Add(idp.IPAddressLifetime + time.Second)
	for _, want := range []int{1, 1, 0} {
		if n, err := s.Sweep(ctx, at, 1); n != want || err != nil {
			t.Errorf("Sweep = %d, %v; want %d", n, err, want)
		}
	}
	if records := readTrail(t, s); len(records) != 3 || records[0].IPAddress != "" || records[0].IPAddressSum == "" {
		t.Errorf("records after the sweep: %+v", records)
	}
}

func readAuditPage(t *testing.T, s idp.OwnedStore, want int) *idp.AuditPage {
	t.Helper()
	page, err := s.AuditPage(t.Context(), idp.AuditQuery{Limit: 100})
	requireNoError(t, err)
	if len(page.Lines) != want {
		t.Fatalf("%d records are stored, want %d", len(page.Lines), want)
	}
	return page
}

// testAuditPrune makes checkpoints and prunes in steps.
func testAuditPrune(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for range 5 {
		ev := newEvent("k")
		ev.IPAddress = "192.0.2.1"
		requireNoError(t, s.AppendAudit(ctx, ev))
	}
	records := readTrail(t, s)
	c := idp.AuditCheckpoint{Seq: 3, Hash: records[2].Hash, At: startTime, Issuer: "https://idp.example", Year: "2031", SHA256: "x", Signature: []byte("s"), MAC: "m"}
	checkRefused := func(want error, change func(*idp.AuditCheckpoint)) {
		t.Helper()
		changed := c
		change(&changed)
		n, err := s.PruneAudit(ctx, changed, 10, newEvent("x"))
		if n != 0 || err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("PruneAudit(%+v) = %d, %v; want %v", changed, n, err, want)
		}
	}
	checkRefused(nil, func(c *idp.AuditCheckpoint) { c.Hash = records[1].Hash }) // the hash of another record
	checkRefused(idp.ErrNotFound, func(c *idp.AuditCheckpoint) { c.Seq = 9 })
	prune := func(limit, want int, events ...idp.AuditEvent) {
		t.Helper()
		if n, err := s.PruneAudit(ctx, c, limit, events...); n != want || err != nil {
			t.Errorf("PruneAudit(%d) = %d, %v; want %d", limit, n, err, want)
		}
	}
	prune(0, 0, newEvent("audit.prune"))
	checkSame(t, &c, readAuditPage(t, s, 6).Checkpoint, nil)
	checkRefused(idp.ErrExists, func(c *idp.AuditCheckpoint) { c.Seq, c.Hash = 2, records[1].Hash }) // moves back
	checkRefused(idp.ErrExists, func(c *idp.AuditCheckpoint) { c.Signature = []byte("other") })

	prune(2, 2)
	checkSame(t, uint64(3), readAuditPage(t, s, 4).Lines[0].Place, nil)
	c.MAC = "renewed"
	prune(0, 0)
	checkSame(t, &c, readAuditPage(t, s, 4).Checkpoint, nil)
	prune(2, 1)
	prune(2, 0)
	page := readAuditPage(t, s, 3)
	if page.Lines[0].Place != 4 || page.HasStrayIPAddress || page.Head.Seq != 6 || page.RecordCount != 6 {
		t.Errorf("after pruning: %+v", page)
	}
	checkSame(t, records[3:], readTrail(t, s)[:2], nil)

	// The last record stays, even when an event comes after it.
	c.Seq, c.Hash = 6, readTrail(t, s)[2].Hash
	prune(10, 2, newEvent("audit.prune"))
	prune(10, 1)
	checkSame(t, uint64(7), readAuditPage(t, s, 1).Lines[0].Place, nil)
	c.Seq, c.Hash = 7, readTrail(t, s)[0].Hash
	prune(10, 0)
	requireNoError(t, s.AppendAudit(ctx, newEvent("later")))
}

// testAuditUser reads the records about one user, newest first.
func testAuditUser(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	// One ID is the beginning of another one, and one is the first and one the last of all.
	for _, user := range []idp.UserID{"u1", "u", "", "u1", "u10", "u1", "\x00", "\uffff", idp.UserID(strings.Repeat("u", 70_000))} {
		ev := newEvent("k")
		ev.User = user
		if user == "u1" {
			ev.IPAddress = "192.0.2.1"
		}
		requireNoError(t, s.AppendAudit(ctx, ev))
	}
	check := func(q idp.AuditQuery, want ...uint64) {
		t.Helper()
		page, err := s.AuditPage(ctx, q)
		requireNoError(t, err)
		got := []uint64{}
		for _, line := range page.Lines {
			got = append(got, line.Place)
			var rec idp.AuditRecord
			requireNoError(t, json.Unmarshal(line.JSON, &rec))
			if rec.Seq != line.Place || rec.User != q.User || (line.IPAddress != nil) != (q.User == "u1") {
				t.Errorf("AuditPage(%+v) contains %+v", q, rec)
			}
		}
		checkSame(t, append([]uint64{}, want...), got, nil)
		if !page.IsHeadAuthentic || page.Head.Seq < 9 || page.RecordCount != page.Head.Seq {
			t.Errorf("AuditPage(%+v) = %+v, want the state of the whole trail", q, page)
		}
	}
	check(idp.AuditQuery{User: "u1", Limit: 10}, 6, 4, 1)
	check(idp.AuditQuery{User: "u1", Limit: 10, After: 5}, 6, 4, 1)
	check(idp.AuditQuery{User: "u1", Limit: 2}, 6, 4)
	check(idp.AuditQuery{User: "u1", Limit: 2, Before: 4}, 1)
	check(idp.AuditQuery{User: "u1", Limit: 2, Before: 1})
	check(idp.AuditQuery{User: "u1", Limit: 2, Before: 1<<64 - 1}, 6, 4)
	check(idp.AuditQuery{User: "u1"})
	check(idp.AuditQuery{User: "u", Limit: 10}, 2)
	check(idp.AuditQuery{User: "u10", Limit: 10}, 5)
	check(idp.AuditQuery{User: "\x00", Limit: 10}, 7)
	check(idp.AuditQuery{User: "\uffff", Limit: 10}, 8)
	check(idp.AuditQuery{User: "none", Limit: 10})
	check(idp.AuditQuery{User: "\uffff\uffff", Limit: 10})

	// Records of other changes, of deleted users, and after pruning.
	requireNoError(t, addUser(ctx, s, newUser("u1", "a@example.org")))
	ev := newEvent("user.delete")
	ev.User, ev.IPAddress = "u1", "192.0.2.1"
	requireNoError(t, s.DeleteUser(ctx, "u1", ev))
	check(idp.AuditQuery{User: "u1", Limit: 10}, 10, 6, 4, 1)
	c := idp.AuditCheckpoint{Seq: 4, Hash: readTrail(t, s)[3].Hash, At: startTime, Issuer: "https://idp.example", Year: "2031", SHA256: "x", Signature: []byte("s"), MAC: "m"}
	_, err := s.PruneAudit(ctx, c, 100)
	requireNoError(t, err)
	check(idp.AuditQuery{User: "u1", Limit: 10}, 10, 6)
	check(idp.AuditQuery{User: "u", Limit: 10})
}
