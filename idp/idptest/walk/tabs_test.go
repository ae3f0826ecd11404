//go:build slow

package walk

import (
	"testing"

	"vernal/idp/account"
)

// TestRegistrationInTwoTabs checks that two tabs of a browser share one registration: both show the same
// authenticator, and the second one finds the account complete.
func TestRegistrationInTwoTabs(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, account.Settings{SignUp: account.SignUpOpen}), openBrowser(t)
	b.open(s.begin())
	b.press(`main a[href^="/sign-up"]`)
	b.fill("#email", email)
	b.send()
	b.open(s.link("/sign-up/confirm"))
	b.fill("#password", newPassword)
	b.send()
	b.checkPath("/sign-in/set-up")
	other := b.openTab()
	other.open(b.eval("location.href"))
	code := setUp(s, b)
	if setUp(s, other) != code {
		t.Fatal("the tabs show different authenticators")
	}
	b.fill("#code", code)
	b.send()
	b.checkPath("/sign-in/recovery-codes")
	other.fill("#code", code)
	other.send()
	if u := s.user(); len(u.TOTPs) != 1 {
		t.Errorf("%d authenticators", len(u.TOTPs))
	}
	if other.has("#consent") {
		other.send()
	}
	s.checkArrived(other)
}

// TestSignInInTwoTabs checks that a sign-in in one tab is one in the other, whatever was begun there.
func TestSignInInTwoTabs(t *testing.T) {
	t.Parallel()
	s, _, _ := newKnownSite(t)
	here := openBrowser(t)
	here.open(s.URL + "/sign-in")
	there := here.openTab()
	there.open(s.URL + "/sign-in")
	givePassword(here, password)
	givePassword(there, password)
	here.fill("#code", s.code())
	here.send()
	here.checkPath("/account")
	there.fill("#code", s.code())
	there.send()
	there.checkPath("/account")
	here.open(s.URL + "/account")
	here.checkPath("/account")
}
