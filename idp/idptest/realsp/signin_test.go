//go:build realsp

package realsp

import (
	"net/url"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
)

var uuidV4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// deep is a path that must come back as it is: parameters, escapes, and longer
// than the 80 bytes that RelayState may have by the standard.
const deep = "files/ann%C3%A9e%202026/a+b.txt?view=full&from=%2Fhome%3Fx%3D1&note=%26quot%3B&long=0123456789012345678901234567890123456789"

// TestRealProvidersSignInAndOut runs all tests in one, because they share processes that are
// slow to start.
func TestRealProvidersSignInAndOut(t *testing.T) {
	w := newDeployment(t)
	tests := []struct {
		name string
		run  func(t *testing.T, w *deployment)
	}{
		{"metadata", testMetadata},
		{"mellon", func(t *testing.T, w *deployment) { testSignIn(t, w, "mellon") }},
		{"mellon encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "mellon-encrypted") }},
		{"mellon, both ciphers", testMellonCiphers},
		{"shibboleth", func(t *testing.T, w *deployment) { testSignIn(t, w, "shibboleth") }},
		{"shibboleth encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "shibboleth-encrypted") }},
		{"shibboleth sign-in", testShibbolethLogIn},
		{"ruby get", func(t *testing.T, w *deployment) { testSignIn(t, w, "ruby-get") }},
		{"ruby post", func(t *testing.T, w *deployment) { testSignIn(t, w, "ruby-post") }},
		{"ruby encrypted", func(t *testing.T, w *deployment) { testSignIn(t, w, "ruby-encrypted") }},
		{"mellon log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "mellon") }},
		{"mellon log out unsigned", func(t *testing.T, w *deployment) { testLogOutUnsigned(t, w, "mellon-encrypted") }},
		{"mellon log out of another", func(t *testing.T, w *deployment) { testLogOutAtOtherSP(t, w, "mellon") }},
		{"mellon log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "mellon") }},
		{"shibboleth log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "shibboleth") }},
		{"shibboleth log out unsigned", func(t *testing.T, w *deployment) { testLogOutUnsigned(t, w, "shibboleth-encrypted") }},
		{"shibboleth log out of another", func(t *testing.T, w *deployment) { testLogOutAtOtherSP(t, w, "shibboleth") }},
		{"shibboleth log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "shibboleth") }},
		{"shibboleth log out by SOAP", func(t *testing.T, w *deployment) {
			testLogOutSOAP(t, w, "shibboleth", "/Shibboleth.sso/SOAPLogout?return="+url.QueryEscape(w.sps["shibboleth"].signedOut()))
		}},
		{"shibboleth log out by SOAP, used at another SP", testShibbolethSOAP},
		{"ruby get log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "ruby-get") }},
		{"ruby post log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "ruby-post") }},
		{"ruby log out of another", func(t *testing.T, w *deployment) { testLogOutAtOtherSP(t, w, "ruby-post") }},
		{"ruby log out in part", func(t *testing.T, w *deployment) { testLogOutPartial(t, w, "ruby-post") }},
		{"ruby encrypted log out", func(t *testing.T, w *deployment) { testLogOut(t, w, "ruby-encrypted") }},
		{"ruby verified", func(t *testing.T, w *deployment) { testProofed(t, w, "ruby-verified") }},
		{"python verified", func(t *testing.T, w *deployment) { testProofed(t, w, "python-verified") }},
		{"name ids", testNameIDs},
		{"single sign-on", testSingleSignOn},
		{"force authn", func(t *testing.T, w *deployment) { testForceAuthn(t, w, "ruby-get") }},
		{"passive", func(t *testing.T, w *deployment) { testPassive(t, w, "ruby-post", "mellon") }},
		{"no script", testNoScript},
		{"phone", testPhone},
		{"back and reload", testBackAndReload},
		{"two tabs", testTwoTabs},
		{"accessibility", testAccessibility},
	}
	t.Run("all", func(t *testing.T) { // waits for its parallel tests
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, w)
			})
		}
	})
	testConsent(t, w, "mellon", "mellon-encrypted", "shibboleth", "shibboleth-encrypted", "ruby-get", "ruby-post", "ruby-encrypted")
}

// testSignIn signs a user in at one service provider and checks the messages that the
// browser carried there.
func testSignIn(t *testing.T, w *deployment, key string) {
	sp, person := w.sps[key], w.idp.AddUser(t, key+"@example.org")
	b := w.profile(t)
	nameID := b.signIn(sp, deep, person)
	w.checkResponse(t, sp, b.response(), nameID)
	if key == "mellon" || key == "mellon-encrypted" {
		return // shows neither, but refuses unsolicited Responses
	}
	if got, want := b.text("authn-context"), "http://idmanagement.gov/ns/assurance/aal/2"; got != want {
		t.Errorf("AuthnContextClassRef is %q, want %q", got, want)
	}
	if b.text("session-index") == "" {
		t.Error("no SessionIndex")
	}
	if key == "shibboleth" || key == "shibboleth-encrypted" {
		return // takes no NameID of another format
	}
	if got, want := b.text("name-id-format"), "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"; got != want {
		t.Errorf("NameID format is %q, want %q", got, want)
	}
}

// testShibbolethLogIn checks that Shibboleth's login page passes isPassive and forceAuthn on
// to us. Without a session, isPassive must end in NoPassive. With one, forceAuthn must ask
// for the password again.
func testShibbolethLogIn(t *testing.T, w *deployment) {
	sp, person := w.sps["shibboleth"], w.idp.AddUser(t, "shibboleth-log-in@example.org")
	logIn := sp.base + "/Shibboleth.sso/Login?target=" + url.QueryEscape(sp.secret("second")) + "&"
	b := w.profile(t)
	b.open(logIn + "isPassive=1")
	b.expect(pageOther)
	text := run(b, chromedp.Evaluate[string]("document.body.innerText"))
	if !noPassive.MatchString(text) {
		t.Errorf("Shibboleth shows %q, want NoPassive", text)
	}
	nameID := b.signIn(sp, "first", person)
	b.open(logIn + "isPassive=1")
	b.arrived(sp, "second", person)
	b.open(logIn + "forceAuthn=1")
	b.givePassword(person)
	b.giveCode(person)
	if again := b.arrived(sp, "second", person); again != nameID {
		t.Errorf("NameID is %s, was %s", again, nameID)
	}
}

// testNameIDs checks that a user has a different NameID at every service provider, except
// within an agency, and always the same at the same one.
func testNameIDs(t *testing.T, w *deployment) {
	person := w.idp.AddUser(t, "names@example.org")
	b := w.profile(t)
	mellon := b.signIn(w.sps["mellon"], "first", person)
	seen := map[string]string{mellon: "mellon"}
	for _, key := range []string{"mellon-encrypted", "shibboleth", "ruby-get", "ruby-post"} {
		nameID := b.passThrough(w.sps[key], "first", person)
		if other, ok := seen[nameID]; ok {
			t.Errorf("%s and %s see the same NameID %s", key, other, nameID)
		}
		seen[nameID] = key
	}
	ruby := b.passThrough(w.sps["ruby-get"], "again", person)
	if got := b.passThrough(w.sps["ruby-encrypted"], "first", person); got != ruby {
		t.Errorf("in one agency NameIDs are %s and %s", ruby, got)
	}

	b = w.profile(t)
	if again := b.signIn(w.sps["mellon"], "second", person); again != mellon {
		t.Errorf("NameID at the second sign-in is %s, was %s", again, mellon)
	}
	if again := b.passThrough(w.sps["ruby-get"], "second", person); again != ruby {
		t.Errorf("NameID at the second sign-in is %s, was %s", again, ruby)
	}
}

// testSingleSignOn checks that within a live session the user is asked nothing, even if the
// AuthnRequest is posted from another site and arrives without cookies. After signing out
// with us the user must sign in again.
func testSingleSignOn(t *testing.T, w *deployment) {
	person := w.idp.AddUser(t, "sso@example.org")
	b := w.profile(t)
	b.signIn(w.sps["ruby-post"], "first", person)
	for _, key := range []string{"mellon", "ruby-get"} {
		b.passThrough(w.sps[key], deep, person)
	}
	b.open(w.sps["ruby-post"].base + "/sign-out")
	b.passThrough(w.sps["ruby-post"], "second", person)

	b.open(w.idp.BaseURL + "/account")
	b.press(`form[action="/account/sign-out"] button`)
	b.open(w.sps["ruby-post"].base + "/sign-out")
	b.open(w.sps["ruby-post"].secret("third"))
	b.expect(pageSignIn)
}

// testForceAuthn checks that ForceAuthn makes the user sign in again.
func testForceAuthn(t *testing.T, w *deployment, key string) {
	sp, person := w.sps[key], w.idp.AddUser(t, "force-"+key+"@example.org")
	b := w.profile(t)
	nameID := b.signIn(sp, "first", person)
	b.open(sp.secret("second?force=1"))
	b.givePassword(person)
	b.giveCode(person)
	if again := b.arrived(sp, "second", person); again != nameID {
		t.Errorf("NameID is %s, was %s", again, nameID)
	}
}

// testPassive checks that a passive request is answered with NoPassive without a session,
// and silently within a session begun at another service provider.
func testPassive(t *testing.T, w *deployment, key, other string) {
	sp, person := w.sps[key], w.idp.AddUser(t, "passive-"+key+"@example.org")
	b := w.profile(t)
	b.open(sp.secret("start?passive=1"))
	b.expect(pageOther)
	if text := b.text("refused"); !noPassive.MatchString(text) {
		t.Errorf("the provider shows %q, want NoPassive", text)
	}
	w.checkSchema(t, "saml-schema-protocol-2.0.xsd", b.response())

	b.signIn(w.sps[other], "first", person)
	b.passThrough(sp, "start?passive=1", person)
}

var noPassive = regexp.MustCompile(`\bNoPassive\b`)
