package storetest

import (
	"errors"
	"testing"

	"vernal/idp"
)

// discloseEmail records that an email address of a user was disclosed as a NameID.
func discloseEmail(t *testing.T, s idp.OwnedStore, id idp.UserID, address string) {
	t.Helper()
	requireNoError(t, s.UpdateUser(t.Context(), id, func(u *idp.User) error {
		for i := range u.Emails {
			if u.Emails[i].Address == address {
				u.Emails[i].DisclosedTo = []idp.EntityID{"https://sp.example"}
			}
		}
		return nil
	}))
}

// setEmails replaces the email addresses of a user. It keeps the remaining ones as they are.
func setEmails(t *testing.T, s idp.OwnedStore, id idp.UserID, list ...string) error {
	t.Helper()
	return s.UpdateUser(t.Context(), id, func(u *idp.User) error {
		kept := map[string]idp.Email{}
		for _, e := range u.Emails {
			kept[e.Address] = e
		}
		u.Emails = newUser("", list...).Emails
		for i := range u.Emails {
			if e, ok := kept[u.Emails[i].Address]; ok {
				u.Emails[i] = e
			}
		}
		return nil
	}, newEvent("user.edit"))
}

// checkReserved checks that no user but owner, "" for a deleted user, can have the address.
func checkReserved(t *testing.T, s idp.OwnedStore, address string, owner, other idp.UserID) {
	t.Helper()
	ctx := t.Context()
	checkError(t, addUser(ctx, s, newUser("new", "new@example.org", address), newEvent("x")), idp.ErrExists)
	checkError(t, setEmails(t, s, other, "other@example.org", address), idp.ErrExists)
	_, err := s.UserByEmail(ctx, address)
	checkError(t, err, idp.ErrNotFound)
	_, err = s.User(ctx, "new")
	checkError(t, err, idp.ErrNotFound)
	if owner == "" {
		return
	}
	// The owner takes it back, without a record of the disclosure, and loses it again.
	requireNoError(t, setEmails(t, s, owner, "own@example.org", address))
	u, err := s.UserByEmail(ctx, address)
	requireNoError(t, err)
	checkSame(t, owner, u.ID, nil)
	checkError(t, setEmails(t, s, other, "other@example.org", address), idp.ErrExists)
	requireNoError(t, setEmails(t, s, owner, "own@example.org"))
	checkError(t, setEmails(t, s, other, "other@example.org", address), idp.ErrExists)
}

// testReservedEmails checks that an email address that was disclosed as a NameID is never given to
// another user.
func testReservedEmails(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, addUser(ctx, s, newUser("u1", "own@example.org", "Told@Example.org", "quiet@example.org")))
	requireNoError(t, addUser(ctx, s, newUser("u2", "other@example.org")))
	discloseEmail(t, s, "u1", "Told@Example.org")
	hash := idp.HashEmail("told@example.org")

	requireNoError(t, setEmails(t, s, "u1", "own@example.org"))
	checkReserved(t, s, "told@example.ORG", "u1", "u2")
	requireNoError(t, setEmails(t, s, "u2", "other@example.org", "quiet@example.org")) // no one was told
	u, err := s.User(ctx, "u1")
	requireNoError(t, err)
	checkSame(t, [][]byte{hash}, u.ReservedEmails, nil)
	for _, change := range []func(*idp.User) error{
		func(u *idp.User) error { u.ReservedEmails = nil; return nil },
		func(u *idp.User) error { u.ReservedEmails = append(u.ReservedEmails, hash); return nil },
	} {
		if s.UpdateUser(ctx, "u1", change, newEvent("x")) == nil {
			t.Error("an update changed ReservedEmails")
		}
	}

	// A change that only forgets the disclosure reserves the email address too.
	discloseEmail(t, s, "u2", "quiet@example.org")
	requireNoError(t, s.UpdateUser(ctx, "u2", func(u *idp.User) error { u.Emails[1].DisclosedTo = nil; return nil }))
	requireNoError(t, setEmails(t, s, "u2", "other@example.org"))
	checkReserved(t, s, "quiet@example.org", "", "u1")

	// Deleting the user keeps both: those removed before, and those disclosed until then.
	discloseEmail(t, s, "u1", "own@example.org")
	requireNoError(t, s.DeleteUser(ctx, "u1"))
	requireNoError(t, setEmails(t, s, "u2", "other@example.org"))
	for _, address := range []string{"told@example.org", "OWN@example.org"} {
		checkReserved(t, s, address, "", "u2")
	}
	deleted, err := s.Users(ctx, idp.UserQuery{Limit: 10, Deleted: true})
	checkSame(t, []*idp.User{{ID: "u1", ReservedEmails: [][]byte{hash, idp.HashEmail("own@example.org")}}}, deleted, err)
}

// testReservedEmailsImported checks imports of reserved email addresses.
func testReservedEmailsImported(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	a, b, c := idp.HashEmail("a@old.example"), idp.HashEmail("b@old.example"), idp.HashEmail("c@old.example")
	reserve := func(id, email string, isDeleted bool, hashes ...[]byte) idp.ImportedUser {
		entry := newImport(id, email)
		entry.User.ReservedEmails, entry.IsDeleted = hashes, isDeleted
		return entry
	}
	extend := func(id string, hashes ...[]byte) idp.ImportedUser {
		entry := reserve(id, "", false, hashes...)
		entry.AlreadyExists = true
		return entry
	}
	entries := []idp.ImportedUser{
		reserve("u1", "u1@example.org", false, a),
		reserve("gone", "", true, b),
		reserve("u2", "B@old.example", false),     // an earlier one of this import
		reserve("u3", "u3@example.org", false, a), // reserved for u1
		reserve("u4", "c@old.example", false, c),  // its own
		reserve("gone again", "", true, b, a),     // nothing is left
		reserve("gone too", "", true, a, a, b),    // nothing is left
		reserve("u5", "u5@example.org", false, c), // reserved for u4
	}
	outcomes, err := s.ImportUsers(ctx, entries)
	requireNoError(t, err)
	for i, want := range []bool{true, true, false, false, true, false, false, false} {
		if isAdded := outcomes[i] == nil; isAdded != want || !want && !errors.Is(outcomes[i], idp.ErrExists) {
			t.Errorf("entry %d: %v", i, outcomes[i])
		}
	}
	for _, address := range []string{"a@old.example", "b@old.example"} {
		checkReserved(t, s, address, "", "u4")
	}

	// More for existing users, also twice in one import.
	d := idp.HashEmail("d@old.example")
	outcomes, err = s.ImportUsers(ctx, []idp.ImportedUser{extend("u1", a, d), extend("u1", d), extend("u4", d), extend("u4", b)})
	requireNoError(t, err)
	for i, want := range []error{nil, nil, idp.ErrExists, idp.ErrExists} {
		checkError(t, outcomes[i], want)
	}
	u, err := s.User(ctx, "u1")
	requireNoError(t, err)
	checkSame(t, [][]byte{a, d}, u.ReservedEmails, nil)
	checkReserved(t, s, "d@old.example", "u1", "u4")
}
