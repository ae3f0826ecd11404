package ops_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/admin"
	"vernal/idp/admin/ops"
	"vernal/idp/sp"
)

// TestListUsersFiltersAndPages walks the pages of a filtered list over more users than one
// command looks at: none is missing, and none comes twice.
func TestListUsersFiltersAndPages(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	const n = 3000
	var people []idp.ImportedUser
	for i := range n {
		u := &idp.User{ID: idp.UserID(fmt.Sprintf("U%05d", i)), CreatedAt: testTime, Emails: []idp.Email{{Address: fmt.Sprintf("user%d@example.gov", i)}}}
		if i%750 == 749 { // the last one of all is among them
			u.LockedAt, u.Role = testTime, "helpdesk"
			u.Emails[0].Address = fmt.Sprintf("Found%d@example.gov", i)
		}
		people = append(people, idp.ImportedUser{User: u})
	}
	if outcome, err := f.Store.ImportUsers(t.Context(), people); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(err)
	}
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	tests := []struct {
		name string
		req  ops.UsersRequest
		want int
	}{
		{"all", ops.UsersRequest{}, n},
		{"in small pages", ops.UsersRequest{Search: "found", Limit: 1}, 4},
		{"part of an email address", ops.UsersRequest{Search: "FOUND"}, 4},
		{"beginning of an ID", ops.UsersRequest{Search: "u0299"}, 10},
		{"locked", ops.UsersRequest{Locked: true}, 4},
		{"role", ops.UsersRequest{Role: "helpdesk", Search: "found749"}, 1},
		{"no one", ops.UsersRequest{Role: "admin"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := map[idp.UserID]bool{}
			for req := tt.req; ; {
				page, err := admin.Call(t.Context(), c, ops.ListUsers, req)
				if err != nil {
					t.Fatal(err)
				}
				if req.Limit > 0 && len(page.Users) > req.Limit {
					t.Fatalf("%d users, limit %d", len(page.Users), req.Limit)
				}
				for _, u := range page.Users {
					if seen[u.ID] {
						t.Fatalf("%s comes twice", u.ID)
					}
					seen[u.ID] = true
				}
				if req.After = page.Next; page.Next == "" {
					break
				}
			}
			if len(seen) != tt.want {
				t.Errorf("%d users, want %d", len(seen), tt.want)
			}
		})
	}
}

func TestUserIsNamedByEmailIDAndNameID(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	ctx := t.Context()
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	const email, id = "ana@example.gov", idp.EntityID("https://sp.example.gov/")
	added, err := admin.Call(ctx, c, ops.AddUser, account.NewUser{Email: email, Password: "plum jam on nine windows"})
	if err != nil {
		t.Fatal(err)
	}
	user := added.User.ID
	set := map[string][]string{"acs_urls": {"https://sp.example.gov/acs"}, "sign_requests": {"optional"}}
	made, err := admin.Call(ctx, c, ops.AddSP, ops.SPChange{EntityID: id, Edit: sp.Edit{Set: set}})
	if err != nil {
		t.Fatal(err)
	}
	name := idp.ImportedUser{User: &idp.User{ID: user}, NameIDs: map[idp.NameIDScope]idp.NameID{made.Provider.NameIDScope: "ana-there"}, AlreadyExists: true}
	if outcome, err := f.Store.ImportUsers(ctx, []idp.ImportedUser{name}); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(outcome, err)
	}
	for _, req := range []ops.UserRequest{{Email: email}, {Email: string(user)}, {NameID: "ana-there", SP: id}} {
		if u, err := admin.Call(ctx, c, ops.ShowUser, req); err != nil || u.ID != user {
			t.Errorf("%+v: %+v, %v", req, u, err)
		}
	}
	for _, req := range []ops.UserRequest{{Email: "NOBODY"}, {NameID: "ana-there", SP: "https://other.example.gov/"}, {NameID: "bo-there", SP: id}} {
		_, err := admin.Call(ctx, c, ops.ShowUser, req)
		wantCode(t, fmt.Sprintf("%+v", req), err, admin.CodeNotFound)
	}
	byID := ops.UserRequest{Email: string(user), Password: "nine jars of plum jam"}
	for _, op := range []ops.Op[ops.UserRequest, ops.ChangedUser]{ops.LockUser, ops.UnlockUser, ops.SetPassword, ops.ResetMFA} {
		if u, err := admin.Call(ctx, c, op, byID); err != nil || u.User.ID != user {
			t.Errorf("%s: %+v, %v", op.Path, u, err)
		}
	}
	if _, err := admin.Call(ctx, c, ops.VerifyUser, ops.VerifyRequest{Email: string(user)}); err != nil {
		t.Errorf("verify: %v", err)
	}
	if _, err := admin.Call(ctx, c, ops.DeleteUser, ops.UserRequest{Email: string(user)}); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = admin.Call(ctx, c, ops.ShowUser, ops.UserRequest{NameID: "ana-there", SP: id})
	wantCode(t, "show a deleted user", err, admin.CodeNotFound)
}

