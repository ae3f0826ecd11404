package sso_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/saml"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// named returns a NameID in exclusive canonical form within a Subject. attributes must be
// sorted by name.
func named(value string, attributes ...string) string {
	return `<saml:NameID` + strings.Join(append([]string{""}, attributes...), " ") + `>` + value + `</saml:NameID>`
}

func format(uri string) string { return `Format="` + uri + `"` }

// encryptedTo returns the EncryptedID of a name, encrypted to the key of cert.
func encryptedTo(t *testing.T, cert *x509.Certificate, plain string) string {
	t.Helper()
	e, err := xmlenc.New(cert, idp.EncryptionGCM, idp.DigestSHA1)
	if err != nil {
		t.Fatal(err)
	}
	w := xmltree.NewWriter(nil)
	w.Start("saml", saml.NamespaceAssertion, "EncryptedID")
	if err := e.Write(w, []byte(plain)); err != nil {
		t.Fatal(err)
	}
	w.End()
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// yearCert returns our signing certificate of a year.
func yearCert(t *testing.T, i *idptest.IdP, year idp.Year) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(i.Get("/api/saml/certificate" + string(year) + ".pem"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The Response is about the user whom the request names, or no Response is given.
func TestResponseIsAboutRequestedUser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA)
	mail := i.AddProvider(spB, func(p *idp.ServiceProvider) {
		p.NameIDFormats = []string{idp.NameIDFormatPersistent, idp.NameIDFormatEmail}
	})
	ada, bob := i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	nameID := func(p *idptest.Provider, person *idptest.User) string {
		r := &idptest.Request{Format: saml.NameIDFormatPersistent}
		return accept(t, p, r, signIn(i.Browser(), p, r, person)).Subject.NameID.Value
	}
	adaA, bobA, adaB := nameID(a, ada), nameID(a, bob), nameID(mail, ada)
	browser := i.Browser()
	start := &idptest.Request{}
	accept(t, a, start, signIn(browser, a, start, ada)) // ada's session
	persistent, unspecified, email := format(saml.NameIDFormatPersistent), format(saml.NameIDFormatUnspecified), format(saml.NameIDFormatEmail)
	year := yearCert(t, i, i.Year())

	const accepted = ""
	tests := []struct {
		name    string
		sp      *idptest.Provider
		subject string
		code    idp.RefusalCode
	}{
		{"the user", a, named(adaA, persistent), accepted},
		{"without a format", a, named(adaA), accepted},
		{"unspecified", a, named(adaA, unspecified), accepted},
		{"with qualifiers", a, named(adaA, persistent, `NameQualifier="`+i.URL+`/api/saml"`, `SPNameQualifier="`+spA+`"`), accepted},
		{"encrypted", a, encryptedTo(t, year, `<saml:NameID xmlns:saml="`+saml.NamespaceAssertion+`">`+adaA+`</saml:NameID>`), accepted},
		{"encrypted, declared around it", a, encryptedTo(t, year, named(adaA)), accepted},
		{"confirmation alone asks for no one", a, `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation>`, accepted},
		{"nothing asks for no one", a, " ", accepted},
		{"address, of who gets addresses", mail, named(ada.Email, email), accepted},
		{"address without a format", mail, named(ada.Email), accepted},
		{"address in capitals", mail, named("ADA@example.GOV", email), accepted},

		{"another user", a, named(bobA, persistent), idp.RefusedSubject},
		{"another user, encrypted", a, encryptedTo(t, year, named(bobA)), idp.RefusedSubject},
		{"another user's address", mail, named(bob.Email, email), idp.RefusedSubject},
		{"no one's", a, named("2f1c2f3e-6f4f-4b57-9d59-0d6f5c0a8a11"), idp.RefusedSubject},
		{"the user's name at another service provider", a, named(adaB), idp.RefusedSubject},
		{"the user's address, of who gets none", a, named(ada.Email, unspecified), idp.RefusedSubject},
		{"the user's UUID, of who gets addresses", mail, named(adaB, unspecified), idp.RefusedSubject},
		{"in capitals", a, named(strings.ToUpper(adaA)), idp.RefusedSubject},

		{"address, of who gets none", a, named(ada.Email, email), idp.RefusedSubjectForm},
		{"persistent, of who gets addresses", mail, named(adaB, persistent), idp.RefusedSubjectForm},
		{"transient", a, named(adaA, format(saml.NameIDFormatTransient)), idp.RefusedSubjectForm},
		{"of another identity provider", a, named(adaA, persistent, `NameQualifier="https://other.example"`), idp.RefusedSubjectForm},
		{"of another service provider", a, named(adaA, persistent, `SPNameQualifier="`+spB+`"`), idp.RefusedSubjectForm},
		{"two", a, named(adaA) + named(bobA), idp.RefusedSubjectForm},
		{"encrypted, of a wrong format", a, encryptedTo(t, year, named(adaA, email)), idp.RefusedSubjectForm},
		{"encrypted to another key", a, encryptedTo(t, a.Cert, named(adaA)), idp.RefusedEncryptedID},
		{"encrypted, and no name", a, encryptedTo(t, year, "<x></x>"), idp.RefusedEncryptedID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, post := range []bool{false, true} {
				r := &idptest.Request{Subject: tt.subject}
				var page *idptest.Page
				if post && strings.Contains(tt.subject, "EncryptedID") {
					continue // not in the canonical form that idptest signs
				} else if post {
					page = browser.CrossSitePost("/api/saml/auth"+string(i.Year()), tt.sp.Form(r))
				} else {
					page = browser.Get(tt.sp.URL(r))
				}
				if tt.code == accepted {
					accept(t, tt.sp, r, page)
					continue
				}
				checkRefusal(t, page, http.StatusBadRequest, string(tt.code))
				for _, name := range []string{bobA, bob.Email, adaB} {
					if bytes.Contains(page.Body, []byte(name)) {
						t.Error("the page names another user")
					}
				}
			}
		})
	}
}

