package authn_test

import (
	"net/http"
	"testing"

	"vernal/idp/account"
	"vernal/idp/idptest"
)

// What cannot be a code is told at once, however often, and is no guess: a
// finger that slips does not bring anybody nearer to a limit.
func TestSlipIsNoGuess(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann := i.AddPerson("ann@example.gov")
	b := begun(t, i, ann)
	page := b.Get("/sign-in/code")
	for n := range 2 * account.DefaultLimits().Code.Max {
		form := page.Form()
		form.Fields.Set("code", []string{"", "12345", "1234567", "abcdef"}[n%4])
		page = b.Post(form.Action, form.Fields)
		says(t, page, http.StatusUnprocessableEntity)
	}
	says(t, b.GiveCode(page, ann), http.StatusOK, "You are signed in")
}

// The audit trail says that a browser is remembered from now on where it is, and
// nowhere else.
func TestRememberedIsOnRecord(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	ann, bob := i.AddPerson("ann@example.gov"), i.AddPerson("bob@example.gov")
	rememberedIn(t, i, ann)
	signedIn(t, i, bob)
	records, err := i.Store.AuditRecords(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, r := range records {
		if r.Kind != "authn" {
			continue
		}
		found++
		if got, want := r.Detail["remembered"], map[bool]string{true: "yes"}[r.User == ann.User.ID]; got != want {
			t.Errorf("the record of %s says remembered=%q, want %q", r.User, got, want)
		}
	}
	if found != 2 {
		t.Errorf("%d sign-ins are on record, want 2", found)
	}
}
