package storetest

import (
	"errors"
	"testing"

	"vernal/idp"
)

// newImport returns a user to import with NameIDs, given as pairs of a scope and a NameID.
func newImport(id, address string, pairs ...string) idp.ImportedUser {
	in := idp.ImportedUser{User: newUser(id, address), NameIDs: map[idp.NameIDScope]idp.NameID{}, Event: newEvent("import." + id)}
	for k := 0; k < len(pairs); k += 2 {
		in.NameIDs[idp.NameIDScope(pairs[k])] = idp.NameID(pairs[k+1])
	}
	return in
}

func testImport(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, addUser(ctx, s, newUser("old", "old@example.org")))
	requireNoError(t, addUser(ctx, s, newUser("gone", "gone@example.org")))
	giveNameIDs(t, s, "agency:P", "old", "n-old", "gone", "n-gone")
	requireNoError(t, s.DeleteUser(ctx, "gone"))
	from := len(readTrail(t, s))

	otherScope := newImport("dead", "dead@example.org", "agency:P", "n-dead")
	otherScope.IsDeleted = true
	people := []idp.ImportedUser{
		newImport("u1", "a@example.org", "agency:P", "n1", "sp:x", "m1"),
		newImport("u2", "OLD@example.org"),                               // the email address is taken
		newImport("u3", "c@example.org", "sp:x", "m3", "agency:P", "n1"), // u1 came first
		newImport("u4", "gone@example.org", "agency:P", "n-gone"),        // a deleted user's
		newImport("u5", "A@example.org"),                                 // u1 came first
		newImport("u1", "e@example.org"),                                 // the ID is taken
		newImport("gone", "f@example.org"),                               // a deleted user's
		newImport("u6", "gone@example.org", "sp:x", "n1"),                // another scope
		otherScope,
	}
	outcome, err := s.ImportUsers(ctx, people)
	requireNoError(t, err)
	for i, want := range []string{"", "exists", "agency:P", "agency:P", "exists", "exists", "exists", "", ""} {
		var taken *idp.TakenError
		switch {
		case want == "" && outcome[i] != nil:
			t.Errorf("%s was not added: %v", people[i].User.ID, outcome[i])
		case want != "" && !errors.Is(outcome[i], idp.ErrExists):
			t.Errorf("entry %d: %v, want ErrExists", i, outcome[i])
		case want == "agency:P" && (!errors.As(outcome[i], &taken) || taken.Scope != idp.NameIDScope(want)):
			t.Errorf("entry %d: %v, want a clash in %s", i, outcome[i], want)
		case want == "exists" && errors.As(outcome[i], &taken):
			t.Errorf("entry %d: %v, want no clash of NameIDs", i, outcome[i])
		}
	}
	checkKinds(t, s, from, "import.u1", "import.u6", "import.dead")
	got, err := s.User(ctx, "u1")
	checkSame(t, people[0].User, got, err)
	got, err = s.UserByEmail(ctx, "gone@example.org")
	checkSame(t, people[7].User, got, err)
	checkNameID(t, s, "agency:P", "u1", "n1")
	checkNameID(t, s, "sp:x", "u1", "m1")
	checkNameID(t, s, "sp:x", "u3", "")
	checkNameID(t, s, "agency:P", "dead", "n-dead")
	_, err = s.User(ctx, "dead")
	checkError(t, err, idp.ErrNotFound)
	_, err = s.UserByEmail(ctx, "dead@example.org")
	checkError(t, err, idp.ErrNotFound)
	checkError(t, addUser(ctx, s, newUser("dead", "g@example.org")), idp.ErrExists)

	// More NameIDs for existing users.
	more := []idp.ImportedUser{
		newImport("u1", "", "agency:P", "n1", "sp:y", "y1"),
		newImport("u6", "", "sp:y", "y6", "sp:x", "other"), // has n1 there
		newImport("old", "", "sp:y", "y1"),                 // u1 came first
		newImport("u9", "", "sp:y", "y9"),
		newImport("gone", "", "sp:y", "y8"),
	}
	for k := range more {
		more[k].AlreadyExists = true
	}
	outcome, err = s.ImportUsers(ctx, more)
	requireNoError(t, err)
	for k, want := range []error{nil, idp.ErrExists, idp.ErrExists, idp.ErrNotFound, idp.ErrNotFound} {
		if !errors.Is(outcome[k], want) {
			t.Errorf("entry %d: %v, want %v", k, outcome[k], want)
		}
	}
	checkNameID(t, s, "sp:y", "u1", "y1")
	checkNameID(t, s, "sp:y", "u6", "")
	checkNameID(t, s, "sp:x", "u6", "n1")
	got, err = s.User(ctx, "u1")
	checkSame(t, people[0].User, got, err)

	testImportDisclosed(t, s)

	outcome, err = s.ImportUsers(ctx, nil)
	checkSame(t, 0, len(outcome), err)
	if _, err := s.ImportUsers(ctx, []idp.ImportedUser{newImport("u7", "h@example.org"), newImport("", "i@example.org")}); err == nil {
		t.Error("a person without ID was stored")
	}
	_, err = s.User(ctx, "u7")
	checkError(t, err, idp.ErrNotFound)

	scopes, err := s.NameIDScopes(ctx)
	checkSame(t, []idp.NameIDScope{"agency:P", "sp:x", "sp:y"}, scopes, err)
	deleted := func(after idp.UserID, limit int, want ...*idp.User) {
		t.Helper()
		got, err := s.Users(ctx, idp.UserQuery{After: after, Limit: limit, Deleted: true})
		checkSame(t, want, got, err)
	}
	dead, gone := &idp.User{ID: "dead"}, &idp.User{ID: "gone"}
	deleted("", 9, dead, gone)
	deleted("", 1, dead)
	deleted("dead", 1, gone)
	deleted("gone", 1)
}

