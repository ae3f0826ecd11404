package sso_test

import (
	"net/http"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// Choosing which email addresses are disclosed to service providers takes a sign-in with both
// factors. The password alone is not enough.
func TestAddressNeedsSecondFactor(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	p := i.AddProvider(spA)
	first := i.AddUser("ada@example.gov")
	err := i.Store.UpdateUser(t.Context(), first.Record.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: "byron@example.gov", ConfirmedAt: u.CreatedAt})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	second := *first
	second.Email = "Byron@example.gov"

	browser := i.Browser()
	checkDisclosed := func(when, want string) {
		t.Helper()
		req := &idptest.Request{}
		if got := attribute(accept(t, p, req, browser.Get(p.URL(req))), "email"); got != want {
			t.Errorf("%s: email = %q, want %q", when, got, want)
		}
	}
	browser.SignIn(browser.Get("/sign-in"), first)
	checkDisclosed("signed in", "ada@example.gov")

	i.Clock.Advance(time.Minute)
	thief := i.Browser()
	page := thief.GivePassword(thief.Get("/sign-in"), &second)
	checkDisclosed("the password, under another address", "ada@example.gov")
	wrong := page.Form().Fields
	wrong.Set("code", "000000")
	if answer := thief.Post("/sign-in/code", wrong); answer.Status != http.StatusUnprocessableEntity {
		t.Fatalf("a wrong code: %d", answer.Status)
	}
	checkDisclosed("a wrong code", "ada@example.gov")
	thief.GiveCode(page, &second, "remember")
	checkDisclosed("the code too", "byron@example.gov")

	// A remembered device is a second factor.
	i.Clock.Advance(time.Minute)
	thief.Post("/account/sign-out", nil)
	thief.GivePassword(thief.Get("/sign-in"), first)
	checkDisclosed("a remembered device", "ada@example.gov")
}
