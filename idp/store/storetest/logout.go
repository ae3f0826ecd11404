package storetest

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
)

const logoutSP = "https://sp.example"

func newLogoutRequest(handle, message string) *idp.LogoutRequest {
	return &idp.LogoutRequest{
		Handle: idp.RequestHandle(handle), SecretHash: []byte{1, 2}, SP: logoutSP, MessageID: message, Year: "2031",
		RelayState: "r", HasRelay: true, User: "u1", SessionIndexes: []string{"a"}, CertSHA256: "c",
		ReceivedAt: startTime, ExpiresAt: startTime.Add(time.Hour),
	}
}

// newLogout delivers r, ends the given sessions, and answers with the status.
func newLogout(r *idp.LogoutRequest, status string, end ...idp.SessionID) *idp.Logout {
	return &idp.Logout{
		Request: r, At: startTime.Add(time.Minute),
		Decide: func(*idp.LogoutRequest, []*idp.Session) idp.LogoutDecision {
			return idp.LogoutDecision{Status: status, StatusDetail: "detail", SessionIDs: end}
		},
		Event: func(answered *idp.LogoutRequest) idp.AuditEvent { return newEvent("logout " + answered.Status) },
	}
}

// withAnswer returns a copy of r with an answer.
func withAnswer(r *idp.LogoutRequest, status string) *idp.LogoutRequest {
	x := *r
	x.AnsweredAt, x.Status, x.StatusDetail = startTime.Add(time.Minute), status, "detail"
	return &x
}

// testLogoutReceived checks that a message that waits for its browser is a single record,
// however often it arrives, and that it waits for the browser that brought it last.
func testLogoutReceived(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	r := newLogoutRequest("h1", "m1")
	given := *r
	first, err := s.ReceiveLogout(ctx, r)
	checkSame(t, &given, first, err)
	first.RelayState = "the caller's"
	got, err := s.LogoutRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, r, got, err)

	// The same message with other content, from another browser.
	again := newLogoutRequest("h2", "m1")
	again.SecretHash, again.RelayState, again.User, again.SessionIndexes = []byte{3}, "other", "u2", nil
	again.ReceivedAt, again.ExpiresAt = startTime.Add(time.Minute), startTime.Add(2*time.Hour)
	want := *r
	want.SecretHash = again.SecretHash
	got, err = s.ReceiveLogout(ctx, again)
	checkSame(t, &want, got, err)
	got, err = s.LogoutRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, &want, got, err)
	got, err = s.LogoutRequest(ctx, idp.RequestKey{SP: logoutSP, MessageID: "m1"})
	checkSame(t, &want, got, err)
	_, err = s.LogoutRequest(ctx, idp.RequestKey{Handle: "h2"})
	checkError(t, err, idp.ErrNotFound)

	// A handle belongs to one message, and a message ID to one SP. An AuthnRequest with the
	// same ID is unrelated.
	_, err = s.ReceiveLogout(ctx, newLogoutRequest("h1", "m2"))
	checkError(t, err, idp.ErrExists)
	_, err = s.RecordLogout(ctx, newLogout(newLogoutRequest("h1", "m2"), "x"))
	checkError(t, err, idp.ErrExists)
	_, err = s.LogoutRequest(ctx, idp.RequestKey{SP: logoutSP, MessageID: "m2"})
	checkError(t, err, idp.ErrNotFound)
	other := newLogoutRequest("h3", "m1")
	other.SP = "https://other.example"
	got, err = s.ReceiveLogout(ctx, other)
	checkSame(t, other, got, err)
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h1", logoutSP, "m1")))

	// Recording an answer changes neither the content of the request nor its service
	// provider.
	out, err := s.RecordLogout(ctx, newLogout(again, "ok"))
	requireNoError(t, err)
	checkSame(t, withAnswer(&want, "ok"), out.Request, nil)
	got, err = s.ReceiveLogout(ctx, r)
	checkSame(t, withAnswer(r, "ok"), got, err)
	checkKinds(t, s, 0, "logout ok")

	// Requests expire, and their IDs can then be used again.
	swept, err := s.Sweep(ctx, startTime.Add(time.Hour), 100)
	checkSame(t, 3, swept, err)
	_, err = s.LogoutRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkError(t, err, idp.ErrNotFound)
	got, err = s.ReceiveLogout(ctx, again)
	checkSame(t, again, got, err)
}

