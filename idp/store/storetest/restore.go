package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

// restoredAt is before any store's clock, because a store is never restored in the future.
var restoredAt = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// userBeforeRestore returns a user with a device and an authenticator from before a restore.
func userBeforeRestore() *idp.User {
	u := newUser("u1", "a@example.org")
	u.Devices = []idp.RememberedDevice{{Hash: []byte{1}, At: restoredAt}}
	u.TOTPs[0].AddedAt = restoredAt
	return u
}

// testRestore checks that a restore ends the records that it must end, and keeps all others.
func testRestore(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, addUser(ctx, s, userBeforeRestore()))
	requireNoError(t, s.CreateProvider(ctx, newProvider("https://sp.example"), ""))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "u2")}))
	name, err := getNameID(s.RecordIssuance(ctx, newIssuance("s1", "u1", "m1")))
	requireNoError(t, err)
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h2", "https://sp.example", "m2")))
	_, err = s.ReceiveLogout(ctx, newLogoutRequest("h3", "m3"))
	requireNoError(t, err)
	for _, kind := range []string{"kept", "changed", "ended", "added"} {
		requireNoError(t, s.UpdateDocuments(ctx, kind, []string{"k"}, func(d *idp.Document) error {
			d.Data, d.ExpiresAt = []byte("before"), startTime.Add(time.Hour)
			return nil
		}))
	}
	checkSame(t, time.Time{}, s.RestoredAt(), nil)

	at := restoredAt
	r := idp.Restore{
		At: at,
		Change: func(kind string, d *idp.Document) error {
			switch kind {
			case "changed":
				d.Data, d.ExpiresAt = []byte("after"), startTime.Add(2*time.Hour)
			case "ended":
				d.Data = nil
			}
			return nil
		},
	}

	// A restore that fails changes nothing.
	failingRestore, cause := r, errors.New("no")
	failingRestore.Change = func(string, *idp.Document) error { return cause }
	_, err = s.Restore(ctx, failingRestore, newEvent("x"))
	checkError(t, err, cause)
	failingRestore = r
	failingRestore.Add = func(idp.EndedRecords) (map[string]idp.Document, error) { return nil, cause }
	_, err = s.Restore(ctx, failingRestore, newEvent("x"))
	checkError(t, err, cause)
	restoreWithoutTime := r
	restoreWithoutTime.At = time.Time{}
	if _, err := s.Restore(ctx, restoreWithoutTime, newEvent("x")); err == nil {
		t.Error("a store was restored at the zero time")
	}
	checkSame(t, time.Time{}, s.RestoredAt(), nil)
	_, err = s.Session(ctx, "s1")
	requireNoError(t, err)

	countBefore := len(readTrail(t, s))
	restored := newEvent("restored")
	restored.Detail = map[string]string{}
	var gotEnded idp.EndedRecords
	r.Add = func(e idp.EndedRecords) (map[string]idp.Document, error) {
		gotEnded, restored.Detail["sessions"] = e, "two"
		return map[string]idp.Document{"added": {Key: "k", Data: []byte("new")}, "new": {Key: "n", Data: []byte("new")}}, nil
	}
	got, err := s.Restore(ctx, r, restored)
	want := idp.EndedRecords{Sessions: 2, LoginRequests: 2, LogoutRequests: 1, Documents: map[string]int{"ended": 1}}
	checkSame(t, want, got, err)
	checkSame(t, want, gotEnded, nil)
	checkKinds(t, s, countBefore, "restored")
	checkSame(t, "two", readTrail(t, s)[countBefore].Detail["sessions"], nil)
	checkSame(t, at, s.RestoredAt(), nil)

	for _, id := range []idp.SessionID{"s1", "s2"} {
		_, err = s.Session(ctx, id)
		checkError(t, err, idp.ErrNotFound)
	}
	for _, q := range []idp.SessionQuery{{User: "u1"}, {Limit: 10}} {
		sessions, err := s.Sessions(ctx, q)
		checkSame(t, 0, len(sessions), err)
	}
	for _, k := range []idp.RequestKey{{Handle: "h-m1"}, {Handle: "h2"}, {SP: "https://sp.example", MessageID: "m1"}} {
		_, err = s.LoginRequest(ctx, k)
		checkError(t, err, idp.ErrNotFound)
	}
	for _, k := range []idp.RequestKey{{Handle: "h3"}, {SP: logoutSP, MessageID: "m3"}} {
		_, err = s.LogoutRequest(ctx, k)
		checkError(t, err, idp.ErrNotFound)
	}
	for kind, want := range map[string][]idp.Document{
		"kept":    {{Key: "k", Data: []byte("before"), ExpiresAt: startTime.Add(time.Hour)}},
		"changed": {{Key: "k", Data: []byte("after"), ExpiresAt: startTime.Add(2 * time.Hour)}},
		"ended":   nil,
		"added":   {{Key: "k", Data: []byte("new")}},
		"new":     {{Key: "n", Data: []byte("new")}},
	} {
		docs, err := s.Documents(ctx, kind, idp.DocumentQuery{All: true})
		checkSame(t, want, docs, err)
	}
	nameID, err := s.NameID(ctx, "sp:https://sp.example", "u1")
	checkSame(t, name, nameID, err)

	checkRestoredUser(t, s, at)

	// The store stays usable: the same messages are new, and the sweep finds the remaining records.
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h4", "https://sp.example", "m1")))
	checkError(t, s.CreateLoginRequest(ctx, newRequest("h5", "https://sp.example", "m1")), idp.ErrReplayed)
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	n, err := s.Sweep(ctx, startTime.Add(13*time.Hour), 10)
	checkSame(t, 4, n, err) // a document kept and one changed, a request and a session
}

