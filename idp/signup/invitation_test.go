package signup_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/account"
	"vernal/idp/audit"
	"vernal/idp/maillink"
)

// invite adds a user as an operator's invitation does, and returns the user and the link.
func (d *deployment) invite(change ...func(*idp.User)) (*idp.User, string) {
	d.t.Helper()
	u := &idp.User{ID: "u1", Emails: []idp.Email{{Address: email}}, CreatedAt: d.Clock.Now(), UpdatedAt: d.Clock.Now()}
	for _, c := range change {
		c(u)
	}
	conflicts, err := d.Bolt.ImportUsers(d.t.Context(), []idp.ImportedUser{{User: u}})
	ok(d.t, err)
	for _, err := range conflicts {
		ok(d.t, err)
	}
	tok, err := d.MailLinks.Issue(d.t.Context(), maillink.Link{Purpose: maillink.Invitation, Email: email, User: u.ID, Stamp: u.LinkStamp()})
	ok(d.t, err)
	return u, "/sign-up/confirm?token=" + tok
}

// TestInvitation checks that an invited user completes the account in every mode, once.
func TestInvitation(t *testing.T) {
	t.Parallel()
	for _, mode := range []account.SignUpMode{account.SignUpOpen, account.SignUpByInvitation, account.SignUpOff} {
		d := newDeployment(t, account.Settings{SignUp: mode})
		_, link := d.invite()
		b := d.Browser()
		start := d.lastRecord()
		page := d.choosePassword(b, link, password)
		if page.URL.Path != "/sign-in/set-up" {
			t.Fatalf("%s: %d %s\n%s", mode, page.Status, page.URL, page.Text())
		}
		d.checkRecords(start, audit.InvitationCompleted)
		page = d.setUp(b, page)
		if page.URL.Path != "/sign-in/recovery-codes" || b.Get("/account").URL.Path != "/account" {
			t.Errorf("%s: %d %s", mode, page.Status, page.URL)
		}
		u := d.user(email)
		if u.ID != "u1" || u.Emails[0].ConfirmedAt.IsZero() || !u.HasSecondFactor() || u.Lang != "en" {
			t.Errorf("%s: %+v", mode, u)
		}
		page = d.Browser().Get(link)
		if page.Status != 410 || slices.Contains(links(page), "/sign-up") != (mode == account.SignUpOpen) {
			t.Errorf("%s: used link: %d %v", mode, page.Status, links(page))
		}
	}
}

// TestInvitedUserWithFactor checks that a user who was imported with an authenticator proves it
// instead of adding one.
func TestInvitedUserWithFactor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, account.Settings{})
	totp := idp.TOTP{Secret: []byte("12345678901234567890"), Period: 30}
	_, link := d.invite(func(u *idp.User) { u.TOTPs = []idp.TOTP{totp} })
	b := d.Browser()
	if page := d.choosePassword(b, link, password); page.URL.Path != "/sign-in/code" {
		t.Fatalf("%d %s", page.Status, page.URL)
	}
	if page := b.Get("/sign-in/set-up"); page.URL.Path != "/sign-in/code" {
		t.Errorf("set-up: %d %s", page.Status, page.URL)
	}
	code, err := account.ComputeCode(totp, d.Clock.Now())
	ok(t, err)
	if page := b.Post("/sign-in/code", url.Values{"code": {code}}); page.URL.Path != "/account" {
		t.Errorf("%d %s", page.Status, page.URL)
	}
}

// TestVoidInvitations checks that an invitation does nothing once the account has changed.
func TestVoidInvitations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(d *deployment, u *idp.User)
		status int
	}{
		"password set": {func(d *deployment, u *idp.User) {
			_, err := d.Accounts.SetPassword(d.t.Context(), email, "another otter mends nine", "test")
			ok(d.t, err)
		}, 410},
		"password set and removed": {func(d *deployment, u *idp.User) {
			ok(d.t, d.Bolt.UpdateUser(d.t.Context(), u.ID, func(u *idp.User) error { u.PasswordChangedAt = d.Clock.Now(); return nil }))
		}, 410},
		"email address removed": {func(d *deployment, u *idp.User) {
			ok(d.t, d.Bolt.UpdateUser(d.t.Context(), u.ID, func(u *idp.User) error { u.Emails[0].Address = "new@example.gov"; return nil }))
		}, 410},
		"deleted": {func(d *deployment, u *idp.User) { ok(d.t, d.Bolt.DeleteUser(d.t.Context(), u.ID)) }, 410},
		"locked": {func(d *deployment, u *idp.User) {
			_, err := d.Accounts.Lock(d.t.Context(), email, "", "test")
			ok(d.t, err)
		}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, account.Settings{})
			u, link := d.invite()
			tt.change(d, u)
			before := d.user(email)
			b := d.Browser()
			if page := d.choosePassword(b, link, password); page.Status != tt.status {
				t.Errorf("%d:\n%s", page.Status, page.Text())
			}
			after := d.user(email)
			if (before == nil) != (after == nil) || before != nil && after.PasswordHash != before.PasswordHash {
				t.Errorf("the account changed: %+v", after)
			}
			if slices.ContainsFunc(cookieNames(b.Cookies()), func(n string) bool { return strings.Contains(n, "signin") }) {
				t.Error("a sign-in began")
			}
		})
	}
}
