package ops_test

import (
	"slices"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
)

// TestRemovedEmailIsNotified checks that staff remove no confirmed email address without a mail to it, and
// that a refused edit sends none.
func TestRemovedEmailIsNotified(t *testing.T) {
	t.Parallel()
	s, f, box, client := newInviter(t)
	u := &idp.User{ID: "u1", Emails: []idp.Email{
		{Address: "ann@example.gov", ConfirmedAt: f.Clock.Now()}, {Address: "Old@example.gov", ConfirmedAt: f.Clock.Now()}, {Address: "typo@example.gov"},
	}}
	conflicts, err := s.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: u}})
	if err != nil || conflicts[0] != nil {
		t.Fatal(err, conflicts)
	}
	received := func() (to []string) {
		t.Helper()
		if err := f.UserMails.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range box.mails {
			to = append(to, m.To)
		}
		box.mails = nil
		slices.Sort(to)
		return slices.Compact(to)
	}
	edit := func(emails ...string) error {
		_, err := admin.Call(t.Context(), client, ops.EditUser, ops.EditUserRequest{Email: "ann@example.gov", Edit: account.Edit{RemoveEmails: emails}})
		return err
	}
	if err := edit("old@example.gov", "ann@example.gov"); err == nil {
		t.Error("the primary email address was removed")
	}
	if to := received(); len(to) != 0 {
		t.Errorf("mails to %v after a refused edit", to)
	}
	if err := edit("old@example.gov", "typo@example.gov"); err != nil {
		t.Fatal(err)
	}
	if to := received(); !slices.Equal(to, []string{"Old@example.gov", "ann@example.gov"}) {
		t.Errorf("mails to %v", to)
	}
}
