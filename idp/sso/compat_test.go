package sso_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

const (
	duo  = "urn:gov:gsa:ac:classes:sp:PasswordProtectedTransport:duo"
	ial1 = "http://idmanagement.gov/ns/assurance/ial/1"
	ial2 = "http://idmanagement.gov/ns/assurance/ial/2"
	evil = "https://evil.example/acs"
)

func loginGov(p *idp.ServiceProvider) { p.Compat = idp.CompatLoginGov }

// rewrite changes a message sent by HTTP POST.
func rewrite(t *testing.T, encoded string, change func(xml string) string) string {
	t.Helper()
	xml, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString([]byte(change(string(xml))))
}

// Requests that a service provider built for Login.gov sends are accepted here, too.
func TestLoginGovRequestsAreAccepted(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, loginGov, func(p *idp.ServiceProvider) {
		p.ACSURLs = append(p.ACSURLs, spA+"/second")
		p.IAL, p.Attributes = idp.IALVerified, []string{"email", "dob"}
	})
	person := i.AddUser("ada@example.gov")
	proof(t, i, person, &idp.Profile{Level: idp.IALVerified, VerifiedAt: time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC), DOB: "1990-02-28"})
	browser := i.Browser()
	tests := []struct {
		name     string
		request  idptest.Request
		classRef string
		verified string // verified_at
	}{
		{"an ACS URL with a query", idptest.Request{ACS: spA + "/acs?utf8=✓&loa=1", ClassRefs: []string{ial1}}, duo, ""},
		{"an ACS URL of another host, by an index", idptest.Request{ACS: "https://other.example/acs", ACSIndex: "1", ClassRefs: []string{ial1}}, duo, ""},
		{"the Destination of another host", idptest.Request{Destination: "https://idp.int.identitysandbox.gov/api/saml/auth2025", ClassRefs: []string{ial1}}, duo, ""},
		{"an AAL beside an IAL", idptest.Request{ClassRefs: []string{ial1, aal2}}, aal2, ""},
		{"proofing", idptest.Request{ClassRefs: []string{ial2, aal2, reqAttr + "dob"}}, aal2, "2031-04-01T09:00:00Z"},
		{"proofing, with no AAL", idptest.Request{ClassRefs: []string{ial2, reqAttr}}, duo, "2031-04-01T09:00:00Z"},
		{"nothing asked", idptest.Request{}, duo, "2031-04-01T09:00:00Z"},
	}
	for _, tt := range tests {
		for _, post := range []bool{false, true} {
			r := tt.request
			page := browser.Get(a.URL(&r))
			if post {
				r.ID = ""
				page = browser.CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(&r))
			}
			if page.Response() == nil && page.Status == http.StatusOK {
				page = browser.SignIn(page, person)
			}
			got := accept(t, a, &r, page) // at the default ACS
			if ref := got.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value; ref != tt.classRef {
				t.Errorf("%s: AuthnContextClassRef %q, want %q", tt.name, ref, tt.classRef)
			}
			if at := attribute(got, "verified_at"); at != tt.verified {
				t.Errorf("%s: verified_at %q, want %q", tt.name, at, tt.verified)
			}
		}
	}
	logout := a.LogoutURL(&idptest.LogoutRequest{NameID: "someone", Destination: "https://idp.int.identitysandbox.gov/api/saml/logout2025"})
	if page := browser.Get(logout); page.LogoutResponse() == nil {
		t.Errorf("a LogoutRequest with another Destination: %d %s", page.Status, page.Text())
	}
}

// The attacker's URL appears on no page and in no Response, and no form may post there.
func TestCompatAnswersOnlyAtRegisteredACS(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, b := i.AddProvider(spA, loginGov), i.AddProvider(spB)
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	for _, acs := range []string{evil, b.ACS, "javascript:alert(1)", spA + ".evil.example/acs", spA + "/acs#" + evil} {
		for _, passive := range []bool{false, true} {
			r := &idptest.Request{ACS: acs, IsPassive: passive, ForceAuthn: passive}
			page := browser.Get(a.URL(r))
			if page.Response() == nil {
				page = browser.SignIn(page, person)
			}
			if page.Response() == nil || page.Form().Action != a.ACS {
				t.Fatalf("%s: the answer goes to %q", acs, page.Form().Action)
			}
			for _, text := range []string{string(page.Body), string(page.Response()), page.Header.Get("Content-Security-Policy")} {
				if strings.Contains(text, "evil.example") || strings.Contains(text, "javascript:") || strings.Contains(text, "b.example") {
					t.Errorf("%s is in the answer", acs)
				}
			}
		}
	}
}

