//go:build realsp

package realsp

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vernal/idp/idptest/binary"
)

// testConsent checks for each service provider that a user is asked for consent at the first
// sign-in, and not again: neither in the same session nor in another browser.
func testConsent(t *testing.T, w *deployment, keys ...string) {
	for _, key := range keys {
		t.Run("consent "+key, func(t *testing.T) {
			sp, person := w.sps[key], w.idp.AddUser(t, key+"-consent@example.org")
			w.idp.Run(t, "", "sp", "edit", sp.entityID(), "--consent", "ask")
			b := w.profile(t)
			b.open(sp.secret("first"))
			b.givePassword(person)
			b.giveCode(person)
			b.agree(sp, person)
			nameID := b.arrived(sp, "first", person)
			other := w.profile(t)
			if again := other.signIn(sp, "second", person); again != nameID {
				t.Errorf("NameID is %s, was %s", again, nameID)
			}
		})
	}
}

// agree checks the page that asks for consent, and agrees.
func (b *tab) agree(sp *provider, p *binary.User) {
	b.t.Helper()
	b.expect(pageConsent)
	text := run(b, chromedp.Evaluate[string]("document.body.innerText"))
	for _, want := range []string{sp.name, p.Email} {
		if !strings.Contains(text, want) {
			b.t.Errorf("the page does not show %q:\n%s", want, text)
		}
	}
	b.press("#consent button[type=submit]")
}
