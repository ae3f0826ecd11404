//go:build slow

package walk

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/idptest"
)

// newKnownSite returns a site with a user, who has recovery codes.
func newKnownSite(t *testing.T) (s *site, ann *idptest.User, codes []string) {
	t.Helper()
	s = newSite(t, account.Settings{})
	ann = s.AddUser(email)
	codes, err := s.Accounts.ReplaceRecoveryCodes(t.Context(), ann.Record.ID, idp.AuditEvent{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.Mails()
	return s, ann, codes
}

// start opens the sign-in page of a request, or that of the account.
func start(s *site, b *tab, hasSP bool, v variant) {
	s.t.Helper()
	if v.noScript {
		b.disableScripts()
	}
	if hasSP {
		b.open(s.begin())
	} else {
		b.open(s.URL + "/sign-in")
	}
}

// givePassword fills in the sign-in page.
func givePassword(b *tab, password string) {
	b.t.Helper()
	b.fill("#email", email)
	b.fill("#password", password)
	b.send()
}

// arrive agrees to share data if that is asked, and checks where the user is.
func arrive(s *site, b *tab, hasSP bool, v variant) {
	s.t.Helper()
	if !hasSP {
		b.checkPath("/account")
		return
	}
	if b.has("#consent") {
		b.send()
	}
	if v.noScript {
		b.press("main button")
	}
	s.checkArrived(b)
}

// eachWay runs a walk in every variant, with and without a service provider.
func eachWay(t *testing.T, walk func(t *testing.T, hasSP bool, v variant)) {
	t.Helper()
	for _, v := range variants {
		for _, hasSP := range []bool{true, false} {
			name := v.name
			if hasSP {
				name += ", with a service provider"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				walk(t, hasSP, v)
			})
		}
	}
}

// TestForgottenPassword walks from the sign-in page through a mailed link and back.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, hasSP bool, v variant) {
		s, _, _ := newKnownSite(t)
		b := openBrowser(t)
		start(s, b, hasSP, v)
		b.press(`main a[href^="/sign-in/forgot"]`)
		v.step(b)
		b.fill("#email", email)
		b.send()
		v.step(b)
		if mails := len(s.Mails()); mails > 3 { // of the set-up, and one link
			t.Errorf("%d mails", mails)
		}
		link := s.link("/sign-in/reset")
		b.open(link)
		v.step(b)
		b.fill("#password", "short")
		b.send()
		v.mistake(b)
		b.fill("#password", newPassword)
		b.send()
		b.checkPath("/sign-in")
		v.step(b)
		givePassword(b, newPassword)
		b.checkPath("/sign-in/code")
		b.fill("#code", s.code())
		b.send()
		arrive(s, b, hasSP, v)
		b.open(link)
		if b.has("#password[name=password]") {
			t.Error("the link works twice")
		}
	})
}

// TestForgottenPasswordInAnotherBrowser checks that the link works in another browser, whose user ends at the
// service provider, and that a newer link voids nothing until it is used.
func TestForgottenPasswordInAnotherBrowser(t *testing.T) {
	t.Parallel()
	s, _, _ := newKnownSite(t)
	here, there := openBrowser(t), openBrowser(t)
	here.open(s.begin())
	here.press(`main a[href^="/sign-in/forgot"]`)
	here.fill("#email", email)
	here.send()
	first := s.link("/sign-in/reset")
	here.send() // another one
	second := s.link("/sign-in/reset")
	if first == second {
		t.Fatal("no second link")
	}
	there.open(second)
	there.fill("#password", newPassword)
	there.send()
	givePassword(there, newPassword)
	there.fill("#code", s.code())
	there.send()
	if there.has("#consent") {
		there.send()
	}
	s.checkArrived(there)
	here.open(first)
	if here.has("#password[name=password]") {
		t.Error("a link from before the new password still works")
	}
	s.Clock.Advance(time.Hour)
	here.open(second)
	if here.has("#password[name=password]") {
		t.Error("a used link still works")
	}
}

// TestRecoveryCode walks through a sign-in with a recovery code.
func TestRecoveryCode(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, hasSP bool, v variant) {
		s, _, codes := newKnownSite(t)
		b := openBrowser(t)
		start(s, b, hasSP, v)
		givePassword(b, "wrong wrong wrong")
		v.mistake(b)
		givePassword(b, password)
		b.checkPath("/sign-in/code")
		v.step(b)
		b.press(`main a[href^="/sign-in/recovery-code"]`)
		v.step(b)
		b.fill("#code", "8F3K-22XM-PQ7D")
		b.send()
		v.mistake(b)
		b.fill("#code", strings.ToLower(codes[3]))
		b.send()
		v.step(b)
		if left := s.user().RecoveryCodeCount(); left != account.RecoveryCodeCount-1 {
			t.Errorf("%d codes left", left)
		}
		b.press("main a.usa-button, main form button.vernal-submit")
		arrive(s, b, hasSP, v)
	})
}

