package storetest

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
)

func testLoginRequests(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	r := request("h1", "https://sp.example", "m1")
	ok(t, s.CreateLoginRequest(ctx, r, event("request")))
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, r, got, err)
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m1"})
	checkSame(t, r, got, err)

	is(t, s.CreateLoginRequest(ctx, request("h2", "https://sp.example", "m1"), event("x")), idp.ErrReplayed)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h2"})
	is(t, err, idp.ErrNotFound)
	is(t, s.CreateLoginRequest(ctx, request("h1", "https://sp.example", "m2"), event("x")), idp.ErrExists)
	_, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m2"})
	is(t, err, idp.ErrNotFound)

	// Another sender may use the same ID. The boundary between sender and ID matters.
	ok(t, s.CreateLoginRequest(ctx, request("h3", "https://sp2.example", "m1")))
	ok(t, s.CreateLoginRequest(ctx, request("h4", "https://sp.examplem", "1")))
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp2.example", MessageID: "m1"})
	checkSame(t, "h3", got.Handle, err)
	kinds(t, s, 0, "request")
}

func testLoginRequestAnswered(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	r := request("h1", "https://sp.example", "m1")
	ok(t, s.CreateLoginRequest(ctx, r))
	if s.AnswerLoginRequest(ctx, r, time.Time{}, nil, event("x")) == nil {
		t.Error("a request was answered at the zero time, which leaves it unanswered")
	}
	no := errors.New("no")
	is(t, s.AnswerLoginRequest(ctx, r, start, func(idp.Standing) error { return no }, event("x")), no)
	is(t, s.AnswerLoginRequest(ctx, request("h1", "https://sp.example", "m2"), start, nil, event("x")), idp.ErrExists)
	given := *r
	given.RelayState = "nothing but the answer changes"
	ok(t, s.AnswerLoginRequest(ctx, &given, start.Add(time.Minute), nil, event("no_passive")))
	is(t, s.AnswerLoginRequest(ctx, r, start.Add(time.Hour), nil, event("x")), idp.ErrAnswered)
	is(t, s.AnswerLoginRequest(ctx, request("h2", "https://sp.example", "m1"), start, nil, event("x")), idp.ErrReplayed)
	r.AnsweredAt = start.Add(time.Minute)
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, r, got, err)

	ok(t, s.StartSession(ctx, idp.SessionStart{Session: session("s1", "u1")}))
	i := issuance("s1", "u1", "m1")
	i.Request = r
	_, err = s.RecordIssuance(ctx, i)
	is(t, err, idp.ErrAnswered)

	// A request that is not stored, because it waited in the browser, is stored as answered.
	r = request("h3", "https://sp.example", "m3")
	is(t, s.AnswerLoginRequest(ctx, r, start, func(idp.Standing) error { return no }, event("x")), no)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h3"})
	is(t, err, idp.ErrNotFound)
	ok(t, s.AnswerLoginRequest(ctx, r, start.Add(time.Minute), nil, event("no_passive")))
	checkSame(t, false, r.IsAnswered(), nil) // the store keeps no reference to its argument
	r.AnsweredAt = start.Add(time.Minute)
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m3"})
	checkSame(t, r, got, err)
	is(t, s.CreateLoginRequest(ctx, request("h4", "https://sp.example", "m3")), idp.ErrReplayed)
	is(t, s.AnswerLoginRequest(ctx, r, start, nil, event("x")), idp.ErrAnswered)
	n, err := s.Sweep(ctx, r.ExpiresAt, 10)
	checkSame(t, 2, n, err)
	ok(t, s.CreateLoginRequest(ctx, request("h4", "https://sp.example", "m3")))
	kinds(t, s, 0, "no_passive", "no_passive")
}
