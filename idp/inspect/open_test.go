package inspect_test

import (
	"crypto/rsa"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/idptest"
	"vernal/idp/inspect"
	"vernal/idp/sp"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

// answer signs a user in and returns the Response.
func answer(i *idptest.IdP, a *idptest.Provider) string {
	browser := i.Browser()
	return string(browser.SignIn(browser.Get(a.URL(&idptest.Request{})), i.AddUser("ada@example.gov")).Response())
}

// check returns the first check of that field.
func check(r *inspect.Report, field string) inspect.Check {
	for _, c := range r.Checks {
		if c.Field == field {
			return c
		}
	}
	return inspect.Check{}
}

// The holder of the key sees the content of an encrypted assertion, rule by rule.
func TestKeyOpensEncryptedResponse(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{idp.EncryptionCBC, idp.EncryptionGCM} {
		for _, digest := range []string{idp.DigestSHA1, idp.DigestSHA256} {
			for _, signed := range []bool{false, true} {
				name := mode + " " + digest
				if signed {
					name += " signed"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					i := idptest.New(t, idptest.Options{})
					a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) {
						p.Encryption, p.EncryptionDigest, p.SignResponse = mode, digest, signed
					})
					response := answer(i, a)
					message := inspect.Message{FoundMessage: first(response), AssumedAt: i.Clock.Now()}
					message.OpenedAssertion = inspect.Open(message.FoundMessage, a.Key)
					r := inspectMessage(t, inspector(i), message)
					if r.Refused || r.Unknown || r.SP != "https://a.example" || r.Year != i.Year() {
						t.Fatalf("refused with %v: %+v", codes(r), r)
					}
					if k := slices.IndexFunc(r.Attributes, func(a inspect.Attribute) bool { return a.Name == "email" }); k < 0 || r.Attributes[k].Values[0] != "ada@example.gov" {
						t.Errorf("attributes %v", r.Attributes)
					}
					if c := check(r, "Assertion Signature"); c.Outcome != inspect.OutcomeOK {
						t.Errorf("signature of the assertion: %+v", c)
					}
					if c := check(r, "Response Signature"); (c.Outcome == inspect.OutcomeOK) != signed {
						t.Errorf("signature of the Response: %+v", c)
					}
					if c := check(r, "InResponseTo"); c.Outcome != inspect.OutcomeOK {
						t.Errorf("%+v", c)
					}
					if !strings.Contains(r.XML, "ada@example.gov") {
						t.Error("the assertion is not shown")
					}
				})
			}
		}
	}
}

