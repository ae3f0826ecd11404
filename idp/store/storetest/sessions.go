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
	made := session("s1", "u1")
	made.Participants = []idp.Participant{participant("a", "n", "i1")}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: made, ReplacedIDs: []idp.SessionID{"gone"}}, event("session.begin")))
	got, err := s.Session(ctx, "s1")
	checkSame(t, made, got, err)
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("s1", "u2")}, event("x")), idp.ErrExists)
	_, err = s.Session(ctx, "s2")
	is(t, err, idp.ErrNotFound)

	// The store does not enforce lifetimes: an ended session is stored until the sweep.
	old := session("s0", "u1")
	old.ExpiresAt = time.Time{}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	got, err = s.Session(ctx, "s0")
	checkSame(t, old, got, err)

	ok(t, s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.SeenAt = start.Add(time.Hour); return nil }, event("session.seen")))
	made.SeenAt = start.Add(time.Hour)
	got, err = s.Session(ctx, "s1")
	checkSame(t, made, got, err)
	is(t, s.UpdateSession(ctx, "s2", func(*idp.Session) error { return nil }, event("x")), idp.ErrNotFound)
	for _, change := range []func(*idp.Session) error{
		func(x *idp.Session) error { x.User = "u2"; return nil },
		func(x *idp.Session) error { x.ID = "s9"; return nil },
	} {
		if s.UpdateSession(ctx, "s1", change, event("x")) == nil {
			t.Error("an update changed ID or User")
		}
	}
	cause := errors.New("no")
	is(t, s.UpdateSession(ctx, "s1", func(x *idp.Session) error { x.Factors = nil; return cause }, event("x")), cause)
	got, err = s.Session(ctx, "s1")
	checkSame(t, made, got, err)

	ok(t, endSession(ctx, s, "s1", event("session.end")))
	_, err = s.Session(ctx, "s1")
	is(t, err, idp.ErrNotFound)
	ok(t, endSession(ctx, s, "s1", event("session.end")))
	kinds(t, s, 0, "session.begin", "session.seen", "session.end", "session.end")
}

func testSessionReplaced(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	first, second, other := session("s1", "u1"), session("s2", "u1"), session("s3", "u2")
	first.Participants = []idp.Participant{participant("a", "n", "i1", "i2"), participant("b", "n", "j1")}
	second.Participants = []idp.Participant{participant("a", "n", "i2", "i3")}
	other.Participants = []idp.Participant{participant("c", "n", "k1")}
	for _, x := range []*idp.Session{first, second, other} {
		ok(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	made := session("s4", "u1")
	made.Participants = []idp.Participant{participant("d", "n", "l1"), participant("b", "n2", "j2")}
	given := *made
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: made, ReplacedIDs: []idp.SessionID{"s1", "s2", "s1", "s3", "gone"}}))
	if diff := cmp.Diff(&given, made); diff != "" {
		t.Errorf("the caller's session was changed:\n%s", diff)
	}

	want := session("s4", "u1")
	want.Participants = []idp.Participant{
		participant("a", "n", "i1", "i2", "i3"), participant("b", "n", "j1"),
		participant("d", "n", "l1"), participant("b", "n2", "j2"),
	}
	got, err := s.Session(ctx, "s4")
	checkSame(t, want, got, err)
	for _, id := range []idp.SessionID{"s1", "s2", "s3"} {
		_, err := s.Session(ctx, id)
		is(t, err, idp.ErrNotFound)
	}
	// A failure ends nothing.
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s5", "u1")}))
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("s5", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}), idp.ErrExists)
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("s4", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}), idp.ErrExists)
	_, err = s.Session(ctx, "s4")
	ok(t, err)
}

// testSessionIndexStays checks that a service provider has one SessionIndex in a session,
// regardless of the number of answers and the changes of the session, and that none is ever
// dropped.
func testSessionIndexStays(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s1", "u1")}))
	issue := func(sess, sp, message, want string) {
		t.Helper()
		i := issuance(sess, "u1", message)
		i.Request.SP = idp.EntityID(sp)
		got, err := s.RecordIssuance(ctx, i)
		checkSame(t, idp.IssuedIDs{NameID: "name-u1", SessionIndex: want}, got, err)
	}
	indexes := func(id idp.SessionID, sp string, want ...string) {
		t.Helper()
		got, err := s.Session(ctx, id)
		ok(t, err)
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
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s2", "u1"), PreviousID: "s1"}))
	issue("s2", a, "stepped-up", "index-m0000")
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s3", "u1"), ReplacedIDs: []idp.SessionID{"s2"}}))
	issue("s3", b, "signed-in", "index-b1")

	// A session that has several keeps all of them, and the latest counts.
	old := session("s4", "u1")
	var many []string
	for n := range 40 {
		many = append(many, numberedName("old", n))
	}
	old.Participants = []idp.Participant{participant(a, "name-u1", many...)}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	issue("s4", a, "old", "old0039")
	ok(t, s.UpdateSession(ctx, "s4", func(x *idp.Session) error { x.SeenAt = start; return nil }))
	indexes("s4", a, many...)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s5", "u1"), ReplacedIDs: []idp.SessionID{"s4"}}))
	indexes("s5", a, many...)
}

// testSessionIndexMoved checks that a service provider whose scope changed during the
// session keeps its SessionIndex there, under either NameID. Of several, the latest counts.
func testSessionIndexMoved(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	const sp = "https://sp.example"
	sess := session("s1", "u1")
	older, newer := participant(sp, "n1", "i1"), participant(sp, "n2", "i2")
	newer.At = start.Add(time.Minute)
	sess.Participants = []idp.Participant{newer, older}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: sess}))
	i := issuance("s1", "u1", "m1")
	i.At = start.Add(2 * time.Minute)
	got, err := s.RecordIssuance(ctx, i)
	checkSame(t, idp.IssuedIDs{NameID: "name-u1", SessionIndex: "i2"}, got, err)
	stored, err := s.Session(ctx, "s1")
	ok(t, err)
	checkSame(t, 3, len(stored.Participants), nil)
	checkSame(t, []string{"i2"}, stored.Participants[2].SessionIndexes, nil)
	checkSame(t, true, stored.IsDisclosedTo(sp, []string{"i1"}), nil)
}