// testLogoutDecided checks that a decision gets the request as it was first received and the
// sessions of the users it names, and ends no other session.
func testLogoutDecided(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for n, x := range []struct{ id, user string }{{"a", "u1"}, {"b", "u2"}, {"c", "u3"}, {"d", "u1"}, {"e", "u2"}} {
		sess := newSession(x.id, x.user)
		sess.CreatedAt = startTime.Add(time.Duration(n-10) * time.Second)
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: sess}))
	}
	deliver := func(r *idp.LogoutRequest, given []idp.SessionID, ended []idp.SessionID, end ...idp.SessionID) {
		t.Helper()
		l := newLogout(r, "ok", end...)
		decide := l.Decide
		l.Decide = func(first *idp.LogoutRequest, sessions []*idp.Session) idp.LogoutDecision {
			checkSame(t, given, ids(sessions), nil)
			checkSame(t, r, first, nil)
			return decide(first, sessions)
		}
		out, err := s.RecordLogout(ctx, l)
		requireNoError(t, err)
		checkSame(t, withAnswer(r, "ok"), out.Request, nil)
		checkSame(t, ended, ids(out.EndedSessions), nil)
		stored, err := s.LogoutRequest(ctx, idp.RequestKey{SP: r.SP, MessageID: r.MessageID})
		checkSame(t, withAnswer(r, "ok"), stored, err)
	}
	r := newLogoutRequest("h1", "m1")
	deliver(r, []idp.SessionID{"a", "d"}, []idp.SessionID{"a"}, "a", "b", "gone", "a")
	r = newLogoutRequest("h2", "m2")
	r.User, r.IndexUser = "u1", "u2"
	deliver(r, []idp.SessionID{"d", "b", "e"}, []idp.SessionID{"d", "e"}, "e", "d")
	r = newLogoutRequest("h3", "m3")
	r.User, r.IndexUser = "u2", "u2"
	deliver(r, []idp.SessionID{"b"}, nil)
	r = newLogoutRequest("h4", "m4")
	r.User = ""
	deliver(r, nil, nil, "b", "c")
	for _, gone := range []idp.SessionID{"a", "d", "e"} {
		_, err := s.Session(ctx, gone)
		checkError(t, err, idp.ErrNotFound)
	}
	for _, left := range []idp.SessionID{"b", "c"} {
		_, err := s.Session(ctx, left)
		requireNoError(t, err)
	}
	checkKinds(t, s, 0, "logout ok", "logout ok", "logout ok", "logout ok")

	if _, err := s.RecordLogout(ctx, &idp.Logout{At: startTime}); err == nil {
		t.Error("an answer to nothing was recorded")
	}
	l := newLogout(newLogoutRequest("h6", "m6"), "ok")
	l.At = time.Time{}
	if _, err := s.RecordLogout(ctx, l); err == nil {
		t.Error("an answer without a time was recorded")
	}
}

func ids(sessions []*idp.Session) (out []idp.SessionID) {
	for _, x := range sessions {
		out = append(out, x.ID)
	}
	return out
}

// testLogoutRepeated checks that a repeated message is decided again, in the form in which
// it first arrived, and that it is recorded only if something ended.
func testLogoutRepeated(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	r := newLogoutRequest("h1", "m1")
	_, err := s.ReceiveLogout(ctx, r)
	requireNoError(t, err)
	repeat := func(l *idp.Logout, status string, ended ...idp.SessionID) {
		t.Helper()
		l.Request = newLogoutRequest("h9", "m1") // with other content
		l.Request.User, l.Request.ReceivedAt, l.At = "u2", startTime.Add(time.Hour), startTime.Add(time.Hour)
		decide := l.Decide
		l.Decide = func(first *idp.LogoutRequest, sessions []*idp.Session) idp.LogoutDecision {
			checkSame(t, "u1", first.User, nil)
			checkSame(t, startTime, first.ReceivedAt, nil)
			return decide(first, sessions)
		}
		out, err := s.RecordLogout(ctx, l)
		requireNoError(t, err)
		checkSame(t, withAnswer(r, status), out.Request, nil)
		checkSame(t, ended, ids(out.EndedSessions), nil)
	}
	stored := func(status string) {
		t.Helper()
		got, err := s.LogoutRequest(ctx, idp.RequestKey{Handle: "h1"})
		checkSame(t, withAnswer(r, status), got, err)
	}
	out, err := s.RecordLogout(ctx, newLogout(r, "no"))
	requireNoError(t, err)
	checkSame(t, withAnswer(r, "no"), out.Request, nil)
	for range 5 {
		repeat(newLogout(r, "perhaps"), "perhaps") // the answer may differ, depending on the browser that brings the request
	}
	stored("no")
	checkKinds(t, s, 0, "logout no")
	repeat(newLogout(r, "yes", "s1"), "yes", "s1")
	stored("yes")
	repeat(newLogout(r, "no", "s1"), "no")
	stored("yes")
	checkKinds(t, s, 0, "logout no", "logout yes")
	_, err = s.LogoutRequest(ctx, idp.RequestKey{Handle: "h9"})
	checkError(t, err, idp.ErrNotFound)
}

