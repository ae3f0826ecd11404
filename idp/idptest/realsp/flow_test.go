//go:build realsp

package realsp

import (
	"errors"
	"strings"

	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// The pages that a sign-in passes.
const (
	pageSignIn   = "sign-in"  // ours: email address and password
	pageCode     = "code"     // ours
	pageConsent  = "consent"  // ours: asks what may be disclosed
	pageResponse = "response" // ours: posts the Response
	pageRequest  = "request"  // the Ruby application's: posts the AuthnRequest
	pageSecret   = "secret"   // a service provider's, with the NameID
	pageOther    = "other"

	pageSignedOut = "signed-out" // a service provider's, after a logout
)

// showing is a script that returns which page the tab shows, "" while one is loading.
const showing = `(() => {
	if (document.readyState !== 'complete') return '';
	const has = (s) => document.querySelector(s) !== null;
	if (has('form input[name=SAMLResponse]')) return 'response';
	if (has('form input[name=SAMLRequest]')) return 'request';
	if (has('form input[name=password]')) return 'sign-in';
	if (has('form input[name=code]')) return 'code';
	if (has('form input[name=shown]')) return 'consent';
	if (has('#name-id')) return 'secret';
	if (has('#signed-out')) return 'signed-out';
	return location.href === 'about:blank' ? '' : 'other';
})()`

// shown returns the page at which the tab comes to rest. It passes pages that post
// themselves, with their button if there is no script.
func (b *tab) shown() string {
	b.t.Helper()
	var at string
	binary.WaitUntil(b.t, pageTime, "a page that waits for the person", func() error {
		name, err := try[string](b, showing)
		if err != nil {
			return err
		}
		switch at = name; name {
		case "":
			return errors.New("loading")
		case pageRequest, pageResponse:
			if !b.noScript {
				return errors.New("the page has not posted itself: " + name)
			}
			b.press("form button")
			return errors.New("pressed the button")
		}
		return nil
	})
	return at
}

// expect ends the test if the tab comes to rest at another page.
func (b *tab) expect(name string) {
	b.t.Helper()
	if at := b.shown(); at != name {
		b.t.Fatalf("the tab shows the page %q at %s, want %q", at, b.location(), name)
	}
}

// givePassword fills in the sign-in page.
func (b *tab) givePassword(p *binary.User) {
	b.t.Helper()
	b.expect(pageSignIn)
	b.do(
		chromedp.SendKeys(chromedp.CSS("input[name=email]"), p.Email),
		chromedp.SendKeys(chromedp.CSS("input[name=password]"), p.Password),
	)
	b.press("form button[type=submit]")
}

// giveCode fills in the code page.
func (b *tab) giveCode(p *binary.User) {
	b.t.Helper()
	b.enterCode(p.Code(b.t))
}

// enterCode fills in the code page with any code.
func (b *tab) enterCode(code string) {
	b.t.Helper()
	b.expect(pageCode)
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=code]"), code))
	b.press("form button[type=submit]")
}

// signIn opens a protected page, signs the user in and checks that the page appears.
func (b *tab) signIn(sp *provider, path string, p *binary.User) (nameID string) {
	b.t.Helper()
	b.open(sp.secret(path))
	b.expect(pageSignIn)
	if text := run(b, chromedp.Evaluate[string]("document.body.innerText")); !strings.Contains(text, sp.name) {
		b.t.Errorf("the sign-in page does not name %q:\n%s", sp.name, text)
	}
	b.givePassword(p)
	b.giveCode(p)
	return b.arrived(sp, path, p)
}

// arrived checks that the tab shows the protected page with the user's name.
func (b *tab) arrived(sp *provider, path string, p *binary.User) (nameID string) {
	b.t.Helper()
	b.expect(pageSecret)
	if at := b.location(); at != sp.secret(path) {
		b.t.Errorf("arrived at %s, want %s", at, sp.secret(path))
	}
	nameID = b.text("name-id")
	if !uuidV4.MatchString(nameID) {
		b.t.Errorf("NameID %q is not a random UUID", nameID)
	}
	if uuid := b.text("attribute-uuid"); uuid != nameID {
		b.t.Errorf("attribute uuid is %q, the NameID %q", uuid, nameID)
	}
	if email := b.text("attribute-email"); email != p.Email {
		b.t.Errorf("attribute email is %q, want %q", email, p.Email)
	}
	return nameID
}

// passThrough opens a protected page within a live session: nothing is asked.
func (b *tab) passThrough(sp *provider, path string, p *binary.User) (nameID string) {
	b.t.Helper()
	b.open(sp.secret(path))
	return b.arrived(sp, path, p)
}
