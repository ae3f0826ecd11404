package logout_test

import (
	"net/http"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/saml"
)

// addressDeployment returns a deployment whose provider a may use email addresses as NameIDs
// and was sent one of ada's two. Provider b may use them, too, and was sent the other one.
func addressDeployment(t *testing.T) *deployment {
	t.Helper()
	emails := func(p *idp.ServiceProvider) {
		p.NameIDFormats = []string{idp.NameIDFormatPersistent, idp.NameIDFormatEmail}
	}
	w := &deployment{IdP: idptest.New(t, idptest.Options{}), t: t}
	w.a, w.b = w.AddProvider(spA, emails), w.AddProvider(spB, emails)
	person := w.AddUser("ada@home.example")
	err := w.Store.UpdateUser(t.Context(), person.Record.ID, func(u *idp.User) error {
		u.Emails = append(u.Emails, idp.Email{Address: "Ada@work.example", ConfirmedAt: w.Clock.Now()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.bob = visitor{User: w.AddUser("bob@example.gov"), browser: w.Browser()}
	w.bob.name = w.discloseNameID(&w.bob, w.a, saml.NameIDFormatPersistent)

	w.ada = visitor{User: person, browser: w.Browser()}
	w.ada.otherName = w.discloseNameID(&w.ada, w.b, saml.NameIDFormatEmail)
	w.ada.Email, w.ada.browser = "Ada@work.example", w.Browser()
	w.ada.name = w.discloseNameID(&w.ada, w.a, saml.NameIDFormatEmail)
	if w.ada.name != "Ada@work.example" || w.ada.otherName != "ada@home.example" || strings.Contains(w.bob.name, "@") {
		t.Fatalf("disclosed %q, %q and %q", w.ada.name, w.ada.otherName, w.bob.name)
	}
	w.wantSignedIn("Ada", "Ada", "bob")
	return w
}

// discloseNameID signs the visitor in at a provider and returns the NameID that the provider was
// sent.
func (w *deployment) discloseNameID(v *visitor, p *idptest.Provider, format string) string {
	w.t.Helper()
	r := &idptest.Request{Format: format}
	page := v.browser.SignIn(v.browser.Get(p.URL(r)), v.User)
	a, err := p.Check(r, page.Response())
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Subject.NameID.Value
}

// A provider can name a user only by the email address that it was sent, not by another
// address of the user and not by one that was sent to another provider.
func TestLogoutByDisclosedEmailOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, address string
		ends          bool
	}{
		{"the one it was given", "Ada@work.example", true},
		{"in another case", "ada@WORK.example", true},
		{"another of theirs", "ada@home.example", false},
		{"another person's, who came without", "bob@example.gov", false},
		{"unknown", "eve@example.gov", false},
	}
	whole := addressDeployment(t) // shared by the cases that end nothing
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			front, back := whole, whole
			left := []string{"Ada", "Ada", "bob"}
			status, detail, code := requester, unknownPrincipal, http.StatusBadRequest
			if tt.ends {
				front, back = addressDeployment(t), addressDeployment(t)
				left, status, detail, code = left[1:], ok, "", http.StatusOK
			}
			r := &idptest.LogoutRequest{NameID: tt.address}
			checkLogoutResponse(t, front.ada.browser.Get(front.a.LogoutURL(r)), front.a, r, status, detail)
			front.wantSignedIn(left...)

			if got := back.a.SendRemoteLogout(&idptest.LogoutRequest{NameID: tt.address}); got.Status != code || got.Response == nil {
				t.Errorf("back channel: %d, want %d\n%s", got.Status, code, got.Body)
			}
			back.wantSignedIn(left...)
		})
	}
}

// A provider that may no longer use email addresses names no user by one. A user's former
// email address names no user, too.
func TestLogoutByAddressWithdrawn(t *testing.T) {
	t.Parallel()
	w := addressDeployment(t)
	err := w.Store.UpdateUser(t.Context(), w.ada.Record.ID, func(u *idp.User) error {
		u.Emails = u.Emails[:1]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &idptest.LogoutRequest{NameID: "Ada@work.example"}
	checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, requester, unknownPrincipal)

	w = addressDeployment(t)
	w.a.Edit(func(p *idp.ServiceProvider) { p.NameIDFormats = []string{idp.NameIDFormatPersistent} })
	r = &idptest.LogoutRequest{NameID: "Ada@work.example"}
	checkLogoutResponse(t, w.ada.browser.Get(w.a.LogoutURL(r)), w.a, r, requester, unknownPrincipal)
	w.wantSignedIn("Ada", "Ada", "bob")
}