// testLogoutClock checks that a session that exists when a message is first received counts
// as older, even if the clock was set back between the two.
func testLogoutClock(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	later := newSession("later", "u1")
	later.CreatedAt = startTime.Add(time.Minute)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: later}))
	got, err := s.ReceiveLogout(ctx, newLogoutRequest("h1", "m1"))
	requireNoError(t, err)
	checkSame(t, later.CreatedAt, got.ReceivedAt, nil)
	out, err := s.RecordLogout(ctx, newLogout(newLogoutRequest("h2", "m2"), "ok"))
	requireNoError(t, err)
	checkSame(t, later.CreatedAt, out.Request.ReceivedAt, nil)

	// A session that begins afterwards does not count as older.
	latest := newSession("latest", "u1")
	latest.CreatedAt = startTime.Add(time.Hour)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: latest}))
	for _, message := range []string{"m1", "m2"} {
		out, err = s.RecordLogout(ctx, newLogout(newLogoutRequest("h9", message), "ok"))
		requireNoError(t, err)
		checkSame(t, later.CreatedAt, out.Request.ReceivedAt, nil)
	}
}

// testLogoutConcurrent checks that a message that arrives many times at once, waiting and not, is
// one request, ends its session once, and is recorded once.
func testLogoutConcurrent(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	var ended atomic.Int32
	var handles sync.Map
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			r := newLogoutRequest(numberedName("h", n), "m1")
			var first *idp.LogoutRequest
			if n%2 == 0 {
				var err error
				if first, err = s.ReceiveLogout(ctx, r); err != nil {
					t.Error(err)
					return
				}
			}
			out, err := s.RecordLogout(ctx, newLogout(r, "ok", "s1"))
			if err != nil {
				t.Error(err)
				return
			}
			ended.Add(int32(len(out.EndedSessions)))
			handles.Store(out.Request.Handle, true)
			if first != nil && first.Handle != out.Request.Handle {
				t.Errorf("received as %s, answered as %s", first.Handle, out.Request.Handle)
			}
		})
	}
	wg.Wait()
	checkSame(t, 1, ended.Load(), nil)
	n := 0
	handles.Range(func(any, any) bool { n++; return true })
	checkSame(t, 1, n, nil)
	checkKinds(t, s, 0, "logout ok")
}

// testLogoutFunction checks that a decision that modifies its arguments does not change the
// stored request, and that a panic in it changes nothing.
func testLogoutFunction(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	sess := newSession("s1", "u1")
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: sess}))
	l := newLogout(newLogoutRequest("h1", "m1"), "ok")
	l.Decide = func(*idp.LogoutRequest, []*idp.Session) idp.LogoutDecision { panic("decision") }
	checkPanics(t, func() { _, _ = s.RecordLogout(ctx, l) })
	_, err := s.LogoutRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkError(t, err, idp.ErrNotFound)
	l = newLogout(newLogoutRequest("h1", "m1"), "ok", "s1")
	l.Event = func(*idp.LogoutRequest) idp.AuditEvent { panic("event") }
	checkPanics(t, func() { _, _ = s.RecordLogout(ctx, l) })
	got, err := s.Session(ctx, "s1")
	checkSame(t, sess, got, err)

	l = newLogout(newLogoutRequest("h1", "m1"), "ok")
	decide := l.Decide
	l.Decide = func(first *idp.LogoutRequest, sessions []*idp.Session) idp.LogoutDecision {
		d := decide(first, sessions)
		first.User, first.SessionIndexes[0], sessions[0].ID, sessions[0].User = "u2", "b", "s2", "u2"
		return d
	}
	out, err := s.RecordLogout(ctx, l)
	requireNoError(t, err)
	checkSame(t, withAnswer(newLogoutRequest("h1", "m1"), "ok"), out.Request, nil)
	got, err = s.Session(ctx, "s1")
	checkSame(t, sess, got, err)
	checkKinds(t, s, 0, "logout ok")
	if !slices.Equal(ids(out.EndedSessions), nil) {
		t.Errorf("ended: %v", ids(out.EndedSessions))
	}
}

func checkPanics(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("the caller's panic is lost")
		}
	}()
	f()
}