// Compatibility loosens no signature, digest, age or replay rule, and nothing else.
func TestCompatLoosensNothingElse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person := i.AddProvider(spA, loginGov), i.AddUser("ada@example.gov")
	post := "/api/saml/auth" + string(i.Year())
	form := func(r *idptest.Request, change func(xml string) string) func(*idptest.Browser) *idptest.Page {
		return func(w *idptest.Browser) *idptest.Page {
			f := a.Form(r)
			f.Set("SAMLRequest", rewrite(t, f.Get("SAMLRequest"), change))
			return w.CrossSitePost(post, f)
		}
	}
	get := func(r idptest.Request) func(*idptest.Browser) *idptest.Page {
		return func(w *idptest.Browser) *idptest.Page { return w.Get(a.URL(&r)) }
	}
	replace := func(old, now string) func(string) string {
		return func(xml string) string {
			if !strings.Contains(xml, old) {
				t.Errorf("no %s in the message", old)
			}
			return strings.Replace(xml, old, now, 1)
		}
	}
	tests := []struct {
		name string
		page func(*idptest.Browser) *idptest.Page
		code idp.RefusalCode
	}{
		{"unsigned", get(idptest.Request{Unsigned: true}), idp.RefusedSignatureMissing},
		{"unsigned, with another ACS URL", get(idptest.Request{Unsigned: true, ACS: evil}), idp.RefusedSignatureMissing},
		{"signed by another key", get(idptest.Request{Key: idptest.OtherKey()}), idp.RefusedSignature},
		{"signed by another key, with another ACS URL", get(idptest.Request{Key: idptest.OtherKey(), ACS: evil}), idp.RefusedSignature},
		{"changed after signing", form(&idptest.Request{ACS: evil}, replace("https://evil.example", "https://evil.exampl3")), idp.RefusedDigest},
		{"SHA-1 signature", form(&idptest.Request{}, replace("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha1")), idp.RefusedSignatureAlgorithm},
		{"SHA-1 digest", form(&idptest.Request{}, replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")), idp.RefusedDigestAlgorithm},
		{"too old", get(idptest.Request{IssuedAt: i.Clock.Now().Add(-7 * time.Minute)}), idp.RefusedIssueInstantOld},
		{"from the future", get(idptest.Request{IssuedAt: i.Clock.Now().Add(2 * time.Minute)}), idp.RefusedIssueInstantFuture},
		{"unregistered ACS index", get(idptest.Request{ACSIndex: "7"}), idp.RefusedACSIndex},
		{"email address as NameID", get(idptest.Request{Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}), idp.RefusedNameIDFormat},
		{"more than it may ask", get(idptest.Request{ClassRefs: []string{ial2}}), idp.RefusedAuthnContextLevel},
		{"unknown context", get(idptest.Request{ClassRefs: []string{"urn:x"}}), idp.RefusedAuthnContext},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkRefusal(t, tt.page(i.Browser()), http.StatusBadRequest, string(tt.code))
		})
	}
	browser := i.Browser()
	r := &idptest.Request{ACS: evil}
	address := a.URL(r)
	accept(t, a, r, browser.SignIn(browser.Get(address), person))
	checkRefusal(t, browser.Get(address), http.StatusBadRequest, string(idp.RefusedAnswered))
	checkRefusal(t, i.Browser().Get(address), http.StatusBadRequest, string(idp.RefusedReplay))

	// Switching compatibility off withdraws everything that it allowed.
	for _, r := range []*idptest.Request{{ACS: evil}, {Destination: "https://idp.example/api/saml/auth2025"}} {
		browser.CrossSitePost(post, a.Form(r))
	}
	a.Edit(func(p *idp.ServiceProvider) { p.Compat = idp.CompatNone })
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{ACS: evil})), http.StatusBadRequest, string(idp.RefusedACSURL))
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{Destination: "https://idp.example/api/saml/auth2025"})), http.StatusBadRequest, string(idp.RefusedDestination))
}

// An ACS index beside a registered URL is ignored.
func TestACSIndexBesideURL(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	start := &idptest.Request{}
	accept(t, a, start, signIn(browser, a, start, person))
	for _, index := range []string{"0", "7", "65536", "x", "-1"} {
		r := &idptest.Request{ACS: a.ACS, ACSIndex: index}
		accept(t, a, r, browser.Get(a.URL(r)))
		checkRefusal(t, browser.Get(a.URL(&idptest.Request{ACS: evil, ACSIndex: index})), http.StatusBadRequest, string(idp.RefusedACSURL))
	}
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{ACSIndex: "7"})), http.StatusBadRequest, string(idp.RefusedACSIndex))
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{ACSIndex: "x"})), http.StatusBadRequest, string(idp.RefusedACSIndex))
}