// TestLostFactors walks from the code page to the planned deletion, which a mailed link cancels.
func TestLostFactors(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, hasSP bool, v variant) {
		s, _, _ := newKnownSite(t)
		b := openBrowser(t)
		start(s, b, hasSP, v)
		givePassword(b, password)
		b.do(chromedp.Click(chromedp.CSS("details summary"))) // "I can't get a code"
		b.press(`main a[href^="/sign-in/lost"]`)
		v.step(b)
		if !b.has(`main a[href^="/sign-in"]`) {
			t.Error("no way back")
		}
		b.press("#lost button.usa-button--outline") // without the box
		v.mistake(b)
		b.do(chromedp.Click(chromedp.CSS("label[for=confirm]")))
		b.press("#lost button.usa-button--outline")
		if s.user().DeletionAt.IsZero() {
			t.Fatal("no deletion is planned")
		}
		b.open(s.link("/sign-in/keep-account"))
		if s.user().DeletionAt.IsZero() {
			t.Fatal("a look at the link cancels the deletion")
		}
		v.step(b)
		b.press("main form button[type=submit]")
		if !s.user().DeletionAt.IsZero() {
			t.Error("the deletion is still planned")
		}
	})
}

// TestConsent checks when a service provider's request asks for consent: at the first visit, when the
// list grows, after a year and after a withdrawal, and never otherwise.
func TestConsent(t *testing.T) {
	t.Parallel()
	s, _, _ := newKnownSite(t)
	b := openBrowser(t)
	visit := func(asks bool) {
		t.Helper()
		b.open(s.begin())
		if got := b.has("#consent"); got != asks {
			t.Fatalf("asked for consent: %t, want %t (at %s)", got, asks, b.eval("location.href"))
		}
		if asks {
			before := s.user().Services
			b.leave(chromedp.Reload())
			b.press("main form#consent + p a") // back to the service
			if diff := cmp.Diff(before, s.user().Services); diff != "" {
				t.Errorf("going back agrees:\n%s", diff)
			}
			b.open(s.begin())
			b.send()
		}
		s.checkArrived(b)
	}
	b.open(s.begin())
	givePassword(b, password)
	b.fill("#code", s.code())
	b.send()
	visit(true)
	visit(false)
	s.sp.Edit(func(p *idp.ServiceProvider) { p.Attributes = append(p.Attributes, "all_emails") })
	visit(true)
	visit(false)
	b.open(s.URL + "/account/services")
	b.press(`form[action="/account/services/withdraw"] button`)
	if b.has(`form[action="/account/services/withdraw"] input[name=sure]`) {
		b.press(`form[action="/account/services/withdraw"] button`)
	}
	visit(true)
	s.Clock.Advance(366 * 24 * time.Hour)
	s.sp.IgnoresCertificateEnd = true
	b.open(s.begin())
	givePassword(b, password)
	b.fill("#code", s.code())
	b.send()
	visit(true)
	visit(false)
}

// TestAccountPages walks through the pages of the account on which a user changes it.
func TestAccountPages(t *testing.T) {
	t.Parallel()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := newKnownSite(t)
			b := openBrowser(t)
			start(s, b, false, v)
			givePassword(b, password)
			b.fill("#code", s.code())
			b.send()
			b.checkPath("/account")
			v.step(b)

			b.open(s.URL + "/account/emails")
			b.fill("#email", "second")
			b.send()
			v.mistake(b)
			b.fill("#email", "second@example.net")
			b.send()
			v.step(b)
			b.open(s.link("/account/emails/confirm"))
			v.step(b)
			b.press("main form button[type=submit]")
			if emails := s.user().Emails; len(emails) != 2 || emails[1].ConfirmedAt.IsZero() {
				t.Fatalf("email addresses %+v", emails)
			}
			b.open(s.URL + "/account/emails")
			b.press(`form[action="/account/emails/primary"] button`)
			if s.Mails(); s.user().PrimaryEmail() != "second@example.net" {
				t.Error("no other primary email address")
			}
			b.open(s.link("/account/emails/undo"))
			b.press("main form button[type=submit]")
			if s.user().PrimaryEmail() != email {
				t.Error("the change is not undone")
			}

			start(s, b, false, variant{}) // the undo ended all sessions
			givePassword(b, password)
			b.fill("#code", s.code())
			b.send()
			b.open(s.URL + "/account/password")
			b.fill("#password", password)
			b.fill("#new_password", "short")
			b.send()
			v.mistake(b)
			b.fill("#password", password)
			b.fill("#new_password", newPassword)
			b.send()
			v.step(b)
			if s.user().PasswordChangedAt.Equal(s.user().CreatedAt) {
				t.Error("the password is not changed")
			}

			b.open(s.URL + "/account/factors/add")
			b.fill("#code", "12")
			b.send()
			v.mistake(b)
			b.fill("#code", setUp(s, b))
			b.send()
			if len(s.user().TOTPs) != 2 {
				t.Error("no second authenticator")
			}
			b.press(`form[action="/account/factors/remove"] button`)
			b.press(`form[action="/account/factors/remove"] button`)
			if len(s.user().TOTPs) != 1 {
				t.Error("the authenticator is not removed")
			}

			b.open(s.URL + "/account/delete")
			b.fill("#email", email)
			b.press("main form[action='/account/delete'] button[type=submit]")
			if s.user().DeletionAt.IsZero() {
				t.Error("no deletion is planned")
			}
			b.open(s.URL + "/account/delete")
			v.step(b)
			b.press(`form[action="/account/delete/keep"] button`)
			if !s.user().DeletionAt.IsZero() {
				t.Error("the deletion is still planned")
			}
			for _, path := range []string{"/account/services", "/account/sessions", "/account/history", "/account/data"} {
				b.open(s.URL + path)
				b.checkPath(path)
				v.step(b)
			}
		})
	}
}