// testImportDisclosed checks that an import adds to an existing user the service providers
// that an email address was disclosed to, even with two entries of one import. Nothing else
// of the user changes.
func testImportDisclosed(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("disclosed", "told@example.org", "home@example.org")
	u.Role, u.Emails[1].DisclosedTo = "staff", []idp.EntityID{"sp-a"}
	requireNoError(t, addUser(ctx, s, u))
	more := []idp.ImportedUser{newImport("disclosed", "HOME@example.org"), newImport("disclosed", "home@example.org"), newImport("disclosed", "other@example.org")}
	for k, to := range [][]idp.EntityID{{"sp-a", "sp-b"}, {"sp-b", "sp-c"}, {"sp-d"}} {
		more[k].AlreadyExists, more[k].User.Emails[0].DisclosedTo = true, to
	}
	outcome, err := s.ImportUsers(ctx, more)
	requireNoError(t, errors.Join(append(outcome, err)...))
	u.Emails[1].DisclosedTo = []idp.EntityID{"sp-a", "sp-b", "sp-c"}
	got, err := s.User(ctx, "disclosed")
	checkSame(t, u, got, err)
	_, err = s.UserByEmail(ctx, "other@example.org")
	checkError(t, err, idp.ErrNotFound)
}

func testNameIDScopes(t *testing.T, s idp.OwnedStore) {
	scopes, err := s.NameIDScopes(t.Context())
	checkSame(t, 0, len(scopes), err)
	for _, scope := range []idp.NameIDScope{"sp:b", "agency:A", "sp:", "sp:ab", "sp:a"} {
		giveNameIDs(t, s, scope, "u1", "n1", "u2", "n2")
	}
	scopes, err = s.NameIDScopes(t.Context())
	checkSame(t, []idp.NameIDScope{"agency:A", "sp:", "sp:a", "sp:ab", "sp:b"}, scopes, err)
}
