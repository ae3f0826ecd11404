package storetest

import (
	"strings"
	"testing"
	"time"

	"vernal/idp"
)

func testSweep(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for n := range 10 {
		end := startTime.Add(time.Duration(n) * time.Minute)
		x := newSession(numberedName("s", n), "u1")
		x.ExpiresAt = end
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
		r := newRequest(numberedName("h", n), "https://sp.example", numberedName("m", n))
		r.ExpiresAt = end
		requireNoError(t, s.CreateLoginRequest(ctx, r))
		requireNoError(t, s.UpdateDocuments(ctx, "k", []string{numberedName("k", n)}, func(d *idp.Document) error {
			d.Data, d.ExpiresAt = []byte("x"), end
			return nil
		}))
	}
	i := newIssuance("s0009", "u1", "live") // expires at start + 1 h
	_, err := s.RecordIssuance(ctx, i)
	requireNoError(t, err)

	sweep := func(now time.Time, limit, want int) {
		t.Helper()
		n, err := s.Sweep(ctx, now, limit)
		checkSame(t, want, n, err)
	}
	sweep(startTime.Add(-1), 100, 0)
	sweep(startTime, 0, 0)
	sweep(startTime, 100, 3) // a record expires at its ExpiresAt
	sweep(startTime.Add(5*time.Minute-1), 5, 5)
	sweep(startTime.Add(5*time.Minute-1), 100, 7)
	sweep(startTime.Add(5*time.Minute-1), 100, 0)

	for n := range 10 {
		want := error(nil)
		if n < 5 {
			want = idp.ErrNotFound
		}
		_, err := s.Session(ctx, idp.SessionID(numberedName("s", n)))
		checkError(t, err, want)
		_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: idp.RequestHandle(numberedName("h", n))})
		checkError(t, err, want)
		_, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: numberedName("m", n)})
		checkError(t, err, want)
		_, err = LookupDocument(ctx, s, "k", numberedName("k", n))
		checkError(t, err, want)
	}
	sessions, err := s.Sessions(ctx, idp.SessionQuery{User: "u1"})
	checkSame(t, 5, len(sessions), err)

	// A swept request is forgotten, so its ID can be used again.
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("again", "https://sp.example", "m0000")))
	sweep(startTime.Add(24*time.Hour), 1000, 17)
	sweep(startTime.Add(24*time.Hour), 1000, 0)
	_, err = s.NameID(ctx, "agency:A", "u1")
	requireNoError(t, err)
}

// testSweepFollows changes the end of records and removes some. The sweep must use the current end.
func testSweepFollows(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for _, id := range []string{"later", "sooner", "ended", "replaced"} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(id, "u1")}))
	}
	end := func(id idp.SessionID, at time.Time) {
		t.Helper()
		requireNoError(t, s.UpdateSession(ctx, id, func(x *idp.Session) error { x.ExpiresAt = at; return nil }))
	}
	end("later", startTime.Add(48*time.Hour))
	end("sooner", startTime.Add(time.Hour))
	requireNoError(t, endSession(ctx, s, "ended"))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("new", "u1"), ReplacedIDs: []idp.SessionID{"replaced"}}))
	// An ID that ended may be used again with another end.
	repeated := newSession("ended", "u1")
	repeated.ExpiresAt = startTime.Add(72 * time.Hour)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: repeated}))
	i := newIssuance("sooner", "u1", "m") // does not change the session's end
	i.Request.ExpiresAt = startTime.Add(2 * time.Hour)
	_, err := s.RecordIssuance(ctx, i)
	requireNoError(t, err)

	sweep := func(after time.Duration, want int) {
		t.Helper()
		n, err := s.Sweep(ctx, startTime.Add(after), 100)
		checkSame(t, want, n, err)
	}
	sweep(time.Hour, 1) // sooner
	sweep(2*time.Hour, 1)
	sweep(12*time.Hour, 1) // new
	sweep(48*time.Hour, 1) // later
	sweep(71*time.Hour, 0)
	sweep(72*time.Hour, 1)
	for k, at := range []time.Time{{}, time.Unix(-1, 5).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		x := newSession(numberedName("edge", k), "u1")
		x.ExpiresAt = at
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: x}))
	}
	sweep(0, 2)
	n, err := s.Sweep(ctx, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), 100)
	checkSame(t, 1, n, err)
}

