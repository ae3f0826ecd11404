package metadata_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/idptest/binary"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
	"vernal/metadata"
)

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // a Sunday

// yearKey returns one key for all tests, because generating it is slow.
var yearKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func certFor(t testing.TB, key crypto.Signer, name string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func yearSigner(t *testing.T, name string) *xmldsig.Signer {
	t.Helper()
	s, err := xmldsig.NewSigner(yearKey(), certFor(t, yearKey(), name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fullIdP() metadata.IdP {
	return metadata.IdP{
		BaseURL:      "https://idp.example",
		Organization: "Org & Co", OrganizationURL: "https://org.example", Contact: "ops@org.example",
	}
}

var (
	signatureRE = regexp.MustCompile(`<ds:Signature .*</ds:Signature>`)
	certRE      = regexp.MustCompile(`<ds:X509Certificate>[^<]*`)
	idRE        = regexp.MustCompile(` ID="_[0-9a-f]{32}"`)
)

// masked replaces the values that differ from key to key.
func masked(doc []byte) string {
	doc = signatureRE.ReplaceAll(doc, []byte("SIGNATURE"))
	doc = certRE.ReplaceAll(doc, []byte("<ds:X509Certificate>CERT"))
	return string(idRE.ReplaceAll(doc, []byte(` ID="HASH"`)))
}

func TestYearMetadataIsDeterministic(t *testing.T) {
	t.Parallel()
	const (
		open = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="HASH" entityID="https://idp.example/api/saml">SIGNATURE` +
			`<Extensions><alg:DigestMethod xmlns:alg="urn:oasis:names:tc:SAML:metadata:algsupport" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></alg:DigestMethod>` +
			`<alg:SigningMethod xmlns:alg="urn:oasis:names:tc:SAML:metadata:algsupport" Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></alg:SigningMethod></Extensions>` +
			`<IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
			`<KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>CERT</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>`
		slo = `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/api/saml/logout2026b"></SingleLogoutService>` +
			`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/api/saml/logout2026b"></SingleLogoutService>` +
			`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://idp.example/api/saml/remotelogout2026b"></SingleLogoutService>`
		sso = `<NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>` +
			`<NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</NameIDFormat>` +
			`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/api/saml/auth2026b"></SingleSignOnService>` +
			`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/api/saml/auth2026b"></SingleSignOnService>` +
			`</IDPSSODescriptor>`
		people = `<Organization><OrganizationName xml:lang="en">Org &amp; Co</OrganizationName><OrganizationDisplayName xml:lang="en">Org &amp; Co</OrganizationDisplayName>` +
			`<OrganizationURL xml:lang="en">https://org.example</OrganizationURL></Organization>` +
			`<ContactPerson contactType="technical"><EmailAddress>mailto:ops@org.example</EmailAddress></ContactPerson>`
	)
	cases := []struct {
		name string
		idp  metadata.IdP
		want string
	}{
		{"bare", metadata.IdP{BaseURL: "https://idp.example"}, open + slo + sso + `</EntityDescriptor>`},
		{"with everything", fullIdP(), open + slo + sso + people + `</EntityDescriptor>`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := yearSigner(t, "idp.example")
			doc, err := c.idp.WriteYear("2026b", s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, masked(doc)); diff != "" {
				t.Error(diff)
			}
			again, err := c.idp.WriteYear("2026b", s)
			if err != nil || !bytes.Equal(doc, again) {
				t.Errorf("the second document differs (error %v)", err)
			}
			checkDocument(t, doc, s.Cert)
		})
	}
}

// TestMetadataIDFollowsContent checks that the ID changes with the content, because readers
// cache by it.
func TestMetadataIDFollowsContent(t *testing.T) {
	t.Parallel()
	s := yearSigner(t, "idp.example")
	a, errA := fullIdP().WriteYear("2026", s)
	other := fullIdP()
	other.Contact = "else@org.example"
	b, errB := other.WriteYear("2026", s)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if bytes.Equal(idRE.Find(a), idRE.Find(b)) || metadata.ETag(a) == metadata.ETag(b) {
		t.Error("two documents have one ID or ETag")
	}
	if tag := metadata.ETag(a); !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(tag) {
		t.Errorf("ETag is %s", tag)
	}
}

func TestStableMetadataChangesWeekly(t *testing.T) {
	t.Parallel()
	s := yearSigner(t, "idp.example 2026")
	older := certFor(t, yearKey(), "idp.example 2025")
	d := metadata.IdP{BaseURL: "https://idp.example"}
	made := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC) // the Monday before
	write := func(at time.Time) []byte {
		doc, err := d.WriteStable("2026", s, []*x509.Certificate{older, s.Cert}, at)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	doc := write(testNow)
	if !bytes.Contains(doc, []byte(` cacheDuration="PT6H" entityID="https://idp.example/api/saml" validUntil="2026-12-07T00:00:00Z">`)) {
		t.Errorf("start tag is %.300s", doc)
	}
	if !bytes.Equal(doc, write(made)) || !bytes.Equal(doc, write(made.Add(metadata.StableStep-1))) {
		t.Error("the document changes within a week")
	}
	if bytes.Equal(doc, write(made.Add(-1))) || bytes.Equal(doc, write(made.Add(metadata.StableStep))) {
		t.Error("the document does not change with the week")
	}
	root, err := xmltree.Parse(doc, xmltree.MetadataLimits())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	const md, ds = "urn:oasis:names:tc:SAML:2.0:metadata", "http://www.w3.org/2000/09/xmldsig#"
	for _, k := range root.Child(md, "IDPSSODescriptor").Children(md, "KeyDescriptor") {
		got = append(got, certName(t, k.Child(ds, "KeyInfo").Child(ds, "X509Data").Child(ds, "X509Certificate").Text()))
	}
	if diff := cmp.Diff([]string{"idp.example 2026", "idp.example 2025"}, got); diff != "" {
		t.Error(diff)
	}
	checkDocument(t, doc, s.Cert)
}

func certName(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + text + "\n-----END CERTIFICATE-----\n"))
	if block == nil {
		t.Fatalf("not base64: %s", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Subject.CommonName
}

func TestFaultyIdPMakesNoMetadata(t *testing.T) {
	t.Parallel()
	s := yearSigner(t, "idp.example")
	cases := []struct {
		name  string
		spoil func(d *metadata.IdP)
		year  idp.Year
	}{
		{"not a year", func(*metadata.IdP) {}, "26"},
		{"no base URL", func(d *metadata.IdP) { d.BaseURL = "" }, "2026"},
		{"base URL with a slash", func(d *metadata.IdP) { d.BaseURL += "/" }, "2026"},
		{"name that XML cannot carry", func(d *metadata.IdP) { d.Organization = "a\x00" }, "2026"},
	}
	for _, c := range cases {
		d := fullIdP()
		c.spoil(&d)
		if doc, err := d.WriteYear(c.year, s); err == nil || doc != nil {
			t.Errorf("%s: error is %v", c.name, err)
		}
		if doc, err := d.WriteStable(c.year, s, nil, testNow); err == nil || doc != nil {
			t.Errorf("%s: error of the stable document is %v", c.name, err)
		}
	}
}

// checkDocument checks a document with the OASIS schema, xmlsec1 and our own code.
func checkDocument(t *testing.T, doc []byte, cert *x509.Certificate) {
	t.Helper()
	root, err := xmltree.Parse(doc, xmltree.MetadataLimits())
	if err != nil {
		t.Fatal(err)
	}
	var problems metadata.Problems
	if _, err := metadata.ReadSP(doc, testNow, metadata.Options{}); !errors.As(err, &problems) || problems[0].Part != metadata.PartRole {
		t.Errorf("%s is taken for a service provider: %v", root.Local, err)
	}
	dir := t.TempDir()
	docFile, certFile := filepath.Join(dir, "doc.xml"), filepath.Join(dir, "cert.pem")
	for name, data := range map[string][]byte{
		docFile: doc, certFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	catalog, err := filepath.Abs("../testdata/schema/catalog.xml")
	if err != nil {
		t.Fatal(err)
	}
	const xsd = "/usr/share/xml/opensaml/saml-schema-metadata-2.0.xsd"
	if _, err := os.Stat(xsd); err != nil {
		binary.ReportMissing(t, "opensaml-schemas is not installed")
	}
	lint := exec.CommandContext(t.Context(), binary.Need(t, "xmllint"), "--nonet", "--noout", "--schema", xsd, docFile)
	lint.Env = append(os.Environ(), "XML_CATALOG_FILES="+catalog)
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("not valid by the schema: %v\n%s\n%s", err, out, doc)
	}
	if out, err := exec.CommandContext(t.Context(), binary.Need(t, "xmlsec1"), "--verify", "--pubkey-cert-pem", certFile,
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", docFile).CombinedOutput(); err != nil {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}
