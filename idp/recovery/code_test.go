package recovery_test

import (
	"net/http"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
)

// TestUserWithOnlyRecoveryCodesSignsIn checks that a user whose only factor beside the password is a set of
// recovery codes is asked for one, never for the set-up of another factor, and can set up an
// authenticator afterwards.
func TestUserWithOnlyRecoveryCodesSignsIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	codes := d.codes()
	ok(t, d.Bolt.UpdateUser(t.Context(), d.ann.Record.ID, func(u *idp.User) error { u.TOTPs = nil; return nil }))
	provider := d.AddProvider("https://sp.example")
	b, request := d.Browser(), &idptest.Request{}
	page := b.GivePassword(b.Get(provider.URL(request)), d.ann)
	d.checkPath(page, "/sign-in/recovery-code")
	d.checkPath(b.Get(d.findHref(page, "/sign-in/lost")), "/sign-in/lost")
	setUpPage := b.Get("/sign-in/set-up")
	d.checkPath(setUpPage, "/sign-in/recovery-code")
	form := page.Form()
	form.Fields.Set("code", codes[0])
	page = b.Post(form.Action, form.Fields)
	d.checkStatus(page, http.StatusOK)
	page = b.Get(d.findHref(page, "/sign-in/continue"))
	if _, err := provider.Check(request, page.Response()); err != nil {
		t.Errorf("%d %s: %v", page.Status, page.URL, err)
	}
	d.checkPath(b.Get("/account/factors/add"), "/account/factors/add")
}
