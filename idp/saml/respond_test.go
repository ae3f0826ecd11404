package saml_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest/binary"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmlenc"
	"vernal/idp/xmltree"
)

const (
	testIssuer = "https://idp.example/api/saml"
	testACS    = "https://sp.example/acs?a=b&c=d"
	testSP     = "https://sp.example/metadata"
)

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 987654321, time.FixedZone("", 3600))

// rsaKey returns one key for all tests of Responses, because generating it is slow.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func testCert(t testing.TB) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: testNow.AddDate(0, -1, 0), NotAfter: testNow.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey().Public(), rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func testSigner(t testing.TB, key crypto.Signer) *xmldsig.Signer {
	t.Helper()
	s, err := xmldsig.NewSigner(key, testCert(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counting counts private-key operations.
type counting struct {
	crypto.Signer
	n int
}

func (c *counting) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.n++
	return c.Signer.Sign(r, digest, opts)
}

func testResponse() (*saml.Response, *saml.Assertion) {
	return &saml.Response{
			ID: "_response", IssueInstant: testNow, Issuer: testIssuer, Destination: testACS, InResponseTo: "_request",
		}, &saml.Assertion{
			ID: "_assertion", Audience: testSP, NameID: "2f1c2f3e-6f4f-4b57-9d59-0d6f5c0a8a11",
			NameIDFormat: saml.NameIDFormatPersistent, SessionIndex: "_session",
			AuthnInstant: testNow.Add(-time.Hour), ClassRef: "http://idmanagement.gov/ns/assurance/aal/2",
			Attributes: []saml.Attribute{
				{Name: "uuid", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic", FriendlyName: "uuid", Values: []string{"2f1c2f3e-6f4f-4b57-9d59-0d6f5c0a8a11"}},
				{Name: "email", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic", FriendlyName: "email", Values: []string{"\"o'hara <&>\"@example.com"}},
				{Name: "all_emails", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic", FriendlyName: "all_emails", Values: []string{"a@example.com", "b@example.com"}},
				{Name: "phone", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"},
				{Name: "note", NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:uri", FriendlyName: "note", Values: []string{"", "é\U0001F600\r\n]]>"}},
			},
		}
}

// TestWriteSuccessWritesExactAssertion compares the whole assertion except its signature.
func TestWriteSuccessWritesExactAssertion(t *testing.T) {
	t.Parallel()
	key := &counting{Signer: rsaKey()}
	signer := testSigner(t, key)
	key.n = 0
	r, a := testResponse()
	got, err := r.WriteSuccess([]byte("kept"), a, saml.Protection{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if key.n != 1 {
		t.Errorf("%d private-key operations, want 1", key.n)
	}
	const want = `kept<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified"` +
		` Destination="https://sp.example/acs?a=b&amp;c=d" ID="_response" InResponseTo="_request" IssueInstant="2026-11-22T11:00:00Z" Version="2.0">` +
		`<Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">https://idp.example/api/saml</Issuer>` +
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>` +
		`<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion" IssueInstant="2026-11-22T11:00:00Z" Version="2.0">` +
		`<Issuer>https://idp.example/api/saml</Issuer>SIGNATURE` +
		`<Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">2f1c2f3e-6f4f-4b57-9d59-0d6f5c0a8a11</NameID>` +
		`<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData InResponseTo="_request"` +
		` NotOnOrAfter="2026-11-22T11:03:00Z" Recipient="https://sp.example/acs?a=b&amp;c=d"></SubjectConfirmationData></SubjectConfirmation></Subject>` +
		`<Conditions NotBefore="2026-11-22T10:59:55Z" NotOnOrAfter="2026-11-22T12:00:00Z">` +
		`<AudienceRestriction><Audience>https://sp.example/metadata</Audience></AudienceRestriction></Conditions>` +
		`<AttributeStatement>` +
		`<Attribute FriendlyName="uuid" Name="uuid" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><AttributeValue>2f1c2f3e-6f4f-4b57-9d59-0d6f5c0a8a11</AttributeValue></Attribute>` +
		`<Attribute FriendlyName="email" Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><AttributeValue>"o'hara &lt;&amp;&gt;"@example.com</AttributeValue></Attribute>` +
		`<Attribute FriendlyName="all_emails" Name="all_emails" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><AttributeValue>a@example.com</AttributeValue><AttributeValue>b@example.com</AttributeValue></Attribute>` +
		`<Attribute Name="phone" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"></Attribute>` +
		`<Attribute FriendlyName="note" Name="note" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><AttributeValue></AttributeValue><AttributeValue>é` + "\U0001F600&#xD;\n" + `]]&gt;</AttributeValue></Attribute>` +
		`</AttributeStatement>` +
		`<AuthnStatement AuthnInstant="2026-11-22T10:00:00Z" SessionIndex="_session"><AuthnContext>` +
		`<AuthnContextClassRef>http://idmanagement.gov/ns/assurance/aal/2</AuthnContextClassRef></AuthnContext></AuthnStatement>` +
		`</Assertion></samlp:Response>`
	before, rest, ok := strings.Cut(string(got), "<ds:Signature ")
	_, after, ok2 := strings.Cut(rest, "</ds:Signature>")
	if !ok || !ok2 || strings.Contains(after, "Signature>") {
		t.Fatalf("not one signature in %s", got)
	}
	if diff := cmp.Diff(want, before+"SIGNATURE"+after); diff != "" {
		t.Error(diff)
	}
}

func TestWriteSuccessWithoutAttributes(t *testing.T) {
	t.Parallel()
	r, a := testResponse()
	a.Attributes = nil
	doc, err := r.WriteSuccess(nil, a, saml.Protection{Signer: testSigner(t, rsaKey())})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(doc, []byte("AttributeStatement")) {
		t.Error("an AttributeStatement with nothing in it")
	}
	validates(t, "protocol", doc)
}

func TestWriteSuccessRefusesIncompleteResponse(t *testing.T) {
	t.Parallel()
	p := saml.Protection{Signer: testSigner(t, rsaKey())}
	cases := []struct {
		name  string
		spoil func(r *saml.Response, a *saml.Assertion)
	}{
		{"no ID", func(r *saml.Response, _ *saml.Assertion) { r.ID = "" }},
		{"no IssueInstant", func(r *saml.Response, _ *saml.Assertion) { r.IssueInstant = time.Time{} }},
		{"IssueInstant of five digits", func(r *saml.Response, _ *saml.Assertion) { r.IssueInstant = testNow.AddDate(9000, 0, 0) }},
		{"no Issuer", func(r *saml.Response, _ *saml.Assertion) { r.Issuer = "" }},
		{"no Destination", func(r *saml.Response, _ *saml.Assertion) { r.Destination = "" }},
		{"no InResponseTo", func(r *saml.Response, _ *saml.Assertion) { r.InResponseTo = "" }},
		{"no assertion ID", func(_ *saml.Response, a *saml.Assertion) { a.ID = "" }},
		{"assertion ID that is none", func(_ *saml.Response, a *saml.Assertion) { a.ID = "1" }},
		{"one ID for both", func(r *saml.Response, a *saml.Assertion) { a.ID = r.ID }},
		{"no Audience", func(_ *saml.Response, a *saml.Assertion) { a.Audience = "" }},
		{"no NameID", func(_ *saml.Response, a *saml.Assertion) { a.NameID = "" }},
		{"no NameIDFormat", func(_ *saml.Response, a *saml.Assertion) { a.NameIDFormat = "" }},
		{"no SessionIndex", func(_ *saml.Response, a *saml.Assertion) { a.SessionIndex = "" }},
		{"no AuthnInstant", func(_ *saml.Response, a *saml.Assertion) { a.AuthnInstant = time.Time{} }},
		{"no ClassRef", func(_ *saml.Response, a *saml.Assertion) { a.ClassRef = "" }},
		{"attribute without a name", func(_ *saml.Response, a *saml.Assertion) { a.Attributes[1].Name = "" }},
		{"attribute without a name format", func(_ *saml.Response, a *saml.Assertion) { a.Attributes[1].NameFormat = "" }},
		{"value that XML cannot carry", func(_ *saml.Response, a *saml.Assertion) { a.Attributes[1].Values[0] = "a\x00b" }},
		{"Destination that XML cannot carry", func(r *saml.Response, _ *saml.Assertion) { r.Destination = "https://sp.example/\xff" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, a := testResponse()
			c.spoil(r, a)
			if doc, err := r.WriteSuccess(nil, a, p); err == nil || doc != nil {
				t.Errorf("error is %v, wrote %s", err, doc)
			}
		})
	}
}

// TestEveryResponseKindVerifies writes every kind of Response and checks it with the OASIS
// schema, xmlsec1, and our own verification.
func TestEveryResponseKindVerifies(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, rsaKey())
	encrypter, err := xmlenc.New(testCert(t), idp.EncryptionCBC, idp.DigestSHA1)
	if err != nil {
		t.Fatal(err)
	}
	const (
		response  = "urn:oasis:names:tc:SAML:2.0:protocol:Response"
		assertion = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
	)
	success := func(p saml.Protection) func() ([]byte, error) {
		return func() ([]byte, error) {
			r, a := testResponse()
			return r.WriteSuccess(nil, a, p)
		}
	}
	status := func(st saml.Status) func() ([]byte, error) {
		return func() ([]byte, error) {
			r, _ := testResponse()
			return r.WriteStatus(nil, st, signer)
		}
	}
	cases := []struct {
		name  string
		write func() ([]byte, error)
		// signed lists the elements that carry a signature.
		signed []string
	}{
		{"assertion signed", success(saml.Protection{Signer: signer}), []string{assertion}},
		{"both signed", success(saml.Protection{Signer: signer, SignResponse: true}), []string{response, assertion}},
		{"encrypted", success(saml.Protection{Signer: signer, Encrypter: encrypter}), nil},
		{"encrypted and Response signed", success(saml.Protection{Signer: signer, Encrypter: encrypter, SignResponse: true}), []string{response}},
		{"status", status(saml.Status{Code: saml.StatusRequester}), []string{response}},
		{"status with detail and message", status(saml.Status{Code: saml.StatusResponder, Detail: saml.StatusNoPassive, Message: "not silently <&>"}), []string{response}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := c.write()
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Count(doc, []byte("<ds:Signature ")); got != len(c.signed) {
				t.Fatalf("%d signatures in the clear, want %d", got, len(c.signed))
			}
			validates(t, "protocol", doc)
			for _, element := range c.signed {
				xmlsecVerifies(t, doc, element, signer.Cert)
			}
		})
	}
}

func TestWrittenStatusVerifies(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, rsaKey())
	r, _ := testResponse()
	doc, err := r.WriteStatus(nil, saml.Status{Code: saml.StatusResponder, Detail: saml.StatusNoPassive}, signer)
	if err != nil {
		t.Fatal(err)
	}
	root, err := xmltree.Parse(doc, xmltree.MessageLimits())
	if err != nil {
		t.Fatal(err)
	}
	v, err := xmldsig.VerifyEnveloped(root, []*x509.Certificate{signer.Cert})
	if err != nil {
		t.Fatal(err)
	}
	code := v.Element.Child(saml.NamespaceProtocol, "Status").Child(saml.NamespaceProtocol, "StatusCode")
	top, _ := code.Attr("Value")
	detail, _ := code.Child(saml.NamespaceProtocol, "StatusCode").Attr("Value")
	if top != saml.StatusResponder || detail != saml.StatusNoPassive {
		t.Errorf("status is %s, %s", top, detail)
	}
}

func TestWriteStatusRefusesIncompleteResponse(t *testing.T) {
	t.Parallel()
	r, _ := testResponse()
	r.Destination = ""
	if _, err := r.WriteStatus(nil, saml.Status{Code: saml.StatusResponder}, testSigner(t, rsaKey())); err == nil {
		t.Error("no error for a Response without a Destination")
	}
	r, _ = testResponse()
	for _, code := range []string{"", saml.StatusSuccess} {
		if _, err := r.WriteStatus(nil, saml.Status{Code: code}, testSigner(t, rsaKey())); err == nil {
			t.Errorf("no error for the code %q", code)
		}
	}
}

// validates has xmllint check a document against one of the OASIS schemas.
func validates(t *testing.T, schema string, doc []byte) {
	t.Helper()
	xmllint := binary.Need(t, "xmllint")
	xsd := "/usr/share/xml/opensaml/saml-schema-" + schema + "-2.0.xsd"
	if _, err := os.Stat(xsd); err != nil {
		binary.ReportMissing(t, "opensaml-schemas is not installed")
	}
	cmd := exec.CommandContext(t.Context(), xmllint, "--nonet", "--noout", "--schema", xsd, writeTemp(t, doc))
	catalog, err := filepath.Abs("../../testdata/schema/catalog.xml")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "XML_CATALOG_FILES="+catalog)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("not valid by the schema: %v\n%s\n%s", err, out, doc)
	}
}

