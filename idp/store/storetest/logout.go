package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vernal/idp"
)

func logoutRequest(handle, sp, message string) *idp.LogoutRequest {
	return &idp.LogoutRequest{
		Handle: idp.RequestHandle(handle), SecretHash: []byte{1, 2}, SP: idp.EntityID(sp), MessageID: message, Year: "2031",
		RelayState: "r", HasRelay: true, User: "u1", SessionIndexes: []string{"a"}, CertSHA256: "c",
		ReceivedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

// answered is r with an answer.
func answered(r *idp.LogoutRequest, status string) *idp.LogoutRequest {
	x := *r
	x.AnsweredAt, x.Status, x.StatusDetail = start.Add(time.Minute), status, "detail"
	return &x
}

func testLogoutRequests(t *testing.T, s idp.Store) {
	ctx := t.Context()
	r := logoutRequest("h1", "https://sp.example", "m1")
	ok(t, s.CreateLogoutRequest(ctx, r, event("logout.begin")))
	is(t, s.CreateLogoutRequest(ctx, logoutRequest("h2", "https://sp.example", "m1"), event("logout.begin")), idp.ErrReplayed)
	is(t, s.CreateLogoutRequest(ctx, logoutRequest("h1", "https://sp.example", "m2")), idp.ErrExists)
	ok(t, s.CreateLogoutRequest(ctx, logoutRequest("h3", "https://other.example", "m1")))
	// The ID of an AuthnRequest is another matter.
	ok(t, s.CreateLoginRequest(ctx, request("h1", "https://sp.example", "m1")))

	got, err := s.LogoutRequest(ctx, "h1")
	same(t, r, got, err)
	got, err = s.LogoutRequestByMessage(ctx, "https://sp.example", "m1")
	same(t, r, got, err)
	_, err = s.LogoutRequest(ctx, "h2")
	is(t, err, idp.ErrNotFound)
	_, err = s.LogoutRequestByMessage(ctx, "https://sp.example", "m2")
	is(t, err, idp.ErrNotFound)

	// The answer, once; nothing else of the request changes.
	change := answered(r, "first")
	change.RelayState, change.Year = "other", "2032"
	n, err := s.RecordLogout(ctx, &idp.Logout{Request: change}, event("logout"))
	same(t, 0, n, err)
	_, err = s.RecordLogout(ctx, &idp.Logout{Request: answered(r, "second")}, event("logout"))
	is(t, err, idp.ErrAnswered)
	got, err = s.LogoutRequest(ctx, "h1")
	same(t, answered(r, "first"), got, err)

	// One that was not stored is stored with its answer.
	at := answered(logoutRequest("h4", "https://sp.example", "m4"), "at once")
	_, err = s.RecordLogout(ctx, &idp.Logout{Request: at}, event("logout"))
	ok(t, err)
	got, err = s.LogoutRequestByMessage(ctx, "https://sp.example", "m4")
	same(t, at, got, err)
	_, err = s.RecordLogout(ctx, &idp.Logout{Request: answered(logoutRequest("h5", "https://sp.example", "m4"), "x")}, event("logout"))
	is(t, err, idp.ErrReplayed)
	_, err = s.RecordLogout(ctx, &idp.Logout{Request: answered(logoutRequest("h4", "https://sp.example", "m5"), "x")}, event("logout"))
	is(t, err, idp.ErrExists)
	if _, err = s.RecordLogout(ctx, &idp.Logout{Request: logoutRequest("h6", "https://sp.example", "m6")}); err == nil {
		t.Error("an answer without a time was recorded")
	}
	kinds(t, s, 0, "logout.begin", "logout", "logout")

	// They end with their time, and their IDs can come again.
	swept, err := s.Sweep(ctx, start.Add(time.Hour), 100)
	same(t, 4, swept, err)
	_, err = s.LogoutRequest(ctx, "h1")
	is(t, err, idp.ErrNotFound)
	ok(t, s.CreateLogoutRequest(ctx, r))
}

// testLogoutEnds holds that an answer ends the sessions it names, and no other.
func testLogoutEnds(t *testing.T, s idp.Store) {
	ctx := t.Context()
	const sp, other = "https://sp.example", "https://other.example"
	with := func(id, user string, providers ...string) {
		t.Helper()
		x := session(id, user)
		for _, p := range providers {
			x.Participants = append(x.Participants, participant(p, "name", "i-"+id))
		}
		ok(t, s.CreateSession(ctx, x, nil))
	}
	left := func(want ...idp.SessionID) {
		t.Helper()
		var got []idp.SessionID
		for _, u := range []idp.UserID{"u1", "u2"} {
			all, err := s.UserSessions(ctx, u)
			ok(t, err)
			for _, x := range all {
				got = append(got, x.ID)
			}
		}
		same(t, want, got, nil)
	}
	with("a", "u1", sp)
	with("b", "u1", other)
	with("c", "u1", other, sp)
	with("d", "u1")
	with("e", "u2", sp)
	end := func(message string, l idp.Logout, want int) {
		t.Helper()
		l.Request = answered(logoutRequest("h-"+message, sp, message), "ok")
		n, err := s.RecordLogout(ctx, &l, event("logout"))
		same(t, want, n, err)
	}
	end("m1", idp.Logout{Session: "gone"}, 0)
	left("a", "b", "c", "d", "e")
	end("m2", idp.Logout{Session: "d"}, 1)
	left("a", "b", "c", "e")
	end("m3", idp.Logout{EndAllOf: "u1", Session: "a"}, 2)
	left("b", "e")
	end("m4", idp.Logout{EndAllOf: "u3"}, 0)
	left("b", "e")

	// By what the provider was told, and no other provider.
	with("f", "u2", sp)
	end("m5", idp.Logout{EndAllOf: "u2", SessionIndexes: []string{"i-f", "i-b"}}, 1)
	left("b", "e")
	end("m6", idp.Logout{EndAllOf: "u1", SessionIndexes: []string{"i-b"}}, 0)
	left("b", "e")

	// A replay ends nothing.
	_, err := s.RecordLogout(ctx, &idp.Logout{Request: answered(logoutRequest("h", sp, "m1"), "ok"), EndAllOf: "u2"}, event("logout"))
	is(t, err, idp.ErrReplayed)
	left("b", "e")
}

// testLogoutOnce lets many answer the same request: one does.
func testLogoutOnce(t *testing.T, s idp.Store) {
	ctx := t.Context()
	ok(t, s.CreateSession(ctx, session("s1", "u1"), nil))
	r := logoutRequest("h1", "https://sp.example", "m1")
	ok(t, s.CreateLogoutRequest(ctx, r))
	var done atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch n, err := s.RecordLogout(ctx, &idp.Logout{Request: answered(r, "ok"), Session: "s1"}, event("logout")); err {
			case nil:
				done.Add(int32(n))
			default:
				is(t, err, idp.ErrAnswered)
			}
		})
	}
	wg.Wait()
	same(t, 1, done.Load(), nil)
	kinds(t, s, 0, "logout")
}
