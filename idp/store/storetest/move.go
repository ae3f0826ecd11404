package storetest

import (
	"errors"
	"sync"
	"testing"

	"vernal/idp"
)

// moveTo returns a change of a provider that moves it to another scope.
func moveTo(scope idp.NameIDScope) func(*idp.ServiceProvider) error {
	return func(p *idp.ServiceProvider) error { p.Name, p.NameIDScope = "Moved", scope; return nil }
}

// giveNameIDs makes NameIDs in a scope, given as pairs of a user and a NameID.
func giveNameIDs(t *testing.T, s idp.OwnedStore, scope idp.NameIDScope, pairs ...string) {
	t.Helper()
	for k := 0; k < len(pairs); k += 2 {
		user, name := pairs[k], pairs[k+1]
		id := string(scope) + "/" + user
		requireNoError(t, s.StartSession(t.Context(), idp.SessionStart{Session: newSession("s-"+id, user)}))
		i := newIssuance("s-"+id, user, "m-"+id)
		i.Scope, i.ProposedNameID = scope, idp.NameID(name)
		got, err := getNameID(s.RecordIssuance(t.Context(), i))
		checkSame(t, idp.NameID(name), got, err)
	}
}

// checkNameID checks a user's NameID in a scope, both ways; "" for none.
func checkNameID(t *testing.T, s idp.OwnedStore, scope idp.NameIDScope, user idp.UserID, want idp.NameID) {
	t.Helper()
	got, err := s.NameID(t.Context(), scope, user)
	if want == "" {
		if !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("%s has the NameID %q in %s (%v), want none", user, got, scope, err)
		}
		return
	}
	checkSame(t, want, got, err)
	found, err := s.UserByNameID(t.Context(), scope, want)
	checkSame(t, user, found, err)
}

func testMoveProvider(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.CreateProvider(ctx, newProvider("a"), ""))
	requireNoError(t, addUser(ctx, s, newUser("u3", "c@example.org")))
	giveNameIDs(t, s, "sp:a", "u1", "n1", "u2", "n2", "u3", "n3")
	giveNameIDs(t, s, "sp:ab", "u9", "n9") // another scope with the same beginning
	giveNameIDs(t, s, "agency:P", "u1", "n1", "u4", "n4")
	requireNoError(t, s.DeleteUser(ctx, "u3"))
	events := len(readTrail(t, s))

	n, err := moveProvider(ctx, s, "a", moveTo("agency:P"), newEvent("sp.edit"))
	checkSame(t, 2, n, err)
	for scope, names := range map[idp.NameIDScope]map[idp.UserID]idp.NameID{
		"agency:P": {"u1": "n1", "u2": "n2", "u3": "n3", "u4": "n4", "u9": ""},
		"sp:a":     {"u1": "n1", "u2": "n2", "u3": "n3", "u4": ""}, // a copy, and one way
	} {
		for user, name := range names {
			checkNameID(t, s, scope, user, name)
		}
	}
	checkKinds(t, s, events, "sp.edit")
	want := newProvider("a")
	want.Name, want.NameIDScope = "Moved", "agency:P"
	got, err := s.Provider(ctx, "a")
	checkSame(t, want, got, err)

	// Again: no NameID is left to copy, also if the scope stays.
	n, err = moveProvider(ctx, s, "a", moveTo("agency:P"))
	checkSame(t, 0, n, err)
	requireNoError(t, updateProvider(ctx, s, "a", moveTo("sp:a")))
	n, err = moveProvider(ctx, s, "a", moveTo("agency:P"))
	checkSame(t, 0, n, err)
}

func testMoveProviderRefused(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, s.CreateProvider(ctx, newProvider("a"), ""))
	giveNameIDs(t, s, "sp:a", "u1", "n1", "u2", "n2", "u3", "n3", "u4", "n4")
	giveNameIDs(t, s, "agency:P", "u2", "other", "u5", "n3") // u2 has another one; n3 is another user's
	events := len(readTrail(t, s))

	_, err := moveProvider(ctx, s, "a", moveTo("agency:P"), newEvent("x"))
	checkError(t, err, idp.ErrExists)
	var clash *idp.ClashError
	if !errors.As(err, &clash) || clash.NameIDs != 2 {
		t.Errorf("error = %v, want 2 clashes", err)
	}
	cause := errors.New("no")
	_, err = moveProvider(ctx, s, "a", func(*idp.ServiceProvider) error { return cause }, newEvent("x"))
	checkError(t, err, cause)
	_, err = moveProvider(ctx, s, "b", moveTo("agency:Q"), newEvent("x"))
	checkError(t, err, idp.ErrNotFound)
	if _, err := moveProvider(ctx, s, "a", func(p *idp.ServiceProvider) error { p.EntityID = "b"; return nil }, newEvent("x")); err == nil {
		t.Error("a move changed the EntityID")
	}

	for user, name := range map[idp.UserID]idp.NameID{"u1": "", "u2": "other", "u3": "", "u4": "", "u5": "n3"} {
		checkNameID(t, s, "agency:P", user, name)
	}
	checkKinds(t, s, events)
	got, err := s.Provider(ctx, "a")
	checkSame(t, newProvider("a"), got, err)
}

// testIssuanceMoved signs users in with a scope that the service provider has left. A new
// user must keep the same NameID permanently.
func testIssuanceMoved(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	p := newProvider("https://sp.example") // the one that issuance names
	p.NameIDScope = "sp:a"
	requireNoError(t, s.CreateProvider(ctx, p, ""))
	giveNameIDs(t, s, "sp:a", "old", "n-old")
	requireNoError(t, updateProvider(ctx, s, p.EntityID, moveTo("agency:P")))
	giveNameIDs(t, s, "agency:P", "met", "n-met")

	for _, tt := range []struct{ user, want string }{{"old", "n-old"}, {"met", "n-met"}, {"new", "name-new"}} {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("stale-"+tt.user, tt.user)}))
		i := newIssuance("stale-"+tt.user, tt.user, "stale-"+tt.user)
		i.Scope = "sp:a"
		name, err := getNameID(s.RecordIssuance(ctx, i))
		checkSame(t, idp.NameID(tt.want), name, err)
	}
	checkNameID(t, s, "agency:P", "new", "name-new")
	checkNameID(t, s, "sp:a", "new", "")
	checkNameID(t, s, "sp:a", "met", "")
}

// testMoveRace moves a service provider to another scope while new users sign in to it, all
// with the scope from before. Whatever the order, the scope after must contain the NameID
// that was disclosed to the service provider.
func testMoveRace(t *testing.T, s idp.OwnedStore) {
	const n = 60
	ctx := t.Context()
	p := newProvider("https://sp.example")
	p.NameIDScope = "sp:a"
	requireNoError(t, s.CreateProvider(ctx, p, ""))
	for k := range n {
		requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession(numberedName("s", k), numberedName("u", k))}))
	}
	var disclosed [n]idp.NameID
	var wg sync.WaitGroup
	for k := range n {
		if k == n/2 {
			wg.Go(func() {
				if _, err := moveProvider(ctx, s, p.EntityID, moveTo("agency:P")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			i := newIssuance(numberedName("s", k), numberedName("u", k), numberedName("m", k))
			i.Scope = "sp:a"
			var err error
			if disclosed[k], err = getNameID(s.RecordIssuance(ctx, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for k, name := range disclosed {
		checkNameID(t, s, "agency:P", idp.UserID(numberedName("u", k)), name)
	}
}