// A user other than the requested one can sign in as that one, from the page that says so,
// wherever the request waits. Without a session the sign-in is as always.
func TestSubjectSignInAsAnother(t *testing.T) {
	t.Parallel()
	i, store := newFull(t)
	a, ada, bob := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	start := &idptest.Request{}
	bobs := accept(t, a, start, signIn(i.Browser(), a, start, bob)).Subject.NameID.Value
	for _, stored := range []bool{true, false} {
		store.room.Store(stored)
		browser := i.Browser()
		r := &idptest.Request{Subject: named(bobs), RelayState: "r"}
		page := browser.Get(a.URL(r))
		waits := page.URL.String()
		page = browser.SignIn(page, ada) // ada has never signed in here and has no NameID yet
		checkRefusal(t, page, http.StatusBadRequest, string(idp.RefusedSubject))
		if !strings.Contains(string(page.Body), `href="`+strings.TrimPrefix(waits, i.URL)+`"`) {
			t.Fatalf("no way to sign in as someone else:\n%s", page.Body)
		}
		checkRefusal(t, browser.Get(strings.Replace(waits, "/sign-in?", "/sign-in/continue?", 1)), http.StatusBadRequest, string(idp.RefusedSubject))
		got := accept(t, a, r, browser.SignIn(browser.Get(waits), bob))
		if got.Subject.NameID.Value != bobs {
			t.Errorf("the Response is about %q", got.Subject.NameID.Value)
		}
	}
}