// testForeignStrings stores strings that anyone may send.
func testForeignStrings(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for k, text := range []string{"a\x00b", "\x00", "ü\u2028\u202e", strings.Repeat("x", 1024), "agency:A/", "..", "{\"a\":1}"} {
		user, sess := idp.UserID(text+"u"), idp.SessionID(text+"s")
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(string(sess), string(user))}))
		i := newIssuance(string(sess), string(user), text)
		i.Request.Handle, i.Request.SP, i.Scope = idp.RequestHandle(numberedName("h", k)), idp.EntityID(text), idp.NameIDScope(text)
		name, err := getNameID(s.RecordIssuance(ctx, i))
		checkSame(t, i.ProposedNameID, name, err)
		got, err := s.UserByNameID(ctx, i.Scope, name)
		checkSame(t, user, got, err)
		r, err := s.LoginRequest(ctx, idp.RequestKey{SP: i.Request.SP, MessageID: text})
		checkSame(t, i.Request.Handle, r.Handle, err)
		list, err := s.Sessions(ctx, idp.SessionQuery{User: user})
		checkSame(t, 1, len(list), err)
	}
	// A string that is far too long is an error and changes nothing.
	longText := strings.Repeat("x", 70000)
	if err := s.StartSession(ctx, idp.SessionStart{Session: newSession(longText, "u1")}, newEvent("x")); err == nil {
		t.Error("a session with an ID of 70,000 bytes was stored")
	}
	_, err := s.Session(ctx, idp.SessionID(longText))
	checkError(t, err, idp.ErrNotFound)
	_, err = s.NameID(ctx, idp.NameIDScope(longText), "u")
	checkError(t, err, idp.ErrNotFound)
	readTrail(t, s)
}

// testReopened closes a store that contains every kind of record, and opens it again.
func testReopened(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := open(t, dir)
	requireNoError(t, s.CreateProvider(ctx, newProvider("https://a.example"), "", newEvent("sp.add")))
	requireNoError(t, s.CreateProvider(ctx, newProvider("https://b.example"), ""))
	requireNoError(t, s.RemoveProvider(ctx, "https://b.example"))
	requireNoError(t, addUser(ctx, s, newUser("u1", "ann@example.org")))
	requireNoError(t, addUser(ctx, s, newUser("u2")))
	requireNoError(t, s.DeleteUser(ctx, "u2"))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h1", "https://a.example", "m1")))
	name, err := getNameID(s.RecordIssuance(ctx, newIssuance("s1", "u1", "m2")))
	requireNoError(t, err)
	requireNoError(t, s.UpdateDocuments(ctx, "k", []string{"d"}, func(d *idp.Document) error {
		d.Data, d.ExpiresAt = []byte("x"), startTime.Add(time.Hour)
		return nil
	}))
	requireNoError(t, s.UpdateDocuments(ctx, idp.RotationKind, []string{idp.RotationKey}, func(d *idp.Document) error { d.Data = []byte("{}"); return nil }, newEvent("rotation.create")))
	before := readTrail(t, s)
	requireNoError(t, s.Close())

	s = open(t, dir)
	defer closeStore(t, s)
	doc, err := LookupDocument(ctx, s, idp.RotationKind, idp.RotationKey)
	checkSame(t, "{}", string(doc), err)
	p, err := s.Provider(ctx, "https://a.example")
	checkSame(t, newProvider("https://a.example"), p, err)
	scope, err := readLastScope(ctx, s, "https://b.example")
	checkSame(t, "sp:https://b.example", scope, err)
	wantUser := newUser("u1", "ann@example.org")
	wantUser.Services = []idp.ConnectedService{{SP: "https://sp.example", FirstAt: startTime.Add(time.Minute), LastAt: startTime.Add(time.Minute)}}
	u, err := s.UserByEmail(ctx, "ANN@example.org")
	checkSame(t, wantUser, u, err)
	checkError(t, addUser(ctx, s, newUser("u2")), idp.ErrExists)
	x, err := s.Session(ctx, "s1")
	checkSame(t, 1, len(x.Participants), err)
	r, err := s.LoginRequest(ctx, idp.RequestKey{SP: "https://a.example", MessageID: "m1"})
	checkSame(t, newRequest("h1", "https://a.example", "m1"), r, err)
	checkError(t, s.CreateLoginRequest(ctx, newRequest("h9", "https://sp.example", "m2")), idp.ErrReplayed)
	_, err = s.RecordIssuance(ctx, newIssuance("s1", "u1", "m2"))
	checkError(t, err, idp.ErrAnswered)
	got, err := s.NameID(ctx, "agency:A", "u1")
	checkSame(t, name, got, err)
	docs, err := s.Documents(ctx, "k", idp.DocumentQuery{All: true})
	checkSame(t, []idp.Document{{Key: "d", Data: []byte("x"), ExpiresAt: startTime.Add(time.Hour)}}, docs, err)
	checkSame(t, before, readTrail(t, s), nil)
	requireNoError(t, s.AppendAudit(ctx, newEvent("later")))
	checkKinds(t, s, len(before), "later")
	n, err := s.Sweep(ctx, startTime.Add(100*time.Hour), 100)
	checkSame(t, 4, n, err)
}
