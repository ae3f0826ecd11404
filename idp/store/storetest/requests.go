package storetest

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
)

func testLoginRequests(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	r := newRequest("h1", "https://sp.example", "m1")
	requireNoError(t, s.CreateLoginRequest(ctx, r, newEvent("request")))
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, r, got, err)
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m1"})
	checkSame(t, r, got, err)

	checkError(t, s.CreateLoginRequest(ctx, newRequest("h2", "https://sp.example", "m1"), newEvent("x")), idp.ErrReplayed)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h2"})
	checkError(t, err, idp.ErrNotFound)
	checkError(t, s.CreateLoginRequest(ctx, newRequest("h1", "https://sp.example", "m2"), newEvent("x")), idp.ErrExists)
	_, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m2"})
	checkError(t, err, idp.ErrNotFound)

	// Another sender may use the same ID. The boundary between sender and ID matters.
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h3", "https://sp2.example", "m1")))
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h4", "https://sp.examplem", "1")))
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp2.example", MessageID: "m1"})
	checkSame(t, "h3", got.Handle, err)
	checkKinds(t, s, 0, "request")
}

func testLoginRequestAnswered(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	r := newRequest("h1", "https://sp.example", "m1")
	requireNoError(t, s.CreateLoginRequest(ctx, r))
	if s.AnswerLoginRequest(ctx, r, time.Time{}, nil, newEvent("x")) == nil {
		t.Error("a request was answered at the zero time, which leaves it unanswered")
	}
	no := errors.New("no")
	checkError(t, s.AnswerLoginRequest(ctx, r, startTime, func(idp.Standing) error { return no }, newEvent("x")), no)
	checkError(t, s.AnswerLoginRequest(ctx, newRequest("h1", "https://sp.example", "m2"), startTime, nil, newEvent("x")), idp.ErrExists)
	given := *r
	given.RelayState = "nothing but the answer changes"
	requireNoError(t, s.AnswerLoginRequest(ctx, &given, startTime.Add(time.Minute), nil, newEvent("no_passive")))
	checkError(t, s.AnswerLoginRequest(ctx, r, startTime.Add(time.Hour), nil, newEvent("x")), idp.ErrAnswered)
	checkError(t, s.AnswerLoginRequest(ctx, newRequest("h2", "https://sp.example", "m1"), startTime, nil, newEvent("x")), idp.ErrReplayed)
	r.AnsweredAt = startTime.Add(time.Minute)
	got, err := s.LoginRequest(ctx, idp.RequestKey{Handle: "h1"})
	checkSame(t, r, got, err)

	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	i := newIssuance("s1", "u1", "m1")
	i.Request = r
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, idp.ErrAnswered)

	// A request that is not stored, because it waited in the browser, is stored as answered.
	r = newRequest("h3", "https://sp.example", "m3")
	checkError(t, s.AnswerLoginRequest(ctx, r, startTime, func(idp.Standing) error { return no }, newEvent("x")), no)
	_, err = s.LoginRequest(ctx, idp.RequestKey{Handle: "h3"})
	checkError(t, err, idp.ErrNotFound)
	requireNoError(t, s.AnswerLoginRequest(ctx, r, startTime.Add(time.Minute), nil, newEvent("no_passive")))
	checkSame(t, false, r.IsAnswered(), nil) // the store keeps no reference to its argument
	r.AnsweredAt = startTime.Add(time.Minute)
	got, err = s.LoginRequest(ctx, idp.RequestKey{SP: "https://sp.example", MessageID: "m3"})
	checkSame(t, r, got, err)
	checkError(t, s.CreateLoginRequest(ctx, newRequest("h4", "https://sp.example", "m3")), idp.ErrReplayed)
	checkError(t, s.AnswerLoginRequest(ctx, r, startTime, nil, newEvent("x")), idp.ErrAnswered)
	n, err := s.Sweep(ctx, r.ExpiresAt, 10)
	checkSame(t, 2, n, err)
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h4", "https://sp.example", "m3")))
	checkKinds(t, s, 0, "no_passive", "no_passive")
}
