package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func testSessions(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	made := newSession("s1", "u1")
	made.Participants = []idp.Participant{newParticipant("a", "n", "i1")}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: made, ReplacedIDs: []idp.SessionID{"gone"}}, newEvent("session.begin")))
	got, err := s.Session(ctx, "s1")
	checkSame(t, made, got, err)
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u2")}, newEvent("x")), idp.ErrExists)
	_, err = s.Session(ctx, "s2")
	checkError(t, err, idp.ErrNotFound)

	// The store does not enforce lifetimes: an ended session is stored until the sweep.
	old := newSession("s0", "u1")
	old.ExpiresAt = time.Time{}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	got, err = s.Session(ctx, "s0")
	checkSame(t, old, got, err)

	requireNoError(t, s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.SeenAt = startTime.Add(time.Hour); return nil }, newEvent("session.seen")))
	made.SeenAt = startTime.Add(time.Hour)
	got, err = s.Session(ctx, "s1")
	checkSame(t, made, got, err)
	checkError(t, s.UpdateSession(ctx, "s2", func(*idp.Session) error { return nil }, newEvent("x")), idp.ErrNotFound)
	for _, change := range []func(*idp.Session) error{
		func(x *idp.Session) error { x.User = "u2"; return nil },
		func(x *idp.Session) error { x.ID = "s9"; return nil },
	} {
		if s.UpdateSession(ctx, "s1", change, newEvent("x")) == nil {
			t.Error("an update changed ID or User")
		}
	}
	cause := errors.New("no")
	checkError(t, s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.Factors = nil; return cause }, newEvent("x")), cause)
	got, err = s.Session(ctx, "s1")
	checkSame(t, made, got, err)

	requireNoError(t, endSession(ctx, s, "s1", newEvent("session.end")))
	_, err = s.Session(ctx, "s1")
	checkError(t, err, idp.ErrNotFound)
	requireNoError(t, endSession(ctx, s, "s1", newEvent("session.end")))
	checkKinds(t, s, 0, "session.begin", "session.seen", "session.end", "session.end")
}

func testSessionReplaced(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	first, second, other := newSession("s1", "u1"), newSession("s2", "u1"), newSession("s3", "u2")
	first.Participants = []idp.Participant{newParticipant("a", "n", "i1", "i2"), newParticipant("b", "n", "j1")}
	second.Participants = []idp.Participant{newParticipant("a", "n", "i2", "i3")}
	other.Participants = []idp.Participant{newParticipant("c", "n", "k1")}
	for _, x := range []*idp.Session{first, second, other} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	made := newSession("s4", "u1")
	made.Participants = []idp.Participant{newParticipant("d", "n", "l1"), newParticipant("b", "n2", "j2")}
	given := *made
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: made, ReplacedIDs: []idp.SessionID{"s1", "s2", "s1", "s3", "gone"}}))
	if diff := cmp.Diff(&given, made); diff != "" {
		t.Errorf("the caller's session was changed:\n%s", diff)
	}

	want := newSession("s4", "u1")
	want.Participants = []idp.Participant{
		newParticipant("a", "n", "i1", "i2", "i3"), newParticipant("b", "n", "j1"),
		newParticipant("d", "n", "l1"), newParticipant("b", "n2", "j2"),
	}
	got, err := s.Session(ctx, "s4")
	checkSame(t, want, got, err)
	for _, id := range []idp.SessionID{"s1", "s2", "s3"} {
		_, err := s.Session(ctx, id)
		checkError(t, err, idp.ErrNotFound)
	}
	// A failure ends nothing.
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s5", "u1")}))
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s5", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}), idp.ErrExists)
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s4", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}), idp.ErrExists)
	_, err = s.Session(ctx, "s4")
	requireNoError(t, err)
}