// TestShowUserPrintsNoSecret checks the fields of a user with everything. A list leaves out the
// service providers.
func TestShowUserPrintsNoSecret(t *testing.T) {
	t.Parallel()
	s, f := newService(t)
	u := &idp.User{
		ID: "U1", Emails: []idp.Email{{Address: "ana@example.gov", ConfirmedAt: testTime, DisclosedTo: []idp.EntityID{"urn:hidden"}}},
		PasswordHash: "$secret$", Lang: "fr", TOTPs: []idp.TOTP{{Name: "phone", Period: 30, Secret: []byte("secret")}},
		RecoveryCodes: &idp.RecoveryCodes{Salt: []byte("secret"), Hashes: [][]byte{[]byte("secret"), []byte("secret")}},
		Browsers:      []idp.KnownBrowser{{Hash: []byte("secret"), At: testTime}},
		Services: []idp.ConnectedService{
			{SP: "urn:a", FirstAt: testTime, LastAt: testTime, Attributes: []string{"email"}, ConsentAt: testTime, Email: "ana@example.gov"},
			{SP: "urn:b", FirstAt: testTime, LastAt: testTime, ConsentAt: testTime, WithdrawnAt: testTime},
		},
		FactorResetAt: testTime.AddDate(0, 0, 1), DeletionAt: testTime.AddDate(0, 0, 2), ProofingPausedAt: testTime,
		Accepted: &idp.AcceptedTexts{Rules: "hash", At: testTime}, CreatedAt: testTime, UpdatedAt: testTime,
	}
	if outcome, err := f.Store.ImportUsers(t.Context(), []idp.ImportedUser{{User: u}}); errors.Join(append(outcome, err)...) != nil {
		t.Fatal(err)
	}
	c := admin.NewProcessClient(s.Endpoint(os.Geteuid()), admin.Self())
	shown, err := admin.Call(t.Context(), c, ops.ShowUser, ops.UserRequest{Email: "U1"})
	if err != nil {
		t.Fatal(err)
	}
	want := ops.User{
		ID: "U1", Emails: []ops.Email{{Address: "ana@example.gov", ConfirmedAt: testTime}}, HasPassword: true, Lang: "fr",
		TOTPs: []ops.TOTP{{Name: "phone", Period: 30}}, RecoveryCodes: 2,
		Services:      []ops.UsedService{ops.UsedService(u.Services[0]), ops.UsedService(u.Services[1])},
		FactorResetAt: u.FactorResetAt, DeletionAt: u.DeletionAt, ProofingPausedAt: testTime, AcceptedAt: testTime, CreatedAt: testTime, UpdatedAt: testTime,
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	list, err := admin.Call(t.Context(), c, ops.ListUsers, ops.UsersRequest{})
	want.Services = nil
	if err != nil || len(list.Users) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if diff := cmp.Diff(want, list.Users[0]); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}