// Without the key, or with another one, the report says to whom it is encrypted and how to
// open it, and claims nothing about its content.
func TestEncryptedResponseNeedsKey(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example", func(p *idp.ServiceProvider) { p.Encryption = idp.EncryptionGCM })
	response := answer(i, a)
	sealed := func(text string, key *rsa.PrivateKey) (*inspect.Report, inspect.Check) {
		m := inspect.Message{FoundMessage: first(text), AssumedAt: i.Clock.Now()}
		if key != nil {
			m.OpenedAssertion = inspect.Open(m.FoundMessage, key)
		}
		r := inspectMessage(t, inspector(i), m)
		return r, check(r, "EncryptedAssertion")
	}
	r, c := sealed(response, nil)
	if r.Refused || !r.Unknown || c.Outcome != inspect.OutcomeSkipped || r.SP != "https://a.example" || len(r.Attributes) > 0 {
		t.Errorf("without a key: %+v", r)
	}
	for _, want := range []string{"aes256-gcm", "rsa-oaep-mgf1p with sha1", certs.CertSHA256(a.Cert)[:16]} {
		if !strings.Contains(c.Seen, want) {
			t.Errorf("%q is not in %q", want, c.Seen)
		}
	}
	if len(c.Suggestions) != 1 || suggested(c.Suggestions[0]) != "inspect key=" || !strings.Contains(hints(r), "a request certificate that is registered for https://a.example") {
		t.Errorf("%q, %s", c.Note, hints(r))
	}
	if r, c := sealed(response, idptest.OtherKey()); !r.Unknown || !strings.Contains(c.Note, "not the one of the certificate") {
		t.Errorf("another key: %+v", c)
	}
	from, to, _ := strings.Cut(response, "http://www.w3.org/2009/xmlenc11#aes256-gcm")
	if _, c := sealed(from+"http://www.w3.org/2001/04/xmlenc#tripledes-cbc"+to, a.Key); !strings.Contains(c.Note, "tripledes-cbc") {
		t.Errorf("Triple DES: %+v", c)
	}
	// The last CipherValue is the content's.
	k := strings.LastIndex(response, "</xenc:CipherValue>")
	if r, c := sealed(response[:k-8]+"AAAAAAAA"+response[k:], a.Key); !r.Unknown || !strings.Contains(c.Note, "changed on the way") {
		t.Errorf("changed: %+v", c)
	}
	// An opened assertion is not trusted: a forged one is refused.
	plain := inspect.Open(first(response), a.Key)
	plain.XML = strings.Replace(plain.XML, "ada@", "eve@", 1)
	r = inspectMessage(t, inspector(i), inspect.Message{FoundMessage: first(response), AssumedAt: i.Clock.Now(), OpenedAssertion: plain})
	if !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedDigest}) {
		t.Errorf("another assertion than the one signed: %v", codes(r))
	}
	// After the certificate is replaced, a hint says that a message was encrypted to the old
	// one.
	_, err := i.Registry.Edit(t.Context(), "https://a.example", func(p *idp.ServiceProvider) error {
		p.EncryptionCerts = []string{certs.EncodePEM(i.NewOtherCert())}
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := sealed(response, nil); !strings.Contains(hints(r), "which has an encryption certificate by now") {
		t.Errorf("after the change: %s", hints(r))
	}
}

func TestOpenIgnoresUnencryptedText(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	for _, text := range []string{"", "hello", "<a/>", a.URL(&idptest.Request{}), answer(i, a)} {
		if o := inspect.Open(first(text), a.Key); o != nil {
			t.Errorf("%.40q: %+v", text, o)
		}
	}
}

func TestUnsignedResponseIsRefused(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	response := answer(i, a)
	from, to := strings.Index(response, "<ds:Signature"), strings.Index(response, "</ds:Signature>")+len("</ds:Signature>")
	r := inspectText(t, inspector(i), response[:from]+response[to:], i.Clock.Now())
	if !slices.Equal(codes(r), []idp.RefusalCode{idp.RefusedSignatureMissing}) {
		t.Errorf("refused with %v", codes(r))
	}
	twice := strings.Replace(response, "</samlp:Response>", `<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"></Assertion></samlp:Response>`, 1)
	if r := inspectText(t, inspector(i), twice, i.Clock.Now()); !r.Refused || len(r.Attributes) > 0 {
		t.Errorf("two assertions: %+v", r)
	}
}

// encryptedID returns a NameID encrypted to our certificate of a year.
func encryptedID(t *testing.T, i *idptest.IdP, year idp.Year, name string) string {
	t.Helper()
	entry, ok := i.Years.Lookup(year, i.Clock.Now())
	if !ok {
		t.Fatalf("no year %s", year)
	}
	e, err := xmlenc.New(entry.Key.Cert, idp.EncryptionCBC, idp.DigestSHA1)
	if err != nil {
		t.Fatal(err)
	}
	w := xmltree.NewWriter(nil)
	w.Start("saml", "urn:oasis:names:tc:SAML:2.0:assertion", "EncryptedID")
	if err := e.Write(w, []byte(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">`+name+`</saml:NameID>`)); err != nil {
		t.Fatal(err)
	}
	w.End()
	doc, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// The name in a LogoutRequest is decrypted with our key only if the message verifies.
func TestEncryptedIDOpensOnlyIfVerified(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 10, 9, 0, 0, 0, time.UTC)
	i := idptest.New(t, idptest.Options{Now: now, Years: []idp.Year{"2026"}})
	a := i.AddProvider("https://a.example")
	disclose(t, i, a, "someone")
	alone := inspector(i)
	alone.Years = nil
	tests := []struct {
		name    string
		service *inspect.Service
		request idptest.LogoutRequest
		field   string
		outcome inspect.Outcome
		want    string // substring of the report
	}{
		{"plain", inspector(i), idptest.LogoutRequest{NameID: "someone"}, "NameID", inspect.OutcomeOK, "someone"},
		{"this year's key", inspector(i), idptest.LogoutRequest{Subject: encryptedID(t, i, "2027", "someone")}, "NameID", inspect.OutcomeOK, "someone"},
		{"another year's key", inspector(i), idptest.LogoutRequest{Subject: encryptedID(t, i, "2026", "someone")}, "EncryptedID", inspect.OutcomeRefused, "our key of 2026 opens it"},
		{"not verified", inspector(i), idptest.LogoutRequest{Subject: encryptedID(t, i, "2027", "someone"), Key: idptest.OtherKey()},
			"EncryptedID", inspect.OutcomeSkipped, "only in a message whose signature holds"},
		{"no keys here", alone, idptest.LogoutRequest{Subject: encryptedID(t, i, "2027", "someone")}, "EncryptedID", inspect.OutcomeSkipped, "none is available"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inspectText(t, tt.service, a.LogoutURL(&tt.request), now)
			c := check(r, tt.field)
			if said := c.Seen + c.Note + strings.Join(c.Hints, " "); c.Outcome != tt.outcome || !strings.Contains(said, tt.want) {
				t.Errorf("%s: %s, want %s with %q", c.Outcome, said, tt.outcome, tt.want)
			}
			if tt.outcome == inspect.OutcomeSkipped && check(r, "NameID").Outcome == inspect.OutcomeOK {
				t.Error("the name was opened")
			}
		})
	}
}

// Messages sent by SOAP and to the back channel are inspected, too.
func TestLogoutRequestBySOAP(t *testing.T) {
	t.Parallel()
	i := idptest.New(t, idptest.Options{})
	a := i.AddProvider("https://a.example")
	disclose(t, i, a, "someone")
	request := &idptest.LogoutRequest{NameID: "someone", Remote: true}
	envelope := `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>` + string(a.SignLogout(request)) + `</S:Body></S:Envelope>`
	r := inspectText(t, inspector(i), envelope, i.Clock.Now())
	if r.Refused || r.Kind != "LogoutRequest" || r.Cert == nil {
		t.Errorf("%s, refused with %v: %+v", r.Kind, codes(r), r.Checks)
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(a.SignLogout(&idptest.LogoutRequest{NameID: "someone"}))}}
	if r := inspectText(t, inspector(i), i.URL+"/api/saml/auth"+string(i.Year())+"?"+form.Encode(), i.Clock.Now()); !slices.Contains(codes(r), idp.RefusedMessageType) {
		t.Errorf("at the sign-in address: %+v", r.Checks)
	}
}
