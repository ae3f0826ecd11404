package ops_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
)

// TestProfileShownByName checks that a single user is shown with the names of the proofed
// fields, and that a list shows only the level and leaves the profile sealed.
func TestProfileShownByName(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	client := overSocket(t, s, t.TempDir())
	ctx := t.Context()
	if _, _, err := s.Accounts.Create(ctx, account.NewUser{Email: "ana@example.gov", Password: "plum jam on nine windows"}, "test"); err != nil {
		t.Fatal(err)
	}
	profile := &idp.Profile{Level: idp.IALVerified, VerifiedAt: testTime, FirstName: "Ana", LastName: "Ruiz", SSN: "900-11-2222"}
	verified, err := admin.Call(ctx, client, ops.VerifyUser, ops.VerifyRequest{Email: "ana@example.gov", Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	want := &ops.Profile{Level: idp.IALVerified, VerifiedAt: testTime, Fields: []string{"first_name", "last_name", "ssn"}}
	if diff := cmp.Diff(want, verified.User.Profile); diff != "" {
		t.Errorf("verified (-want +got):\n%s", diff)
	}
	shown, err := admin.Call(ctx, client, ops.ShowUser, ops.UserRequest{Email: "ana@example.gov"})
	if diff := cmp.Diff(want, shown.Profile); err != nil || diff != "" {
		t.Errorf("shown: %v (-want +got):\n%s", err, diff)
	}
	list, err := allUsers(ctx, client)
	want.Fields = nil
	if diff := cmp.Diff(want, list[0].Profile); err != nil || diff != "" {
		t.Errorf("listed: %v (-want +got):\n%s", err, diff)
	}
	if p, err := f.Store.Profile(ctx, shown.ID); err != nil || p.SSN != profile.SSN {
		t.Errorf("recorded: %+v, %v", p, err)
	}
}