// testRestoredReopened checks that a store that is opened again returns the time of the restore.
func testRestoredReopened(t *testing.T, open Open) {
	ctx, dir := t.Context(), t.TempDir()
	s := open(t, dir)
	requireNoError(t, addUser(ctx, s, userBeforeRestore()))
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h1", "https://sp.example", "m1")))
	_, err := s.Restore(ctx, idp.Restore{At: restoredAt})
	requireNoError(t, err)
	requireNoError(t, s.Close())
	s = open(t, dir)
	defer closeStore(t, s)
	checkSame(t, restoredAt, s.RestoredAt(), nil)
	requireNoError(t, s.CreateLoginRequest(ctx, newRequest("h1", "https://sp.example", "m1")))
	checkRestoredUser(t, s, restoredAt)
}

// checkRestoredUser checks that the user has no device from before the restore, and that the steps
// whose codes were accepted until then count as used. Later devices and codes stay.
func checkRestoredUser(t *testing.T, s idp.OwnedStore, at time.Time) {
	t.Helper()
	ctx, step := t.Context(), at.Unix()/30+idp.TOTPStepsAhead
	lookupUser := func() *idp.User {
		t.Helper()
		u, err := s.User(ctx, "u1")
		requireNoError(t, err)
		byEmail, err := s.UserByEmail(ctx, "a@example.org")
		checkSame(t, u, byEmail, err)
		list, err := s.Users(ctx, idp.UserQuery{Limit: 10})
		checkSame(t, []*idp.User{u}, list, err)
		return u
	}
	u := lookupUser()
	if len(u.Devices) != 0 || u.TOTPs[0].LastStep != step {
		t.Errorf("devices %v, last step %d, want none and %d", u.Devices, u.TOTPs[0].LastStep, step)
	}
	requireNoError(t, s.UpdateUser(ctx, "u1", func(u *idp.User) error {
		if len(u.Devices) != 0 || u.TOTPs[0].LastStep != step {
			t.Errorf("update of the user: devices %v, last step %d", u.Devices, u.TOTPs[0].LastStep)
		}
		u.Devices = []idp.RememberedDevice{{Hash: []byte{2}, At: at.Add(1)}}
		u.TOTPs[0].LastStep = step + 1
		u.TOTPs = append(u.TOTPs, idp.TOTP{Secret: []byte{1}, Period: 60, LastStep: 3, AddedAt: at.Add(1)})
		return nil
	}))
	u = lookupUser()
	got := []int64{int64(len(u.Devices)), u.TOTPs[0].LastStep, u.TOTPs[1].LastStep}
	if diff := cmp.Diff([]int64{1, step + 1, 3}, got); diff != "" {
		t.Errorf("devices and last steps after the restore (-want +got):\n%s", diff)
	}
}