func testUserSessions(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for n, id := range []string{"z", "b", "y", "a"} {
		x := session(id, "u1")
		x.CreatedAt = start.Add(time.Duration(n) * time.Minute)
		ok(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("other", "u11")}))
	ok(t, endSession(ctx, s, "y"))
	list := func(user idp.UserID, want ...idp.SessionID) {
		t.Helper()
		sessions, err := s.Sessions(ctx, idp.SessionQuery{User: user})
		ok(t, err)
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

	on := func(x *idp.Session) idp.AuditEvent { return event("end " + string(x.ID)) }
	for _, keep := range []idp.SessionID{"gone", "other"} {
		_, err := s.EndSessions(ctx, idp.SessionEnd{User: "u1", KeptID: keep, Event: on})
		is(t, err, idp.ErrSessionEnded)
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
	kinds(t, s, 0, "end z", "end a")
}

func testCompleteSession(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	begun := session("begun", "u1")
	begun.Pending = true
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: begun}))
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("other", "u2"), PendingID: "begun"}, event("x")), idp.ErrSessionUser)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("before", "u1")}))
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("done", "u1"), PendingID: "begun", ReplacedIDs: []idp.SessionID{"before"}}, event("authn")))
	for _, gone := range []idp.SessionID{"begun", "before"} {
		_, err := s.Session(ctx, gone)
		is(t, err, idp.ErrNotFound)
	}
	_, err := s.Session(ctx, "done")
	ok(t, err)

	// A sign-in whose beginning was ended leads to no page, and nothing changes.
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("late", "u1"), PendingID: "begun", ReplacedIDs: []idp.SessionID{"done"}}, event("x")), idp.ErrSessionEnded)
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("late", "u1"), PendingID: "done"}, event("x")), idp.ErrSessionEnded) // not pending
	_, err = s.Session(ctx, "late")
	is(t, err, idp.ErrNotFound)
	_, err = s.Session(ctx, "done")
	ok(t, err)
}

func testReplaceSession(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	old := session("old", "u1")
	old.Participants = []idp.Participant{{SP: "https://a.example", NameID: "n", SessionIndexes: []string{"_1"}}}
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: old}))
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("other", "u2"), PreviousID: "old"}, event("x")), idp.ErrSessionUser)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("new", "u1"), PreviousID: "old"}, event("step_up")))
	_, err := s.Session(ctx, "old")
	is(t, err, idp.ErrNotFound)
	got, err := s.Session(ctx, "new")
	ok(t, err)
	if len(got.Participants) != 1 || got.Participants[0].SessionIndexes[0] != "_1" {
		t.Errorf("participants %v are not those before", got.Participants)
	}

	// Its beginning stays over several step-ups. A sign-in in its place begins again.
	later := session("later", "u1")
	later.CreatedAt = start.Add(time.Hour)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: later, PreviousID: "new"}))
	latest := session("latest", "u1")
	latest.CreatedAt = start.Add(2 * time.Hour)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: latest, PreviousID: "later"}))
	got, err = s.Session(ctx, "latest")
	ok(t, err)
	checkSame(t, start, got.SignedInAt(), nil)
	checkSame(t, latest.CreatedAt, got.CreatedAt, nil)
	fresh := session("fresh", "u1")
	fresh.CreatedAt = start.Add(3 * time.Hour)
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: fresh, ReplacedIDs: []idp.SessionID{"latest"}}))
	got, err = s.Session(ctx, "fresh")
	ok(t, err)
	checkSame(t, fresh.CreatedAt, got.SignedInAt(), nil)

	// A session that was ended, or is only begun, cannot be continued.
	begun := session("begun", "u1")
	begun.Pending = true
	ok(t, s.StartSession(ctx, idp.SessionStart{Session: begun}))
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("late", "u1"), PreviousID: "old"}, event("x")), idp.ErrSessionEnded)
	is(t, s.StartSession(ctx, idp.SessionStart{Session: session("late", "u1"), PreviousID: "begun"}, event("x")), idp.ErrSessionEnded)
	_, err = s.Session(ctx, "late")
	is(t, err, idp.ErrNotFound)
	kinds(t, s, 0, "step_up")
}