// testSessionIndexStays checks that a service provider has one SessionIndex in a session,
// regardless of the number of answers and the changes of the session, and that none is ever
// dropped.
func testSessionIndexStays(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	issue := func(sess, sp, message, want string) {
		t.Helper()
		i := newIssuance(sess, "u1", message)
		i.Request.SP = idp.EntityID(sp)
		got, err := s.RecordIssuance(ctx, i)
		checkSame(t, idp.IssuedIDs{NameID: "name-u1", SessionIndex: want}, got, err)
	}
	indexes := func(id idp.SessionID, sp string, want ...string) {
		t.Helper()
		got, err := s.Session(ctx, id)
		requireNoError(t, err)
		for _, p := range got.Participants {
			if p.SP == idp.EntityID(sp) {
				checkSame(t, want, p.SessionIndexes, nil)
				return
			}
		}
		t.Errorf("%s takes no part in %s", sp, id)
	}
	const a, b = "https://a.example", "https://b.example"
	for n := range 25 {
		issue("s1", a, numberedName("m", n), "index-m0000")
	}
	issue("s1", b, "b1", "index-b1")
	issue("s1", a, "m-last", "index-m0000")
	indexes("s1", a, "index-m0000")

	// A step-up, and a sign-in in its place.
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "u1"), PreviousID: "s1"}))
	issue("s2", a, "stepped-up", "index-m0000")
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s3", "u1"), ReplacedIDs: []idp.SessionID{"s2"}}))
	issue("s3", b, "signed-in", "index-b1")

	// A session that has several keeps all of them, and the latest counts.
	old := newSession("s4", "u1")
	var many []string
	for n := range 40 {
		many = append(many, numberedName("old", n))
	}
	old.Participants = []idp.Participant{newParticipant(a, "name-u1", many...)}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	issue("s4", a, "old", "old0039")
	requireNoError(t, s.UpdateSession(ctx, "s4", func(x *idp.Session) error { x.SeenAt = startTime; return nil }))
	indexes("s4", a, many...)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s5", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}))
	indexes("s5", a, many...)
}

// testSessionIndexMoved checks that a service provider whose scope changed during the
// session keeps its SessionIndex there, under either NameID. Of several, the latest counts.
func testSessionIndexMoved(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	const sp = "https://sp.example"
	sess := newSession("s1", "u1")
	older, newer := newParticipant(sp, "n1", "i1"), newParticipant(sp, "n2", "i2")
	newer.At = startTime.Add(time.Minute)
	sess.Participants = []idp.Participant{newer, older}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: sess}))
	i := newIssuance("s1", "u1", "m1")
	i.At = startTime.Add(2 * time.Minute)
	got, err := s.RecordIssuance(ctx, i)
	checkSame(t, idp.IssuedIDs{NameID: "name-u1", SessionIndex: "i2"}, got, err)
	stored, err := s.Session(ctx, "s1")
	requireNoError(t, err)
	checkSame(t, 3, len(stored.Participants), nil)
	checkSame(t, []string{"i2"}, stored.Participants[2].SessionIndexes, nil)
	checkSame(t, true, stored.IsDisclosedTo(sp, []string{"i1"}), nil)
}

func testUserSessions(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for n, id := range []string{"z", "b", "y", "a"} {
		x := newSession(id, "u1")
		x.CreatedAt = startTime.Add(time.Duration(n) * time.Minute)
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("other", "u11")}))
	requireNoError(t, endSession(ctx, s, "y"))
	list := func(user idp.UserID, want ...idp.SessionID) {
		t.Helper()
		sessions, err := s.Sessions(ctx, idp.SessionQuery{User: user})
		requireNoError(t, err)
		got := []idp.SessionID{}
		for _, x := range sessions {
			got = append(got, x.ID)
		}
		if diff := cmp.Diff(append([]idp.SessionID{}, want...), got); diff != "" {
			t.Errorf("sessions of %q (-want +got):\n%s", user, diff)
		}
	}
	list("u1", "z", "b", "a")
	list("u11", "other")
	list("u2")

	on := func(x *idp.Session) idp.AuditEvent { return newEvent("end " + string(x.ID)) }
	for _, keep := range []idp.SessionID{"gone", "other"} {
		_, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1", KeptID: keep, Event: on})
		checkError(t, err, idp.ErrSessionEnded)
	}
	list("u1", "z", "b", "a")
	n, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1", KeptID: "b", Event: on})
	checkSame(t, 2, n, err)
	list("u1", "b")
	list("u11", "other")
	n, err = s.EndSessions(ctx, idp.SessionEnd{User: "u1"})
	checkSame(t, 1, n, err)
	n, err = s.EndSessions(ctx, idp.SessionEnd{User: "u1", Event: on})
	checkSame(t, 0, n, err)
	list("u1")
	checkKinds(t, s, 0, "end z", "end a")
}

