package sso_test

import (
	"encoding/pem"
	"regexp"
	"strings"
	"testing"
	"time"

	"vernal/idp"
	"vernal/idp/idptest"
)

// The page's only script runs with an unguessable nonce.
func TestResponsePageNonceIsUnguessable(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, person, browser := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.Browser()
	page, seen := signIn(browser, a, &idptest.Request{}, person), map[string]bool{}
	for range 3 {
		policy := regexp.MustCompile(`script-src 'nonce-([^']+)'`).FindStringSubmatch(page.Header.Get("Content-Security-Policy"))
		if policy == nil || len(policy[1]) < 22 || seen[policy[1]] {
			t.Fatalf("nonce %q, seen %v", policy, seen)
		}
		seen[policy[1]] = true
		script := regexp.MustCompile(`<script nonce="([^"]+)"`).FindStringSubmatch(strings.ReplaceAll(string(page.Body), "&#43;", "+"))
		if script == nil || script[1] != policy[1] {
			t.Errorf("the script has %q, the policy %q", script, policy[1])
		}
		if got := page.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("Content-Type %q", got)
		}
		page = browser.Get(a.URL(&idptest.Request{}))
	}
}

// An encrypted assertion can be read by the service provider only, and by no one who sees the
// page, whichever of its certificates signed the request.
func TestEncryptedAssertionIsReadOnlyBySP(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	other := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.NewOtherCert().Raw}))
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { // CBC is what crewjam/saml can decrypt
		p.Encryption, p.Certs = idp.EncryptionCBC, append([]string{other}, p.Certs...)
	})
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	for n := range 2 { // with a sign-in in between, then at once
		r := &idptest.Request{}
		page := browser.Get(a.URL(r))
		if n == 0 {
			page = browser.SignIn(page, person)
		}
		if got := attribute(accept(t, a, r, page), "email"); got != person.Email {
			t.Errorf("email = %q", got)
		}
		if xml := string(page.Response()); !strings.Contains(xml, "EncryptedAssertion") || strings.Contains(xml, person.Email) {
			t.Errorf("sent in the clear:\n%s", xml)
		}
	}
}

// A provider that may name users by email address gets the address and the unchanged uuid
// beside it.
func TestAddressAsNameID(t *testing.T) {
	t.Parallel()
	const email, persistent = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.NameIDFormats = []string{"persistent", "emailAddress"} })
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	plain, named := &idptest.Request{Format: persistent}, &idptest.Request{Format: email}
	first := accept(t, a, plain, signIn(browser, a, plain, person)).Subject.NameID
	second := accept(t, a, named, browser.Get(a.URL(named)))
	if first.Format != persistent || first.Value == person.Email {
		t.Errorf("NameID %+v, want one that is persistent", first)
	}
	if got := second.Subject.NameID; got.Format != email || got.Value != person.Email {
		t.Errorf("NameID %+v", got)
	}
	if got := attribute(second, "uuid"); got != first.Value {
		t.Errorf("uuid %q, want %q", got, first.Value)
	}
}

// A signed request counts once as use of a year. An unsigned one counts only when a user has
// signed in with it, because anyone can send it.
func TestWhatCountsAsUse(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	signed := i.AddProvider(spA)
	loose := i.AddProvider(spB, func(p *idp.ServiceProvider) { p.SignRequests = idp.SignRequestsOptional })
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	used := func(want map[idp.EntityID]int) {
		t.Helper()
		if err := i.Usage.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := i.Board.Board(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range b.SPs {
			n := 0
			for _, y := range line.Years {
				n += y.Days7
			}
			if n != want[line.SP] {
				t.Errorf("%s is counted %d times, want %d", line.SP, n, want[line.SP])
			}
		}
	}
	waiting := browser.Get(loose.URL(&idptest.Request{Unsigned: true}))
	used(map[idp.EntityID]int{})
	browser.SignIn(waiting, person)
	used(map[idp.EntityID]int{spB: 1})
	i.Browser().Get(signed.URL(&idptest.Request{}))
	used(map[idp.EntityID]int{spA: 1, spB: 1})
	browser.Get(signed.URL(&idptest.Request{}))
	browser.Get(loose.URL(&idptest.Request{}))
	used(map[idp.EntityID]int{spA: 2, spB: 2})
}

// The Response is signed in addition to the assertion if the provider wants it. A request is
// valid for minutes, between clocks that may differ.
func TestResponseIsSignedWhereConfigured(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	person, browser := i.AddUser("ada@example.gov"), i.Browser()
	browser.SignIn(browser.Get("/sign-in"), person)
	for id, both := range map[string]bool{spA: false, spB: true} {
		p := i.AddProvider(id, func(p *idp.ServiceProvider) { p.SignResponse = both })
		for _, ago := range []time.Duration{-50 * time.Second, 4 * time.Minute} {
			r := &idptest.Request{IssuedAt: i.Clock.Now().Add(-ago)}
			page := browser.Get(p.URL(r))
			accept(t, p, r, page)
			if n := strings.Count(string(page.Response()), ":SignatureValue>") / 2; (n == 2) != both {
				t.Errorf("%s: %d signatures", id, n)
			}
		}
	}
}
