package authn_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
)

// Each change to how a user signs in ends all their sessions and pending sign-ins, and those
// of no other user.
func TestChangesEndSessionsAndSignIns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*testing.T, *idptest.IdP, string) error
	}{
		{"password", func(t *testing.T, i *idptest.IdP, email string) error {
			_, err := i.Accounts.SetPassword(t.Context(), email, "another otter mends ten kettles", "test")
			return err
		}},
		{"factors taken", func(t *testing.T, i *idptest.IdP, email string) error {
			_, err := i.Accounts.ResetMFA(t.Context(), email, "test")
			return err
		}},
		{"factor added", func(t *testing.T, i *idptest.IdP, email string) error {
			_, err := i.Accounts.AddTOTP(t.Context(), email, account.NewTOTP{}, "test")
			return err
		}},
		{"locked and unlocked", func(t *testing.T, i *idptest.IdP, email string) error {
			_, err := i.Accounts.Lock(t.Context(), email, "test", "test")
			return errors.Join(err, i.Accounts.Unlock(t.Context(), email, "test"))
		}},
		{"locked", func(t *testing.T, i *idptest.IdP, email string) error {
			_, err := i.Accounts.Lock(t.Context(), email, "test", "test")
			return err
		}},
		{"deleted", func(t *testing.T, i *idptest.IdP, email string) error {
			return i.Accounts.Delete(t.Context(), email, "test")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := idptest.New(t, idptest.Options{})
			ann, bob := i.AddUser("ann@example.gov"), i.AddUser("bob@example.gov")
			one, _ := signIn(t, i, ann)
			two, _ := signIn(t, i, ann)
			bobs, _ := signIn(t, i, bob)
			pending, bobsPending := giveOnlyPassword(t, i, ann), giveOnlyPassword(t, i, bob)
			code := ann.Code()

			if err := tt.change(t, i, ann.Email); err != nil {
				t.Fatal(err)
			}
			for _, b := range []*idptest.Browser{one, two} {
				checkPage(t, b.Get("/account"), http.StatusOK, "Your session has ended")
			}
			checkPage(t, pending.Post("/sign-in/code", url.Values{"code": {code}}), http.StatusUnprocessableEntity, "Password")
			checkPage(t, pending.Get("/account"), http.StatusOK, "Password")
			if left, err := i.Store.Sessions(t.Context(), idp.SessionQuery{User: ann.Record.ID}); err != nil || len(left) != 0 {
				t.Errorf("%d sessions are left, %v", len(left), err)
			}
			checkPage(t, bobs.Get("/account"), http.StatusOK, bob.Email)
			checkPage(t, bobsPending.Post("/sign-in/code", url.Values{"code": {bob.Code()}}), http.StatusOK, text("account.sign_out"))
		})
	}
}