func testCompleteSession(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	begun := newSession("begun", "u1")
	begun.Pending = true
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: begun}))
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("other", "u2"), PendingID: "begun"}, newEvent("x")), idp.ErrSessionUser)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("before", "u1")}))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("done", "u1"), PendingID: "begun", ReplacedIDs: []idp.SessionID{"before"}}, newEvent("authn")))
	for _, gone := range []idp.SessionID{"begun", "before"} {
		_, err := s.Session(ctx, gone)
		checkError(t, err, idp.ErrNotFound)
	}
	_, err := s.Session(ctx, "done")
	requireNoError(t, err)

	// A sign-in whose beginning was ended leads to no page, and nothing changes.
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("late", "u1"), PendingID: "begun", ReplacedIDs: []idp.SessionID{"done"}}, newEvent("x")), idp.ErrSessionEnded)
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("late", "u1"), PendingID: "done"}, newEvent("x")), idp.ErrSessionEnded) // not pending
	_, err = s.Session(ctx, "late")
	checkError(t, err, idp.ErrNotFound)
	_, err = s.Session(ctx, "done")
	requireNoError(t, err)
}

func testReplaceSession(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	old := newSession("old", "u1")
	old.Participants = []idp.Participant{{SP: "https://a.example", NameID: "n", SessionIndexes: []string{"_1"}}}
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("other", "u2"), PreviousID: "old"}, newEvent("x")), idp.ErrSessionUser)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("new", "u1"), PreviousID: "old"}, newEvent("step_up")))
	_, err := s.Session(ctx, "old")
	checkError(t, err, idp.ErrNotFound)
	got, err := s.Session(ctx, "new")
	requireNoError(t, err)
	if len(got.Participants) != 1 || got.Participants[0].SessionIndexes[0] != "_1" {
		t.Errorf("participants %v are not those before", got.Participants)
	}

	// Its beginning stays over several step-ups. A sign-in in its place begins again.
	later := newSession("later", "u1")
	later.CreatedAt = startTime.Add(time.Hour)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: later, PreviousID: "new"}))
	latest := newSession("latest", "u1")
	latest.CreatedAt = startTime.Add(2 * time.Hour)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: latest, PreviousID: "later"}))
	got, err = s.Session(ctx, "latest")
	requireNoError(t, err)
	checkSame(t, startTime, got.SignedInAt(), nil)
	checkSame(t, latest.CreatedAt, got.CreatedAt, nil)
	fresh := newSession("fresh", "u1")
	fresh.CreatedAt = startTime.Add(3 * time.Hour)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: fresh, ReplacedIDs: []idp.SessionID{"latest"}}))
	got, err = s.Session(ctx, "fresh")
	requireNoError(t, err)
	checkSame(t, fresh.CreatedAt, got.SignedInAt(), nil)

	// A session that was ended, or is only begun, cannot be continued.
	begun := newSession("begun", "u1")
	begun.Pending = true
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: begun}))
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("late", "u1"), PreviousID: "old"}, newEvent("x")), idp.ErrSessionEnded)
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("late", "u1"), PreviousID: "begun"}, newEvent("x")), idp.ErrSessionEnded)
	_, err = s.Session(ctx, "late")
	checkError(t, err, idp.ErrNotFound)
	checkKinds(t, s, 0, "step_up")
}
