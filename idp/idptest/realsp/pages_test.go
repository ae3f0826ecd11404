//go:build realsp

package realsp

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// testNoScript checks that every page works with its button if there is no script.
func testNoScript(t *testing.T, w *deployment) {
	for _, key := range []string{"mellon", "ruby-post"} {
		person := w.idp.AddUser(t, "noscript-"+key+"@example.org")
		b := w.profile(t)
		b.disableScript()
		b.signIn(w.sps[key], deep, person)
	}
}

// testPhone checks a sign-in at the width of a telephone: no page may be wider.
func testPhone(t *testing.T, w *deployment) {
	sp, person := w.sps["mellon"], w.idp.AddUser(t, "a-rather-long-address-for-a-telephone@department.example.org")
	b := w.profile(t)
	b.phone()
	b.open(sp.secret("phone"))
	b.expect(pageSignIn)
	b.fits()
	b.givePassword(person)
	b.expect(pageCode)
	b.fits()
	b.giveCode(person)
	b.arrived(sp, "phone", person)
	b.open(w.idp.BaseURL + "/account")
	b.fits()
}

// fits checks that the page need not be moved sideways.
func (b *tab) fits() {
	b.t.Helper()
	width := run(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth"))
	if width > 360 {
		b.t.Errorf("page %s is %d pixels wide", b.location(), width)
	}
}

// testBackAndReload checks that a URL of a finished sign-in in the browser's history leads
// to a page that explains, never to an internal error, and never to a second Response.
func testBackAndReload(t *testing.T, w *deployment) {
	sp, person := w.sps["ruby-get"], w.idp.AddUser(t, "back@example.org")
	b := w.profile(t)
	b.signIn(sp, "back", person)

	b.back()
	if at := b.location(); !strings.HasPrefix(at, w.idp.BaseURL) {
		t.Fatalf("back leads to %s, want one of our pages", at)
	}
	if b.shown() == pageCode { // kept by the browser as it was
		b.giveCode(person)
		b.checkUsedRequest(sp, "the code given again")
		b.back()
	}
	b.leave(chromedp.Reload())
	b.checkUsedRequest(sp, "after a reload")

	// Open again every URL of ours that this browser visited.
	for _, visited := range b.listVisited() {
		address, get := strings.CutPrefix(visited, "GET ")
		if !get || !strings.HasPrefix(address, w.idp.BaseURL) {
			continue
		}
		b.open(address)
		b.checkUsedRequest(sp, "opened again: "+address)
	}
	b.response() // there is but one
}

// checkUsedRequest checks that the page says that its request was used already, and shows
// the way to begin again at the provider.
func (b *tab) checkUsedRequest(sp *provider, when string) {
	b.t.Helper()
	text := run(b, chromedp.Evaluate[string]("document.body.innerText"))
	if status := b.status(); status != 400 || !strings.Contains(text, "already") {
		b.t.Errorf("%s: status %d, want 400 and a page that says \"already\":\n%s", when, status, text)
	}
	links := run(b, chromedp.Evaluate[[]string]("[...document.querySelectorAll('main a')].map((a) => a.href)"))
	if !slices.Contains(links, sp.start()) {
		b.t.Errorf("%s: the page links to %q, want %s", when, links, sp.start())
	}
}

// testTwoTabs checks that two requests of one browser, alternated, both complete.
func testTwoTabs(t *testing.T, w *deployment) {
	person := w.idp.AddUser(t, "tabs@example.org")
	mellon, ruby := w.sps["mellon"], w.sps["ruby-post"]
	first := w.profile(t)
	second := first.sibling()
	first.open(mellon.secret("one"))
	first.expect(pageSignIn)
	second.open(ruby.secret("two"))
	second.expect(pageSignIn)
	first.givePassword(person)
	second.givePassword(person)
	first.giveCode(person)
	one := first.arrived(mellon, "one", person)

	// The first tab has turned the sign-in that the second was in into a session. The second
	// may continue with its code, or the user must sign in again.
	second.giveCode(person)
	if second.shown() == pageSignIn {
		second.givePassword(person)
		second.giveCode(person)
	}
	if two := second.arrived(ruby, "two", person); one == two {
		t.Errorf("both providers see %s", one)
	}
}

// testAccessibility runs axe-core in the pages as they are served.
func testAccessibility(t *testing.T, w *deployment) {
	axe := string(w.read(t, filepath.Join(w.data, "../axe/axe.min.js")))
	sp, person := w.sps["mellon"], w.idp.AddUser(t, "axe@example.org")
	for _, width := range []int64{1280, 360} {
		b := w.profile(t)
		b.do(chromedp.EmulateViewport(width, 740))
		b.open(sp.secret("axe"))
		b.expect(pageSignIn)
		b.audit(axe)
		b.do(chromedp.SendKeys(chromedp.CSS("input[name=email]"), person.Email),
			chromedp.SendKeys(chromedp.CSS("input[name=password]"), "wrong"))
		b.press("form button[type=submit]")
		b.expect(pageSignIn)
		b.audit(axe)
		b.do(chromedp.Clear(chromedp.CSS("input[name=email]")))
		b.givePassword(person)
		b.expect(pageCode)
		b.audit(axe)
		b.giveCode(person)
		b.arrived(sp, "axe", person)
		b.open(w.idp.BaseURL + "/account")
		b.audit(axe)
		b.open(w.idp.BaseURL + "/api/saml/auth" + w.year + "?SAMLRequest=broken")
		b.audit(axe)
	}
}

// audit fails the test for every rule of WCAG 2.2 AA that axe finds broken.
func (b *tab) audit(axe string) {
	b.t.Helper()
	const tags = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	b.do(chromedp.Evaluate[chromedp.Void](axe + "; void 0"))
	result := run(b, chromedp.Evaluate[string](
		`axe.run({runOnly: `+tags+`}).then((r) => JSON.stringify({passes: r.passes.length, violations:
			r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.map((n) => n.html).join(" "))}))`,
		chromedp.EvalAwaitPromise))
	var found struct {
		Passes     int
		Violations []string
	}
	if err := json.Unmarshal([]byte(result), &found); err != nil {
		b.t.Fatal(err)
	}
	if found.Passes == 0 {
		b.t.Errorf("axe checked nothing at %s", b.location())
	}
	for _, v := range found.Violations {
		b.t.Errorf("axe at %s: %s", b.location(), v)
	}
}
