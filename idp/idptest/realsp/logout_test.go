//go:build realsp

package realsp

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const logoutResponseName = "urn:oasis:names:tc:SAML:2.0:protocol:LogoutResponse"

// signedOut returns the page at which a logout ends at Apache's service providers.
func (p *provider) signedOut() string { return p.base + "/signed-out.html" }

// testLogOut checks that a user who logs out at the service provider must sign in again,
// whereas another user in another browser need not.
func testLogOut(t *testing.T, w *deployment, key string) {
	sp := w.sps[key]
	b, c := w.profile(t), w.profile(t)
	person, other := w.idp.AddUser(t, "out-"+key+"@example.org"), w.idp.AddUser(t, "stays-"+key+"@example.org")
	nameID := b.signIn(sp, "first", person)
	c.signIn(sp, "first", other)

	b.open(sp.base + sp.logOut)
	b.expect(pageSignedOut)
	w.checkLogoutResponse(t, sp, b.last())

	b.open(sp.secret("second"))
	b.expect(pageSignIn)
	if again := b.signIn(sp, "third", person); again != nameID {
		t.Errorf("NameID after logging out is %s, was %s", again, nameID)
	}
	c.passThrough(w.sps[w.witness], "first", other)
}

// testLogOutPartial checks that a user who has also visited another service provider is
// warned of a possible session there (saml-core §3.7.3.2), and is still signed out of this
// one.
func testLogOutPartial(t *testing.T, w *deployment, key string) {
	sp, person := w.sps[key], w.idp.AddUser(t, "partly-"+key+"@example.org")
	b := w.profile(t)
	b.signIn(sp, "first", person)
	b.passThrough(w.sps[w.witness], "first", person)

	b.open(sp.base + sp.logOut)
	b.expect(pageSignedOut)
	w.checkLogoutResponse(t, sp, b.last())
	if !bytes.Contains(b.last(), []byte(":PartialLogout")) {
		t.Errorf("the LogoutResponse says nothing of the other provider:\n%s", b.last())
	}
	b.open(sp.secret("second"))
	b.expect(pageSignIn)
}

// testShibbolethSOAP: by SOAP, Shibboleth is answered Success without more, though
// the user has been at another provider too, and leads to the page in return.
func testShibbolethSOAP(t *testing.T, w *deployment) {
	sp, person := w.sps["shibboleth"], w.idp.AddUser(t, "partly-soap@example.org")
	b := w.profile(t)
	b.signIn(sp, "first", person)
	b.passThrough(w.sps[w.witness], "first", person)

	b.open(sp.base + "/Shibboleth.sso/SOAPLogout?return=" + url.QueryEscape(sp.signedOut()))
	b.expect(pageSignedOut)
	b.open(sp.secret("second"))
	b.expect(pageSignIn)
}

// testLogOutAtOtherSP has the service provider ask for the logout of a user who has already
// signed out with us. Another user is signed in in the same browser by then.
func testLogOutAtOtherSP(t *testing.T, w *deployment, key string) {
	sp := w.sps[key]
	first, second := w.idp.AddUser(t, "gone-"+key+"@example.org"), w.idp.AddUser(t, "came-"+key+"@example.org")
	b := w.profile(t)
	b.signIn(sp, "first", first)
	b.open(w.idp.BaseURL + "/account")
	b.press("form[action='/account/sign-out'] button[type=submit]")
	b.signIn(w.sps[w.witness], "first", second)

	b.open(sp.base + sp.logOut)
	b.shown() // what a provider makes of UnknownPrincipal is its own affair
	if !bytes.Contains(b.last(), []byte(":UnknownPrincipal")) {
		t.Errorf("LogoutResponse:\n%s", b.last())
	}
	b.open(w.idp.BaseURL + "/account")
	if text := run(b, chromedp.Evaluate[string]("document.body.innerText")); !strings.Contains(text, second.Email) {
		t.Errorf("the session of the other person has ended:\n%s", text)
	}
}

// testLogOutUnsigned checks that a service provider that is not registered for signed
// LogoutResponses and wants one shows an error, and that the session is over all the same.
func testLogOutUnsigned(t *testing.T, w *deployment, key string) {
	sp, person := w.sps[key], w.idp.AddUser(t, "unsigned-"+key+"@example.org")
	b := w.profile(t)
	b.signIn(sp, "first", person)
	b.open(sp.base + sp.logOut)
	b.expect(pageOther)
	w.checkLogoutResponse(t, sp, b.last())
	if text := run(b, chromedp.Evaluate[string]("document.body.innerText")); b.status() < 400 && !noSignature.MatchString(text) {
		t.Errorf("the provider takes the unsigned LogoutResponse with status %d: correct the guide libraries\n%s", b.status(), text)
	}
	b.open(sp.secret("second"))
	b.expect(pageSignIn)
}

// noSignature matches the complaint of SimpleSAMLphp, whose error pages have the status 200.
var noSignature = regexp.MustCompile(`no signature found on message`)

// testLogOutSOAP has the service provider's server ask ours, without the browser. The
// LogoutResponse is in the answer.
func testLogOutSOAP(t *testing.T, w *deployment, key, path string) {
	sp := w.sps[key]
	b, c := w.profile(t), w.profile(t)
	person, other := w.idp.AddUser(t, "soap-"+key+"@example.org"), w.idp.AddUser(t, "soap-stays-"+key+"@example.org")
	b.signIn(sp, "first", person)
	c.signIn(sp, "first", other)
	carried := len(b.listPosted())

	b.open(sp.base + path)
	b.expect(pageSignedOut)
	if got := len(b.listPosted()); got != carried {
		t.Errorf("the browser carried %d messages during the logout", got-carried)
	}
	b.open(sp.secret("second"))
	b.expect(pageSignIn)
	c.passThrough(w.sps[w.witness], "first", other)
}

// checkLogoutResponse checks a LogoutResponse as it was posted: valid by the
// schema, and signed if, and only if, the provider is registered for that.
func (w *deployment) checkLogoutResponse(t *testing.T, sp *provider, doc []byte) {
	t.Helper()
	w.checkSchema(t, "saml-schema-protocol-2.0.xsd", doc)
	if !bytes.Contains(doc, []byte(":LogoutResponse ")) || !bytes.Contains(doc, []byte(":status:Success")) {
		t.Errorf("not a LogoutResponse with Success:\n%s", doc)
	}
	if signed := bytes.Contains(doc, []byte("SignatureValue")); signed != sp.signedLogout {
		t.Fatalf("LogoutResponse is signed: %t, want %t\n%s", signed, sp.signedLogout, doc)
	}
	if !sp.signedLogout {
		return
	}
	w.checkSignature(t, doc, logoutResponseName)
	forged := bytes.Replace(doc, []byte(":status:Success"), []byte(":status:Bliss00"), 1)
	if _, err := w.verify(t, forged, logoutResponseName); err == nil {
		t.Error("xmlsec1 accepts a forged LogoutResponse: the check checks nothing")
	}
}

// last returns the message that was posted last from this tab.
func (b *tab) last() []byte {
	b.t.Helper()
	all := b.listPosted()
	if len(all) == 0 {
		b.t.Fatal("no message was posted")
	}
	return all[len(all)-1]
}

// listPosted returns the Responses and LogoutResponses that were posted from this tab.
func (b *tab) listPosted() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.responses...)
}
