package account

import (
	"errors"
	"sync"
	"testing"
	"time"

	"vernal/idp"
)

func TestInviteNewUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	invited, err := h.Invite(t.Context(), " Alice@Example.GOV ", "fr", actor)
	if err != nil || !invited.Created || invited.Email != "Alice@example.gov" {
		t.Fatalf("%+v, %v", invited, err)
	}
	u := h.user(invited.User.ID)
	if u.PasswordHash != "" || u.HasSecondFactor() || u.Lang != "fr" || !u.Emails[0].ConfirmedAt.IsZero() {
		t.Errorf("%+v", u)
	}
	if _, err := h.CheckPassword(t.Context(), alice, "", home); !errors.Is(err, ErrWrong) {
		t.Errorf("the user can sign in: %v", err)
	}
	again, err := h.Invite(t.Context(), alice, "es", actor)
	if err != nil || again.Created || again.User.ID != u.ID || again.User.LinkStamp() != u.LinkStamp() || again.User.Lang != "fr" || again.Email != "Alice@example.gov" {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := h.audited(u.ID); len(got) != 2 || got[0] != string(idp.AuditUserInvite) || got[1] != string(idp.AuditUserInvite) {
		t.Errorf("audit trail %q", got)
	}
}

func TestInviteImportedUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	imported := &idp.User{ID: "U1", Emails: []idp.Email{{Address: "old@example.gov", ConfirmedAt: h.clock()}, {Address: alice, ConfirmedAt: h.clock()}}, TOTPs: []idp.TOTP{{Name: "token", Period: 30}}}
	if outcome, err := h.store.ImportUsers(t.Context(), []idp.ImportedUser{{User: imported}}); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(outcome, err)
	}
	invited, err := h.Invite(t.Context(), "ALICE@example.gov", "es", actor)
	if err != nil || invited.Created || invited.User.ID != "U1" || invited.Email != alice {
		t.Fatalf("%+v, %v", invited, err)
	}
	if u := h.user("U1"); u.Lang != "es" || len(u.TOTPs) != 1 || len(u.Emails) != 2 {
		t.Errorf("%+v", u)
	}
}

// TestInviteRefusals checks that nothing changes for users who must not be invited.
func TestInviteRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*idp.User)
		want   error
	}{
		"password": {func(u *idp.User) {}, ErrHasPassword},
		"locked":   {func(u *idp.User) { u.PasswordHash, u.LockedAt = "", u.CreatedAt }, ErrLocked},
		"deletion": {func(u *idp.User) { u.PasswordHash, u.DeletionAt = "", u.CreatedAt.Add(time.Hour) }, ErrPlannedDeletion},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.create()
			if err := h.store.UpdateUser(t.Context(), u.ID, func(u *idp.User) error { tt.change(u); return nil }); err != nil {
				t.Fatal(err)
			}
			before := len(h.audited(u.ID))
			if _, err := h.Invite(t.Context(), alice, "fr", actor); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if after := h.user(u.ID); after.Lang != "" || len(h.audited(u.ID)) != before {
				t.Errorf("the user was changed: %+v", after)
			}
		})
	}
	h := newHouse(t)
	for _, email := range []string{"", "alice", "a@b\nc"} {
		if _, err := h.Invite(t.Context(), email, "", actor); !isInput(err, "email", "invalid") {
			t.Errorf("%q: %v", email, err)
		}
	}
}

func isInput(err error, field, problem string) bool {
	input, ok := errors.AsType[*InputError](err)
	return ok && input.Field == field && input.Problem == problem
}

// TestConcurrentInvitations checks that one user is added.
func TestConcurrentInvitations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	results := make([]*Invited, 8)
	var wait sync.WaitGroup
	for i := range results {
		wait.Go(func() {
			var err error
			if results[i], err = h.Invite(t.Context(), alice, "", actor); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	created := 0
	for _, r := range results {
		if r == nil || r.User.ID != results[0].User.ID {
			t.Fatalf("%+v", r)
		}
		if r.Created {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d users were added", created)
	}
}
