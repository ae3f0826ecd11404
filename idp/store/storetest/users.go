package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
)

func testUsers(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u := newUser("u1", "Ann@Example.org", "ann@home.example")
	requireNoError(t, addUser(ctx, s, u, newEvent("user.add")))
	got, err := s.User(ctx, "u1")
	checkSame(t, u, got, err)

	checkError(t, addUser(ctx, s, newUser("u1", "other@example.org"), newEvent("x")), idp.ErrExists)
	_, err = s.UserByEmail(ctx, "other@example.org")
	checkError(t, err, idp.ErrNotFound)
	_, err = s.User(ctx, "u2")
	checkError(t, err, idp.ErrNotFound)
	checkError(t, s.DeleteUser(ctx, "u2", newEvent("x")), idp.ErrNotFound)
	checkError(t, s.UpdateUser(ctx, "u2", func(*idp.User) error { return nil }, newEvent("x")), idp.ErrNotFound)
	if s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.ID = "u3"; return nil }, newEvent("x")) == nil {
		t.Error("an update changed the ID")
	}
	if addUser(ctx, s, newUser("", "nobody@example.org"), newEvent("x")) == nil {
		t.Error("a person without ID was stored")
	}

	requireNoError(t, s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.TOTPs[0].LastStep = 8; return nil }, newEvent("user.edit")))
	u.TOTPs[0].LastStep = 8
	got, err = s.User(ctx, "u1")
	checkSame(t, u, got, err)
	checkKinds(t, s, 0, "user.add", "user.edit")
}

func testUserAddresses(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	finds := func(address string, want idp.UserID) {
		t.Helper()
		got, err := s.UserByEmail(ctx, address)
		if want == "" {
			checkError(t, err, idp.ErrNotFound)
		} else if err != nil || got.ID != want {
			t.Errorf("UserByEmail(%q) = %v, %v; want %s", address, got, err, want)
		}
	}
	// The same email address twice, in another case, is one address.
	requireNoError(t, addUser(ctx, s, newUser("u1", "Ann@Example.org", "ann@EXAMPLE.org", "ann@home.example")))
	requireNoError(t, addUser(ctx, s, newUser("u2", "bob@example.org")))
	finds("ANN@example.ORG", "u1")
	finds("Ann@Home.example", "u1")
	finds("bob@example.org", "u2")
	finds("bob@example.orgx", "")
	finds("", "")

	checkError(t, addUser(ctx, s, newUser("u3", "c@example.org", "BOB@example.org")), idp.ErrExists)
	_, err := s.User(ctx, "u3")
	checkError(t, err, idp.ErrNotFound)
	finds("c@example.org", "")

	emails := func(addresses ...string) func(*idp.User) error {
		return func(u *idp.User) error { u.Emails = newUser("", addresses...).Emails; return nil }
	}
	checkError(t, s.UpdateUser(ctx, "u1", emails("new@example.org", "bob@example.org"), newEvent("x")), idp.ErrExists)
	finds("new@example.org", "")
	finds("ann@example.org", "u1")

	requireNoError(t, s.UpdateUser(ctx, "u1", emails("new@example.org", "ann@example.org")))
	finds("new@example.org", "u1")
	finds("ann@example.org", "u1")
	finds("ann@home.example", "")
	requireNoError(t, s.UpdateUser(ctx, "u2", emails("ann@home.example"))) // free again
	finds("ann@home.example", "u2")
	finds("bob@example.org", "")
	checkKinds(t, s, 0)
}

func testUserList(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	for _, id := range []string{"c", "a", "e", "b", "d"} {
		requireNoError(t, addUser(ctx, s, newUser(id, id+"@example.org")))
	}
	list := func(after idp.UserID, limit int, want ...string) {
		t.Helper()
		users, err := s.Users(ctx, idp.UserQuery{After: after, Limit: limit})
		requireNoError(t, err)
		got := []string{}
		for _, u := range users {
			got = append(got, string(u.ID))
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("Users(%q, %d) (-want +got):\n%s", after, limit, diff)
		}
	}
	list("", 10, "a", "b", "c", "d", "e")
	list("", 2, "a", "b")
	list("b", 2, "c", "d")
	list("bb", 10, "c", "d", "e")
	list("e", 10)
	list("", 0)
}

func testUserDeleted(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, addUser(ctx, s, newUser("u1", "ann@example.org")))
	requireNoError(t, addUser(ctx, s, newUser("u2", "bob@example.org")))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s1", "u1")}))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s2", "u1")}))
	requireNoError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s3", "u2")}))
	name, err := getNameID(s.RecordIssuance(ctx, newIssuance("s1", "u1", "m1")))
	checkSame(t, "name-u1", name, err)

	requireNoError(t, s.DeleteUser(ctx, "u1", newEvent("user.delete")))
	checkKinds(t, s, 1, "user.delete")
	_, err = s.User(ctx, "u1")
	checkError(t, err, idp.ErrNotFound)
	_, err = s.UserByEmail(ctx, "ann@example.org")
	checkError(t, err, idp.ErrNotFound)
	for _, id := range []idp.SessionID{"s1", "s2"} {
		_, err = s.Session(ctx, id)
		checkError(t, err, idp.ErrNotFound)
	}
	_, err = s.Session(ctx, "s3")
	requireNoError(t, err)
	_, err = s.RecordIssuance(ctx, newIssuance("s1", "u1", "m2"))
	checkError(t, err, idp.ErrSessionEnded)

	// The ID and the NameID stay taken, the email address is free.
	checkError(t, addUser(ctx, s, newUser("u1", "other@example.org")), idp.ErrExists)
	checkError(t, s.StartSession(ctx, idp.SessionStart{Session: newSession("s4", "u1")}), idp.ErrNotFound)
	got, err := s.NameID(ctx, "agency:A", "u1")
	checkSame(t, "name-u1", got, err)
	user, err := s.UserByNameID(ctx, "agency:A", "name-u1")
	checkSame(t, "u1", user, err)
	i := newIssuance("s3", "u2", "m3")
	i.ProposedNameID = "name-u1"
	_, err = s.RecordIssuance(ctx, i)
	checkError(t, err, idp.ErrExists)
	requireNoError(t, addUser(ctx, s, newUser("u3", "ann@example.org")))
}
