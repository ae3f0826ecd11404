//go:build slow

package walk

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/maillink"
)

// setUp sets up the authenticator of a page and returns the code that it shows.
func setUp(s *site, b *tab) string {
	s.t.Helper()
	text := b.eval(`document.querySelector(".vernal-secret").textContent.replace(/\s/g, "")`)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		s.t.Fatal(err)
	}
	code, err := account.ComputeCode(idp.TOTP{Secret: secret, Period: 30}, s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// TestRegistration walks from the sign-in page to the account or the service provider, in every
// variant.
func TestRegistration(t *testing.T) {
	t.Parallel()
	for _, v := range variants {
		for _, hasSP := range []bool{true, false} {
			name := v.name
			if hasSP {
				name += ", with a service provider"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s, b := newSite(t, account.Settings{SignUp: account.SignUpOpen}), openBrowser(t)
				if v.noScript {
					b.disableScripts()
				}
				if hasSP {
					b.open(s.begin())
				} else {
					b.open(s.URL + "/sign-in")
				}
				b.press(`main a[href^="/sign-up"]`)
				v.step(b)
				b.fill("#email", "ann")
				b.send() // with a mistake
				v.mistake(b)
				b.fill("#email", email)
				b.send()
				v.step(b)
				mails := len(s.Mails())
				if mails != 1 {
					t.Errorf("%d mails after one form", mails)
				}
				b.open(s.link("/sign-up/confirm"))
				v.step(b)
				b.fill("#password", newPassword)
				b.send()
				b.checkPath("/sign-in/set-up")
				v.step(b)
				b.fill("#code", "12")
				b.send() // with a mistake
				v.mistake(b)
				b.fill("#code", setUp(s, b))
				b.send()
				b.checkPath("/sign-in/recovery-codes")
				v.step(b)
				b.send()
				if codes := b.eval(`String(document.querySelectorAll("main li").length)`); codes == "0" {
					t.Error("no recovery codes are shown")
				}
				if v.name == "reload" { // the codes are shown once
					v.step(b)
				}
				if u := s.user(); u == nil || len(u.TOTPs) != 1 || u.RecoveryCodeCount() != account.RecoveryCodeCount {
					t.Fatalf("user %+v", u)
				}
				finish(s, b, hasSP, v)
			})
		}
	}
}

// finish goes on from the page of the recovery codes.
func finish(s *site, b *tab, hasSP bool, v variant) {
	s.t.Helper()
	if b.has("#saved") {
		b.do(chromedp.Click(chromedp.CSS("label[for=saved]")))
		b.send()
	} else {
		b.press("main p a")
	}
	if !hasSP {
		b.checkPath("/account")
		return
	}
	v.step(b)
	b.send() // the consent
	if v.noScript {
		b.press("main button")
	}
	s.checkArrived(b)
}

// TestRegistrationInAnotherBrowser checks that a mailed link works in another browser, where the
// journey goes on and ends at the service provider's own page to sign in. The first browser can do nothing
// with the link afterwards.
func TestRegistrationInAnotherBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, account.Settings{SignUp: account.SignUpOpen})
	here, there := openBrowser(t), openBrowser(t)
	here.open(s.begin())
	here.press(`main a[href^="/sign-up"]`)
	here.fill("#email", email)
	here.send()
	link := s.link("/sign-up/confirm")
	here.open(link) // a look at the link uses nothing up
	there.open(link)
	there.fill("#password", newPassword)
	there.send()
	there.checkPath("/sign-in/set-up")
	here.fill("#password", newPassword)
	here.send()
	if here.has("#code") || s.user() == nil {
		t.Errorf("the link worked twice: %s", here.path())
	}
	there.fill("#code", setUp(s, there))
	there.send()
	there.press("main form.usa-form + p a") // no recovery codes for now
	if there.has("#consent") {
		there.send()
	}
	s.checkArrived(there)
}

// TestRegistrationTooLate checks an expired and a replaced link: both lead to a new one.
func TestRegistrationTooLate(t *testing.T) {
	t.Parallel()
	s, b := newSite(t, account.Settings{SignUp: account.SignUpOpen}), openBrowser(t)
	b.open(s.URL + "/sign-up")
	b.fill("#email", email)
	b.send()
	link := s.link("/sign-up/confirm")
	s.Clock.Advance(25 * time.Hour)
	b.open(link)
	if b.has("#password") {
		t.Fatal("the link still works")
	}
	b.press("main a.usa-button")
	b.fill("#email", email)
	b.send()
	if next := s.link("/sign-up/confirm"); next == link {
		t.Fatal("no new link")
	} else {
		b.open(next)
	}
	b.fill("#password", "short")
	b.send()
	b.fill("#password", newPassword)
	b.send()
	b.checkPath("/sign-in/set-up")
}

// TestInvitation walks from the mail of an operator's invitation to the account.
func TestInvitation(t *testing.T) {
	t.Parallel()
	for _, mode := range []account.SignUpMode{account.SignUpByInvitation, account.SignUpOff} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, b := newSite(t, account.Settings{SignUp: mode}), openBrowser(t)
			b.open(s.URL + "/sign-in")
			if isOffered := b.has(`main a[href^="/sign-up"]`); isOffered && mode == account.SignUpOff {
				t.Error("sign-up is offered")
			}
			invited, err := s.Accounts.Invite(t.Context(), email, "en", "test")
			if err != nil {
				t.Fatal(err)
			}
			token, err := s.MailLinks.Issue(t.Context(), maillink.Link{Purpose: maillink.Invitation, Email: email, User: invited.User.ID, Stamp: invited.User.LinkStamp()})
			if err != nil {
				t.Fatal(err)
			}
			b.open(s.URL + "/sign-up/confirm?token=" + token)
			b.fill("#password", newPassword)
			b.send()
			b.checkPath("/sign-in/set-up")
			b.fill("#code", setUp(s, b))
			b.send()
			b.press("main form.usa-form + p a")
			b.checkPath("/account")
			if !strings.Contains(b.eval("document.body.innerText"), email) {
				t.Error("another user is signed in")
			}
		})
	}
}
