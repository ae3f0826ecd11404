package storetest

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
)

func profile(first string) *idp.Profile {
	return &idp.Profile{Level: idp.IALVerified, VerifiedAt: start, FirstName: first, SSN: "900-11-2222"}
}

// checkUnproofed checks that the user has no profile and that the record has no Proofed.
func checkUnproofed(t *testing.T, s idp.OwnedStore, id idp.UserID) {
	t.Helper()
	_, err := s.Profile(t.Context(), id)
	is(t, err, idp.ErrNotFound)
	u, err := s.User(t.Context(), id)
	if err == nil && u.Proofing != nil {
		t.Errorf("%s is recorded as %+v", id, u.Proofing)
	} else if err != nil {
		is(t, err, idp.ErrNotFound)
	}
}

func testProfiles(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u, later := person("u1", "ann@example.org"), start.Add(time.Hour)
	ok(t, addUser(ctx, s, u))
	ok(t, addUser(ctx, s, person("u2", "bob@example.org")))
	checkUnproofed(t, s, "u1")
	is(t, s.SetProfile(ctx, "u9", profile("Ann"), later, event("x")), idp.ErrNotFound)
	checkUnproofed(t, s, "u9")

	// Profile and record change in one step.
	ok(t, s.SetProfile(ctx, "u1", profile("Ann"), later, event("user.verify")))
	u.Proofing, u.UpdatedAt = &idp.Proofing{Level: idp.IALVerified, VerifiedAt: start}, later
	got, err := s.User(ctx, "u1")
	checkSame(t, u, got, err)
	p, err := s.Profile(ctx, "u1")
	checkSame(t, profile("Ann"), p, err)
	checkUnproofed(t, s, "u2")

	// Other changes of the user keep the profile and must not change Proofing.
	ok(t, s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Role = "staff"; return nil }))
	for name, proofed := range map[string]*idp.Proofing{"raised": {Level: idp.IALFacialMatch, VerifiedAt: start}, "taken away": nil} {
		if s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Proofing = proofed; return nil }, event("x")) == nil {
			t.Errorf("%s without a profile", name)
		}
	}
	if s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Proofing.Level = idp.IALFacialMatch; return nil }, event("x")) == nil {
		t.Error("raised in place, without a profile")
	}
	u.Role = "staff"
	got, err = s.User(ctx, "u1")
	checkSame(t, u, got, err)
	p, err = s.Profile(ctx, "u1")
	checkSame(t, profile("Ann"), p, err)

	facial := &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Anna"}
	ok(t, s.SetProfile(ctx, "u1", facial, later))
	p, err = s.Profile(ctx, "u1")
	checkSame(t, facial, p, err)
	got, err = s.User(ctx, "u1")
	u.Proofing = &idp.Proofing{Level: idp.IALFacialMatch}
	checkSame(t, u, got, err)
	ok(t, s.SetProfile(ctx, "u1", nil, later, event("user.verify")))
	checkUnproofed(t, s, "u1")

	// A deleted user leaves no profile behind.
	ok(t, s.SetProfile(ctx, "u2", profile("Bob"), later))
	ok(t, s.DeleteUser(ctx, "u2"))
	checkUnproofed(t, s, "u2")
	is(t, s.SetProfile(ctx, "u2", profile("Bob"), later, event("x")), idp.ErrNotFound)
	checkUnproofed(t, s, "u2")
	kinds(t, s, 0, "user.verify", "user.verify")
}

func testProfilesImported(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	ok(t, addUser(ctx, s, person("old", "old@example.org")))
	people := []idp.ImportedUser{
		newImport("u1", "a@example.org"), newImport("u2", "b@example.org"), newImport("u3", "OLD@example.org"), newImport("old", ""),
		newImport("dead", ""),
	}
	for i := range people {
		people[i].Profile = profile("Ann")
	}
	people[1].Profile = nil
	people[1].User.Proofing = &idp.Proofing{Level: idp.IALFacialMatch} // must be ignored
	people[3].AlreadyExists, people[4].IsDeleted = true, true
	outcome, err := s.ImportUsers(ctx, people)
	ok(t, err)
	is(t, outcome[2], idp.ErrExists)
	outcome[2] = nil
	ok(t, errors.Join(outcome...))

	p, err := s.Profile(ctx, "u1")
	checkSame(t, profile("Ann"), p, err)
	u, err := s.User(ctx, "u1")
	checkSame(t, profile("Ann").Proofing(), u.Proofing, err)
	for _, id := range []idp.UserID{"u2", "u3", "old", "dead"} {
		checkUnproofed(t, s, id)
	}
}