// For a passive request another user gives the same answer as no user, so that no sender can
// find out who is signed in.
func TestPassiveSubjectDisclosesNoUser(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ada, bob := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	start, other := &idptest.Request{}, &idptest.Request{}
	bobs := accept(t, a, start, signIn(i.Browser(), a, start, bob)).Subject.NameID.Value
	browser := i.Browser()
	adas := accept(t, a, other, signIn(browser, a, other, ada)).Subject.NameID.Value
	for _, post := range []bool{false, true} {
		send := func(b *idptest.Browser, name string) (*idptest.Request, *idptest.Page) {
			r := &idptest.Request{IsPassive: true, Subject: named(name)}
			if post {
				return r, b.CrossSitePost("/api/saml/auth"+string(i.Year()), a.Form(r))
			}
			return r, b.Get(a.URL(r))
		}
		_, page := send(browser, bobs)
		_, without := send(i.Browser(), bobs)
		for _, p := range []*idptest.Page{page, without} {
			if !strings.Contains(string(p.Response()), "urn:oasis:names:tc:SAML:2.0:status:NoPassive") || strings.Contains(string(p.Response()), "Assertion>") {
				t.Errorf("want NoPassive: %d\n%s", p.Status, p.Response())
			}
		}
		r, page := send(browser, adas)
		accept(t, a, r, page)
	}
}

// Anyone can make an unsigned request with any Subject in it. It never decides who the user
// is, and nothing is decrypted for it.
func TestSubjectOfUnsignedRequest(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ada, bob := i.AddProvider(spA, allowUnsigned), i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	start := &idptest.Request{}
	bobs := accept(t, a, start, signIn(i.Browser(), a, start, bob)).Subject.NameID.Value
	browser := i.Browser()
	start = &idptest.Request{}
	adas := accept(t, a, start, signIn(browser, a, start, ada)).Subject.NameID.Value
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{Unsigned: true, Subject: named(bobs)})), http.StatusBadRequest, string(idp.RefusedSubject))
	r := &idptest.Request{Unsigned: true, Subject: named(adas)}
	if got := accept(t, a, r, browser.Get(a.URL(r))); got.Subject.NameID.Value != adas {
		t.Errorf("the Response is about %q", got.Subject.NameID.Value)
	}
	sealed := encryptedTo(t, yearCert(t, i, i.Year()), named(adas))
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{Unsigned: true, Subject: sealed})), http.StatusBadRequest, string(idp.RefusedEncryptedID))
}

// A waiting request does not contain the name of the requested user.
func TestSubjectIsNotKept(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider(spA, func(p *idp.ServiceProvider) { p.NameIDFormats = []string{idp.NameIDFormatEmail} })
	r := &idptest.Request{Subject: named("bob@example.gov")}
	i.Browser().Get(a.URL(r))
	stored, err := i.Store.LoginRequest(t.Context(), idp.RequestKey{SP: spA, MessageID: r.ID})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("bob")) || len(stored.SubjectHash) == 0 {
		t.Errorf("stored: %s", text)
	}
}

// No user is asked for a code that would not help: another user is refused before the step-up.
func TestSubjectBeforeStepUp(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a, ada, bob := i.AddProvider(spA), i.AddUser("ada@example.gov"), i.AddUser("bob@example.gov")
	start := &idptest.Request{}
	bobs := accept(t, a, start, signIn(i.Browser(), a, start, bob)).Subject.NameID.Value
	browser := i.Browser()
	first, second := &idptest.Request{}, &idptest.Request{}
	accept(t, a, first, browser.GiveCode(browser.GivePassword(browser.Get(a.URL(first)), ada), ada, "remember"))
	browser.Post("/account/sign-out", nil)
	adas := accept(t, a, second, browser.GivePassword(browser.Get(a.URL(second)), ada)).Subject.NameID.Value // the device is remembered
	checkRefusal(t, browser.Get(a.URL(&idptest.Request{Subject: named(bobs), ClassRefs: []string{aal2}})), http.StatusBadRequest, string(idp.RefusedSubject))
	r := &idptest.Request{Subject: named(adas), ClassRefs: []string{aal2}}
	accept(t, a, r, browser.GiveCode(browser.Get(a.URL(r)), ada))
}
