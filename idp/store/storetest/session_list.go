package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func testSessionList(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for _, id := range []string{"d", "a", "c", "b", "bb"} {
		x := newSession(id, "u"+id)
		x.Pending = id == "c"
		x.IdleTimeout, x.Device = time.Minute, idp.Device{Browser: "Firefox", System: "Linux", Network: "203.0.113.0/24"}
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	list := func(after idp.SessionID, limit int, want ...idp.SessionID) {
		t.Helper()
		sessions, err := s.Sessions(ctx, idp.SessionQuery{After: after, Limit: limit})
		requireNoError(t, err)
		got := []idp.SessionID{}
		for _, x := range sessions {
			got = append(got, x.ID)
			one, err := s.Session(ctx, x.ID)
			checkSame(t, one, x, err)
		}
		if diff := cmp.Diff(append([]idp.SessionID{}, want...), got); diff != "" {
			t.Errorf("Sessions(%q, %d) (-want +got):\n%s", after, limit, diff)
		}
	}
	list("", 100, "a", "b", "bb", "c", "d")
	list("", 2, "a", "b")
	list("b", 2, "bb", "c")
	list("bz", 2, "c", "d") // the ID need not exist
	list("c", 1, "d")
	list("d", 5)
	list("", 0)
}

func testEndSessions(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c", "d"} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(id, "u1")}))
	}
	n, err := s.EndSessions(ctx, idp.SessionEnd{IDs: []idp.SessionID{"b", "gone", "d", "b"}}, newEvent("one"), newEvent("two"))
	checkSame(t, 2, n, err)
	left, err := s.Sessions(ctx, idp.SessionQuery{User: "u1"})
	checkSame(t, 2, len(left), err)
	for _, id := range []idp.SessionID{"b", "d"} {
		_, err := s.Session(ctx, id)
		checkError(t, err, idp.ErrNotFound)
	}
	n, err = s.EndSessions(ctx, idp.SessionEnd{})
	checkSame(t, 0, n, err)
	checkKinds(t, s, 0, "one", "two")
}

// testSweepIdle leaves sessions unused: the sweep removes them before their absolute end, and
// keeps those in use.
func testSweepIdle(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for _, id := range []string{"unused", "touched", "issued", "ended", "short"} {
		x := newSession(id, "u1")
		x.IdleTimeout = 15 * time.Minute
		if id == "short" {
			x.ExpiresAt = startTime.Add(10 * time.Minute)
		}
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("no-idle", "u1")}))
	touch := func(id idp.SessionID, at time.Duration) {
		t.Helper()
		requireNoError(t, s.UpdateSession(ctx, id, func(x *idp.Session) error { x.SeenAt = startTime.Add(at); return nil }))
	}
	sweep := func(after time.Duration, want int) {
		t.Helper()
		n, err := s.Sweep(ctx, startTime.Add(after), 100)
		checkSame(t, want, n, err)
	}
	touch("touched", 14*time.Minute)
	requireNoError(t, endSession(ctx, s, "ended"))
	i := newIssuance("issued", "u1", "m")
	i.At, i.Request.ExpiresAt = startTime.Add(16*time.Minute), startTime.Add(100*time.Hour)
	_, err := s.RecordIssuance(ctx, i)
	requireNoError(t, err)

	sweep(10*time.Minute-1, 0)
	sweep(10*time.Minute, 1) // short
	sweep(15*time.Minute-1, 0)
	sweep(15*time.Minute, 1) // unused
	// Used until minute 14, so it ended at 29. The sweep comes at 30.
	sweep(29*time.Minute-1, 0)
	sweep(30*time.Minute, 1)
	sweep(31*time.Minute-1, 0) // issued is in use until minute 31
	sweep(46*time.Minute, 1)
	_, err = s.Session(ctx, "no-idle")
	requireNoError(t, err)

	// A session that is always in use stays until its absolute end.
	busy := newSession("busy", "u2")
	busy.IdleTimeout = 15 * time.Minute
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: busy}))
	for at := time.Duration(0); at < 12*time.Hour; at += 14 * time.Minute {
		touch("busy", at)
		sweep(at, 0)
	}
	sweep(12*time.Hour, 2) // no-idle too
}
