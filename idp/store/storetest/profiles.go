package storetest

import (
	"errors"
	"testing"
	"time"

	"vernal/idp"
)

func newProfile(firstName string) *idp.Profile {
	return &idp.Profile{Level: idp.IALVerified, VerifiedAt: startTime, FirstName: firstName, SSN: "900-11-2222"}
}

// checkUnproofed checks that the user has no profile and that the record has no Proofing.
func checkUnproofed(t *testing.T, s idp.OwnedStore, id idp.UserID) {
	t.Helper()
	_, err := s.Profile(t.Context(), id)
	checkError(t, err, idp.ErrNotFound)
	u, err := s.User(t.Context(), id)
	if err == nil && u.Proofing != nil {
		t.Errorf("%s is recorded as %+v", id, u.Proofing)
	} else if err != nil {
		checkError(t, err, idp.ErrNotFound)
	}
}

func testProfiles(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	u, laterTime := newUser("u1", "ann@example.org"), startTime.Add(time.Hour)
	requireNoError(t, addUser(ctx, s, u))
	requireNoError(t, addUser(ctx, s, newUser("u2", "bob@example.org")))
	checkUnproofed(t, s, "u1")
	checkError(t, s.SetProfile(ctx, "u9", newProfile("Ann"), laterTime, newEvent("x")), idp.ErrNotFound)
	checkUnproofed(t, s, "u9")

	// Profile and record change in one step.
	requireNoError(t, s.SetProfile(ctx, "u1", newProfile("Ann"), laterTime, newEvent("user.verify")))
	u.Proofing, u.UpdatedAt = &idp.Proofing{Level: idp.IALVerified, VerifiedAt: startTime}, laterTime
	got, err := s.User(ctx, "u1")
	checkSame(t, u, got, err)
	p, err := s.Profile(ctx, "u1")
	checkSame(t, newProfile("Ann"), p, err)
	checkUnproofed(t, s, "u2")

	// A new profile ends the pause of the proofed identity.
	requireNoError(t, s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.ProofingPausedAt = startTime; return nil }))
	requireNoError(t, s.SetProfile(ctx, "u1", newProfile("Ann"), laterTime))
	got, err = s.User(ctx, "u1")
	checkSame(t, u, got, err)

	// Other changes of the user keep the profile and must not change Proofing.
	requireNoError(t, s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Role = "staff"; return nil }))
	for name, proofing := range map[string]*idp.Proofing{"raised": {Level: idp.IALFacialMatch, VerifiedAt: startTime}, "taken away": nil} {
		if s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Proofing = proofing; return nil }, newEvent("x")) == nil {
			t.Errorf("%s without a profile", name)
		}
	}
	if s.UpdateUser(ctx, "u1", func(u *idp.User) error { u.Proofing.Level = idp.IALFacialMatch; return nil }, newEvent("x")) == nil {
		t.Error("raised in place, without a profile")
	}
	u.Role = "staff"
	got, err = s.User(ctx, "u1")
	checkSame(t, u, got, err)
	p, err = s.Profile(ctx, "u1")
	checkSame(t, newProfile("Ann"), p, err)

	facial := &idp.Profile{Level: idp.IALFacialMatch, FirstName: "Anna"}
	requireNoError(t, s.SetProfile(ctx, "u1", facial, laterTime))
	p, err = s.Profile(ctx, "u1")
	checkSame(t, facial, p, err)
	got, err = s.User(ctx, "u1")
	u.Proofing = &idp.Proofing{Level: idp.IALFacialMatch}
	checkSame(t, u, got, err)
	requireNoError(t, s.SetProfile(ctx, "u1", nil, laterTime, newEvent("user.verify")))
	checkUnproofed(t, s, "u1")

	// A deleted user leaves no profile behind.
	requireNoError(t, s.SetProfile(ctx, "u2", newProfile("Bob"), laterTime))
	requireNoError(t, s.DeleteUser(ctx, "u2"))
	checkUnproofed(t, s, "u2")
	checkError(t, s.SetProfile(ctx, "u2", newProfile("Bob"), laterTime, newEvent("x")), idp.ErrNotFound)
	checkUnproofed(t, s, "u2")
	checkKinds(t, s, 0, "user.verify", "user.verify")
}

func testProfilesImported(t *testing.T, s idp.OwnedStore) {
	ctx := t.Context()
	requireNoError(t, addUser(ctx, s, newUser("old", "old@example.org")))
	entries := []idp.ImportedUser{
		newImport("u1", "a@example.org"), newImport("u2", "b@example.org"), newImport("u3", "OLD@example.org"), newImport("old", ""),
		newImport("dead", ""),
	}
	for i := range entries {
		entries[i].Profile = newProfile("Ann")
	}
	entries[1].Profile = nil
	entries[1].User.Proofing = &idp.Proofing{Level: idp.IALFacialMatch} // must be ignored
	entries[3].AlreadyExists, entries[4].IsDeleted = true, true
	outcomes, err := s.ImportUsers(ctx, entries)
	requireNoError(t, err)
	checkError(t, outcomes[2], idp.ErrExists)
	outcomes[2] = nil
	requireNoError(t, errors.Join(outcomes...))

	p, err := s.Profile(ctx, "u1")
	checkSame(t, newProfile("Ann"), p, err)
	u, err := s.User(ctx, "u1")
	checkSame(t, newProfile("Ann").Proofing(), u.Proofing, err)
	for _, id := range []idp.UserID{"u2", "u3", "old", "dead"} {
		checkUnproofed(t, s, id)
	}
}