// xmlsecVerifies has xmlsec1 verify the signature of the named element.
func xmlsecVerifies(t *testing.T, doc []byte, element string, cert *x509.Certificate) {
	t.Helper()
	xmlsec := binary.Need(t, "xmlsec1")
	i := strings.LastIndex(element, ":")
	certFile := writeTemp(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	xpath := "/descendant::*[local-name()='" + element[i+1:] + "'][1]/*[local-name()='Signature']"
	out, err := exec.CommandContext(t.Context(), xmlsec, "--verify", "--pubkey-cert-pem", certFile,
		"--id-attr:ID", element, "--node-xpath", xpath, writeTemp(t, doc)).CombinedOutput()
	if err != nil {
		t.Errorf("xmlsec1 on %s: %v\n%s", element, err, out)
	}
}

func writeTemp(t *testing.T, data []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// BenchmarkWriteSuccess measures one unencrypted Response. Compare it with BenchmarkRSA.
func BenchmarkWriteSuccess(b *testing.B) {
	r, a := testResponse()
	a.Attributes = a.Attributes[:4]
	p := saml.Protection{Signer: testSigner(b, rsaKey())}
	buf := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.WriteSuccess(buf[:0], a, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRSA measures only the private-key operation.
func BenchmarkRSA(b *testing.B) {
	var digest [32]byte
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rsaKey().Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
