package storetest

import (
	"errors"
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
			single, err := s.Session(ctx, x.ID)
			checkSame(t, single, x, err)
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
// keeps sessions in use.
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
	busySession := newSession("busy", "u2")
	busySession.IdleTimeout = 15 * time.Minute
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: busySession}))
	for at := time.Duration(0); at < 12*time.Hour; at += 14 * time.Minute {
		touch("busy", at)
		sweep(at, 0)
	}
	sweep(12*time.Hour, 2) // no-idle too
}

// testEndSessionsWithChange checks that the change of a user and the end of the sessions are one step:
// either both happen, or neither does.
func testEndSessionsWithChange(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("u1", "a@x.gov")
	requireNoError(t, addUser(ctx, s, u))
	for _, id := range []string{"a", "b"} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(id, "u1")}))
	}
	check := func(hash string, sessions int) {
		t.Helper()
		stored, err := s.User(ctx, "u1")
		requireNoError(t, err)
		left, err := s.Sessions(ctx, idp.SessionQuery{User: "u1"})
		requireNoError(t, err)
		checkSame(t, hash, stored.PasswordHash, nil)
		checkSame(t, sessions, len(left), nil)
	}
	setHash := func(u *idp.User) error { u.PasswordHash = "new"; return nil }
	before := u.PasswordHash
	errRefused := errors.New("refused")
	_, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1", Change: func(u *idp.User) error { return errors.Join(setHash(u), errRefused) }}, newEvent("no"))
	checkError(t, err, errRefused)
	_, err = s.EndSessions(ctx, idp.SessionEnd{User: "u1", KeptID: "gone", Change: setHash}, newEvent("no"))
	checkError(t, err, idp.ErrSessionEnded)
	_, err = s.EndSessions(ctx, idp.SessionEnd{User: "nobody", Change: setHash}, newEvent("no"))
	checkError(t, err, idp.ErrNotFound)
	_, err = s.EndSessions(ctx, idp.SessionEnd{User: "u1", Change: func(u *idp.User) error { u.ID = "u2"; return nil }}, newEvent("no"))
	if err == nil {
		t.Error("a change of the ID was accepted")
	}
	check(before, 2)
	n, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1", KeptID: "a", Change: setHash}, newEvent("change"))
	checkSame(t, 1, n, err)
	check("new", 1)
	n, err = s.EndSessions(ctx, idp.SessionEnd{User: "u1", Change: setHash}, newEvent("again"))
	checkSame(t, 1, n, err)
	check("new", 0)
	checkKinds(t, s, 0, "change", "again")
}
