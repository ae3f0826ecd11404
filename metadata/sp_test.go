package metadata_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/idp/sp"
	"vernal/metadata"
)

// TestReadSPSamples reads documents as common software writes them.
func TestReadSPSamples(t *testing.T) {
	t.Parallel()
	cases := []struct {
		file string
		want idp.ServiceProvider // Certs and EncryptionCerts by common name
		// notes lists the parts that the notes are about.
		notes []metadata.Part
	}{
		{
			file: "mod_auth_mellon.xml",
			want: idp.ServiceProvider{
				EntityID: "https://mellon.example/mellon/metadata", Name: "https://mellon.example/mellon/metadata",
				ACSURLs: []string{"https://mellon.example/mellon/postResponse"}, ACSIndexes: []int{0},
				Certs: []string{"sp-a.example"}, Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
			},
			notes: []metadata.Part{metadata.PartACS, metadata.PartACS, metadata.PartLogout, metadata.PartFormat},
		},
		{
			file: "shibboleth.xml",
			want: idp.ServiceProvider{
				EntityID: "https://shib.example/shibboleth", Name: "Sample Library",
				ACSURLs: []string{"https://shib.example/Shibboleth.sso/SAML2/POST"}, ACSIndexes: []int{1},
				LogoutURL: "https://shib.example/Shibboleth.sso/SLO/POST",
				Certs:     []string{"sp-b.example"}, Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
			},
			notes: []metadata.Part{metadata.PartSignsRequests, metadata.PartACS, metadata.PartACS, metadata.PartACS},
		},
		{
			file: "ruby-saml.xml",
			want: idp.ServiceProvider{
				EntityID: "https://ruby.example/metadata", Name: "https://ruby.example/metadata",
				ACSURLs: []string{"https://ruby.example/acs"}, ACSIndexes: []int{0},
				LogoutURL: "https://ruby.example/slo/done",
				Certs:     []string{"sp-a.example", "sp-old.example"}, EncryptionCerts: []string{"sp-a.example"},
				Encryption: idp.EncryptionCBC, EncryptionDigest: idp.DigestSHA1,
			},
			notes: []metadata.Part{metadata.PartSigningKey, metadata.PartFormat, metadata.PartFormat},
		},
		{
			file: "simplesamlphp.xml",
			want: idp.ServiceProvider{
				EntityID: "https://php.example/simplesaml/module.php/saml/sp/metadata.php/default-sp", Name: "Eksempel forening",
				ACSURLs: []string{"https://php.example/simplesaml/module.php/saml/sp/saml2-acs.php/default-sp"}, ACSIndexes: []int{0},
				Certs: []string{"sp-a.example"}, EncryptionCerts: []string{"sp-b.example"},
				Encryption: idp.EncryptionCBC, EncryptionDigest: idp.DigestSHA1,
			},
			notes: []metadata.Part{metadata.PartName, metadata.PartSignsRequests, metadata.PartACS, metadata.PartACS, metadata.PartLogout},
		},
		{
			file: "crewjam.xml",
			want: idp.ServiceProvider{
				EntityID: "https://go.example/saml/metadata", Name: "https://go.example/saml/metadata",
				ACSURLs: []string{"https://go.example/saml/acs"}, ACSIndexes: []int{1},
				LogoutURL: "https://go.example/saml/slo",
				Certs:     []string{"sp-b.example"}, EncryptionCerts: []string{"sp-b.example"},
				Encryption: idp.EncryptionCBC, EncryptionDigest: idp.DigestSHA1,
			},
			notes: []metadata.Part{metadata.PartACS, metadata.PartFormat},
		},
		{
			file: "pysaml2.xml",
			want: idp.ServiceProvider{
				EntityID: "https://py.example/sp", Name: "https://py.example/sp",
				ACSURLs: []string{"https://py.example/acs", "https://py.example/other"}, ACSIndexes: []int{1, 2},
				LogoutURL: "https://py.example/acs",
				Certs:     []string{"sp-a.example"}, EncryptionCerts: []string{"sp-a.example"},
				Encryption: idp.EncryptionGCM, EncryptionDigest: idp.DigestSHA256,
			},
			notes: []metadata.Part{metadata.PartName}, // of a ServiceName
		},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("../testdata/metadata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			got, notes, err := sp.ConvertMetadata(data, testNow, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.want.SignRequests, c.want.Compat, c.want.State, c.want.Active = idp.SignRequestsRequired, idp.CompatNone, idp.StateApproved, true
			c.want.IAL, c.want.AAL = idp.IALAuthOnly, idp.AALDefault
			c.want.Attributes, c.want.EmailAttribute = []string{"email"}, idp.EmailAttributePlain
			c.want.Consent = idp.ConsentAsk
			c.want.NameIDFormats = []string{idp.NameIDFormatPersistent}
			got.Certs, got.EncryptionCerts = namesOf(t, got.Certs), namesOf(t, got.EncryptionCerts)
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.notes, partsOf(notes)); diff != "" {
				t.Errorf("%s\n%v", diff, notes)
			}
		})
	}
}

func partsOf(notes []metadata.Note) []metadata.Part {
	var parts []metadata.Part
	for _, n := range notes {
		parts = append(parts, n.Part)
	}
	return parts
}

func namesOf(t *testing.T, pems []string) []string {
	t.Helper()
	var names []string
	for _, p := range pems {
		lines := strings.Split(strings.TrimSpace(p), "\n")
		names = append(names, certName(t, strings.Join(lines[1:len(lines)-1], "")))
	}
	return names
}

// acsElement is a part of spDoc.
const acsElement = `<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/acs" index="0"/>`

// spDoc returns a minimal document with a certificate for each placeholder.
func spDoc(t testing.TB) string {
	t.Helper()
	return strings.ReplaceAll(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sp.example/md">
 <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true">
  <Extensions><UIInfo xmlns="urn:oasis:names:tc:SAML:metadata:ui"><DisplayName xml:lang="en">Sample</DisplayName></UIInfo></Extensions>
  <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>CERT</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
  <AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/acs" index="0"/>
 </SPSSODescriptor>
 <Organization><OrganizationURL xml:lang="en">https://sp.example/</OrganizationURL></Organization>
</EntityDescriptor>`, "CERT", b64(certFor(t, yearKey(), "sp")))
}

func b64(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

func TestReadSPProblems(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours := certFor(t, yearKey(), "idp.example 2026")
	doc := spDoc(t)
	acs := acsElement
	key := doc[strings.Index(doc, "<KeyDescriptor"):strings.Index(doc, "<AssertionConsumerService")]
	cert := b64(certFor(t, yearKey(), "sp"))
	text := doc[strings.Index(doc, "<X509Certificate>"):strings.Index(doc, "</X509Certificate>")]
	group := func(inner string) string {
		return `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + inner + `</EntitiesDescriptor>`
	}
	cases := []struct {
		name     string
		old, new string // replaced in the document; old "" replaces all of it
		want     []metadata.Part
	}{
		{"not XML", "", "hello", []metadata.Part{metadata.PartDocument}},
		{"nothing", "", "", []metadata.Part{metadata.PartDocument}},
		{"white space", "", "\ufeff\n ", []metadata.Part{metadata.PartDocument}},
		{"gzip", "", "\x1f\x8b\x08\x00\x00", []metadata.Part{metadata.PartDocument}},
		{"JSON", "", `{"error":"unauthorized"}`, []metadata.Part{metadata.PartDocument}},
		{"a certificate", "", "-----BEGIN CERTIFICATE-----\n" + cert + "\n-----END CERTIFICATE-----", []metadata.Part{metadata.PartDocument}},
		{"undeclared ISO-8859-1", "", strings.Replace(doc, ">Sample<", ">Caf\xe9<", 1), []metadata.Part{metadata.PartDocument}},
		{"Shift JIS", "", `<?xml version="1.0" encoding="Shift_JIS"?>` + strings.Replace(doc, ">Sample<", ">\x83\x54<", 1), []metadata.Part{metadata.PartDocument}},
		{"cut short", "</EntityDescriptor>", "", []metadata.Part{metadata.PartDocument}},
		{"document type", "", "<!DOCTYPE a>" + doc, []metadata.Part{metadata.PartDocument}},
		{"not metadata", "", `<html/>`, []metadata.Part{metadata.PartDocument}},
		{"an identity provider", "SPSSODescriptor", "IDPSSODescriptor", []metadata.Part{metadata.PartRole}},
		{"no role", "SPSSODescriptor", "PDPDescriptor", []metadata.Part{metadata.PartRole}},
		{"two roles", "", strings.Replace(doc, "<Organization>", `<SPSSODescriptor/><Organization>`, 1), []metadata.Part{metadata.PartRole}},
		{"no service provider in a group", "", group(""), []metadata.Part{metadata.PartEntity}},
		{"several in a group", "", group(doc + group(strings.ReplaceAll(doc, "https://sp.example/md", "https://other.example/md"))), []metadata.Part{metadata.PartEntity}},
		{"no entity ID", ` entityID="https://sp.example/md"`, "", []metadata.Part{metadata.PartEntityID}},
		{"entity ID with a space", `sp.example/md"`, `sp.example/m d"`, []metadata.Part{metadata.PartEntityID}},
		{"entity ID too long", `sp.example/md"`, `sp.example/` + strings.Repeat("x", 1024) + `"`, []metadata.Part{metadata.PartEntityID}},
		{"SAML 1.1 only", `SAML:2.0:protocol"`, `SAML:1.1:protocol"`, []metadata.Part{metadata.PartProtocols}},
		{"no ACS", acs, "", []metadata.Part{metadata.PartACS}},
		{"no POST ACS", acs, strings.Replace(acs, "HTTP-POST", "HTTP-Artifact", 1), []metadata.Part{metadata.PartACS}},
		{"script as ACS", "https://sp.example/acs", "javascript:alert(1)", []metadata.Part{metadata.PartACS}},
		{"ACS without a host", "https://sp.example/acs", "/acs", []metadata.Part{metadata.PartACS}},
		{"unknown use", `use="signing"`, `use="both"`, []metadata.Part{metadata.PartUse}},
		{"key without a certificate", text + "</X509Certificate>", "<X509SubjectName>x</X509SubjectName>", []metadata.Part{metadata.PartSigningKey}},
		{"KeyInfo in another namespace", `<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">`, `<KeyInfo>`, []metadata.Part{metadata.PartSigningKey}},
		{"certificate is not base64", text, "<X509Certificate>??", []metadata.Part{metadata.PartSigningKey}},
		{"certificate is none", text, "<X509Certificate>AAAA", []metadata.Part{metadata.PartSigningKey}},
		{"RSA of 1024 bits", text, "<X509Certificate>" + b64(certFor(t, weak, "sp")), []metadata.Part{metadata.PartSigningKey}},
		{"not RSA", text, "<X509Certificate>" + b64(certFor(t, curve, "sp")), []metadata.Part{metadata.PartSigningKey}},
		{"our certificate", text, "<X509Certificate>" + b64(ours), []metadata.Part{metadata.PartSigningKey}},
		{
			"no encryption key of several can be used", key,
			key + strings.Replace(strings.Replace(key, "signing", "encryption", 1), text, "<X509Certificate>"+b64(certFor(t, curve, "sp")), 1) +
				strings.Replace(strings.Replace(key, "signing", "encryption", 1), text, "<X509Certificate>", 1),
			[]metadata.Part{metadata.PartEncryptionKey, metadata.PartEncryptionKey},
		},
		{
			"all at once", "", strings.NewReplacer("https://sp.example/md", "", "https://sp.example/acs", "ftp://x", cert[:40], "AAAA").Replace(doc),
			[]metadata.Part{metadata.PartEntityID, metadata.PartSigningKey, metadata.PartACS},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := c.new
			if c.old != "" {
				if in = strings.ReplaceAll(doc, c.old, c.new); in == doc {
					t.Fatal("nothing was replaced")
				}
			}
			d, err := metadata.ReadSP([]byte(in), testNow, metadata.Options{OurCerts: []*x509.Certificate{ours}})
			var problems metadata.Problems
			if d != nil || !errors.As(err, &problems) {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(c.want, partsOf(problems)); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
			if raw := rawText.FindString(err.Error()); raw != "" {
				t.Errorf("the text of a parser is shown: %q in %v", raw, err)
			}
		})
	}
}

// rawText matches the beginnings of error texts of the standard library's parsers.
var rawText = regexp.MustCompile(`x509: |asn1: |pem: |encoding/|illegal base64|XML at byte`)

// TestReadSPNotes covers documents that are accepted with a note, beyond the samples.
func TestReadSPNotes(t *testing.T) {
	t.Parallel()
	doc := spDoc(t)
	acs := acsElement
	slo := `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/slo"/>`
	key := doc[strings.Index(doc, "<KeyDescriptor"):strings.Index(doc, "<AssertionConsumerService")]
	enc := strings.Replace(key, "signing", "encryption", 1)
	method := func(algorithms ...string) string {
		methods := ""
		for _, a := range algorithms {
			methods += `<EncryptionMethod Algorithm="` + a + `"/>`
		}
		return key + strings.Replace(enc, "</KeyInfo>", "</KeyInfo>"+methods, 1)
	}
	text := doc[strings.Index(doc, "<X509Certificate>"):strings.Index(doc, "</X509Certificate>")]
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name     string
		old, new string
		want     []metadata.Part // of all notes
		check    func(d *metadata.SPDescriptor) bool
	}{
		{
			"nothing to note", "", "", nil,
			func(d *metadata.SPDescriptor) bool { return d.Name == "Sample" && d.AuthnRequestsSigned },
		},
		{
			"byte order mark and comment", "<EntityDescriptor", "\ufeff<!-- ours --><EntityDescriptor", nil,
			func(d *metadata.SPDescriptor) bool { return d.EntityID == "https://sp.example/md" },
		},
		{
			"blank line before the declaration and a stylesheet", "<EntityDescriptor", "\r\n\n<?xml version='1.0'?>\n<?xml-stylesheet href='x.xsl'?>\n<EntityDescriptor", nil,
			func(d *metadata.SPDescriptor) bool { return d.EntityID == "https://sp.example/md" },
		},
		{
			"no certificate", key, "", []metadata.Part{metadata.PartSigningKey},
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 0 },
		},
		{
			"a chain", "</X509Certificate>", "</X509Certificate><X509Certificate>" + b64(datedCert(t, otherKey(), "authority", testNow.AddDate(0, 0, -1), testNow.AddDate(9, 0, 0))) + "</X509Certificate>",
			[]metadata.Part{metadata.PartChain},
			func(d *metadata.SPDescriptor) bool {
				return len(d.RequestCerts) == 1 && d.RequestCerts[0].Subject.CommonName == "sp"
			},
		},
		{
			"a certificate that was renewed for the same key", text,
			"<X509Certificate>" + b64(datedCert(t, yearKey(), "old", testNow.AddDate(-3, 0, 0), testNow.AddDate(-1, 0, 0))) + "</X509Certificate>" +
				"<X509Certificate>" + b64(datedCert(t, yearKey(), "new", testNow.AddDate(-1, 0, 0), testNow.AddDate(1, 0, 0))),
			[]metadata.Part{metadata.PartChain},
			func(d *metadata.SPDescriptor) bool { return d.RequestCerts[0].Subject.CommonName == "new" },
		},
		{
			"the same certificate twice", key, key + key, nil,
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 1 },
		},
		{
			"more keys than are tried", key, manyKeys(t, key, text, 12), []metadata.Part{metadata.PartSigningKey},
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 10 },
		},
		{
			"an EC key for encryption beside an RSA one", key, key + enc + strings.Replace(enc, text, "<X509Certificate>"+b64(certFor(t, curve, "ec")), 1),
			[]metadata.Part{metadata.PartEncryptionKey},
			func(d *metadata.SPDescriptor) bool {
				return len(d.EncryptionCerts) == 1 && d.Encryption == idp.EncryptionCBC
			},
		},
		{
			"use in capitals", `use="signing"`, `use=" Signing"`, nil,
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 1 },
		},
		{
			"an ACS without an index", acs, strings.ReplaceAll(acs+acs, ` index="0"`, "") + strings.Replace(acs, "/acs", "/zero", 1),
			[]metadata.Part{metadata.PartACS, metadata.PartIndex},
			func(d *metadata.SPDescriptor) bool {
				return cmp.Equal(d.ACS, []metadata.ACS{{URL: "https://sp.example/acs", Index: 1}, {URL: "https://sp.example/zero", Index: 0}})
			},
		},
		{
			"one index for two", acs, acs + strings.Replace(acs, "/acs", "/two", 1) + strings.NewReplacer("/acs", "/three", `"0"`, `"1"`).Replace(acs),
			[]metadata.Part{metadata.PartIndex},
			func(d *metadata.SPDescriptor) bool {
				return cmp.Equal(d.ACS, []metadata.ACS{{URL: "https://sp.example/acs", Index: 2}, {URL: "https://sp.example/two", Index: 3}, {URL: "https://sp.example/three", Index: 1}})
			},
		},
		{
			"two indexes for one URL", acs, acs + strings.Replace(acs, `"0"`, `"1" isDefault="TRUE"`, 1), nil,
			func(d *metadata.SPDescriptor) bool {
				return cmp.Equal(d.ACS, []metadata.ACS{{URL: "https://sp.example/acs", Index: 1}, {URL: "https://sp.example/acs", Index: 0}})
			},
		},
		{
			"an index shared with another binding", acs, acs + strings.Replace(acs, "HTTP-POST", "HTTP-Artifact", 1),
			[]metadata.Part{metadata.PartACS, metadata.PartIndex},
			func(d *metadata.SPDescriptor) bool { return len(d.ACS) == 1 && d.ACS[0].Index == 0 },
		},
		{
			"an index that a service of another binding has is not given away", acs, strings.Replace(acs, ` index="0"`, "", 1) + strings.Replace(acs, "HTTP-POST", "HTTP-Artifact", 1),
			[]metadata.Part{metadata.PartACS, metadata.PartIndex},
			func(d *metadata.SPDescriptor) bool { return d.ACS[0].Index == 1 },
		},
		{
			"the default ACS is first", acs, acs + strings.NewReplacer("/acs", "/two", `index="0"`, `index="5" isDefault=" 1 "`).Replace(acs), nil,
			func(d *metadata.SPDescriptor) bool {
				return len(d.ACS) == 2 && d.ACS[0] == metadata.ACS{URL: "https://sp.example/two", Index: 5}
			},
		},
		{
			"the default ACS cannot be used", acs, acs + strings.NewReplacer("https://sp.example/acs", "app:/acs", `index="0"`, `index="5" isDefault="true"`).Replace(acs),
			[]metadata.Part{metadata.PartACS, metadata.PartDefault},
			func(d *metadata.SPDescriptor) bool { return len(d.ACS) == 1 },
		},
		{
			"two logout URLs", acs, slo + strings.Replace(slo, "/slo", "/slo2", 1) + acs, []metadata.Part{metadata.PartLogout},
			func(d *metadata.SPDescriptor) bool { return d.LogoutURL == "https://sp.example/slo" },
		},
		{
			"a broken logout URL before a good one", acs, strings.Replace(slo, "https://sp.example", "", 1) + slo + acs, []metadata.Part{metadata.PartLogout},
			func(d *metadata.SPDescriptor) bool { return d.LogoutURL == "https://sp.example/slo" },
		},
		{
			"content encryption that we do not have", key, method("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), []metadata.Part{metadata.PartMethod},
			func(d *metadata.SPDescriptor) bool { return d.Encryption == idp.EncryptionCBC },
		},
		{
			"the first method that we have", key, method("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"), nil,
			func(d *metadata.SPDescriptor) bool {
				return d.Encryption == idp.EncryptionGCM && d.EncryptionDigest == idp.DigestSHA1
			},
		},
		{
			"OAEP of version 1.1 alone", key, method("http://www.w3.org/2001/04/xmlenc#aes256-cbc", "http://www.w3.org/2009/xmlenc11#rsa-oaep"), []metadata.Part{metadata.PartMethod},
			func(d *metadata.SPDescriptor) bool { return d.EncryptionDigest == idp.DigestSHA1 },
		},
		{
			"OAEP of both versions", key, method("http://www.w3.org/2009/xmlenc11#rsa-oaep", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"), nil,
			func(d *metadata.SPDescriptor) bool { return d.Encryption == idp.EncryptionCBC },
		},
		{
			"OAEP with SHA-512", key, strings.Replace(method("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"), `mgf1p"/>`,
				`mgf1p"><DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/></EncryptionMethod>`, 1),
			[]metadata.Part{metadata.PartMethod},
			func(d *metadata.SPDescriptor) bool { return d.EncryptionDigest == idp.DigestSHA1 },
		},
		{
			"validUntil ahead", "<EntityDescriptor", `<EntityDescriptor validUntil="2026-12-01T00:00:00"`, nil,
			func(d *metadata.SPDescriptor) bool {
				return d.ValidUntil.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
			},
		},
		{
			"expired", "<EntityDescriptor", `<EntityDescriptor validUntil="2026-11-22T12:00:00Z"`, []metadata.Part{metadata.PartExpiry},
			func(d *metadata.SPDescriptor) bool { return !d.ValidUntil.After(testNow) },
		},
		{
			"role for SAML 1.1 beside", "<Organization>", `<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol"/><Organization>`, []metadata.Part{metadata.PartRole},
			func(d *metadata.SPDescriptor) bool { return len(d.ACS) == 1 },
		},
		{
			"a long name", ">Sample<", ">" + strings.Repeat("é", 500) + "<", []metadata.Part{metadata.PartName},
			func(d *metadata.SPDescriptor) bool { return d.Name == strings.Repeat("é", idp.MaxName-1)+"…" },
		},
		{
			"a name that turns the direction of writing", ">Sample<", ">Sam\u202eple<", []metadata.Part{metadata.PartName},
			func(d *metadata.SPDescriptor) bool { return d.Name == "https://sp.example/md" },
		},
		{
			"English of a country", `<DisplayName xml:lang="en">`, `<DisplayName xml:lang="enm">Olde</DisplayName><DisplayName xml:lang="EN_us">`, nil,
			func(d *metadata.SPDescriptor) bool { return d.Name == "Sample" },
		},
		{
			"the name of the organization", `Sample</DisplayName></UIInfo></Extensions>`, `</DisplayName></UIInfo></Extensions><Organization><OrganizationName xml:lang="en">Org</OrganizationName></Organization>`,
			[]metadata.Part{metadata.PartName},
			func(d *metadata.SPDescriptor) bool { return d.Name == "Org" },
		},
		{
			"an empty name", ">Sample<", "><", nil,
			func(d *metadata.SPDescriptor) bool { return d.Name == "https://sp.example/md" },
		},
		{
			"no name, and a long entity ID", "", strings.NewReplacer("https://sp.example/md", "https://sp.example/"+strings.Repeat("x", 200), ">Sample<", "><").Replace(doc), nil,
			func(d *metadata.SPDescriptor) bool { return d.Name == "sp.example" },
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := strings.Replace(doc, c.old, c.new, 1)
			if strings.HasPrefix(c.new, "<EntityDescriptor") && c.old == "" {
				in = c.new
			}
			d, err := metadata.ReadSP([]byte(in), testNow, metadata.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(d) {
				t.Errorf("not as expected: %+v", d)
			}
			if diff := cmp.Diff(c.want, partsOf(d.Notes)); diff != "" {
				t.Errorf("%s\n%v", diff, d.Notes)
			}
		})
	}
}

// otherKey returns a key other than yearKey.
var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// datedCert returns a certificate with the given dates.
func datedCert(t testing.TB, key crypto.Signer, name string, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
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

// manyKeys repeats a KeyDescriptor with different certificates.
func manyKeys(t testing.TB, key, text string, n int) string {
	var b strings.Builder
	for i := range n {
		cert := datedCert(t, yearKey(), "sp", testNow.AddDate(0, -1, -i), testNow.AddDate(1, 0, 0))
		b.WriteString(strings.Replace(key, text, "<X509Certificate>"+b64(cert), 1))
	}
	return b.String()
}

// TestReadSPEncodings reads a document in the encodings that editors save.
func TestReadSPEncodings(t *testing.T) {
	t.Parallel()
	doc := `<?xml version="1.0" encoding="ENC"?>` + strings.Replace(spDoc(t), ">Sample<", ">Café<", 1)
	wide := func(order binary.AppendByteOrder, text string) []byte {
		var out []byte
		for _, u := range utf16.Encode([]rune(text)) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
	latin := []byte(strings.ReplaceAll(strings.Replace(doc, "ENC", "ISO-8859-1", 1), "é", "\xe9"))
	cases := []struct {
		name string
		in   []byte
	}{
		{"UTF-8", []byte(strings.Replace(doc, "ENC", "UTF-8", 1))},
		{"UTF-8 with a mark and a blank line", []byte("\ufeff\n" + strings.Replace(doc, "ENC", "utf-8", 1))},
		{"UTF-16LE with a mark", wide(binary.LittleEndian, "\ufeff"+strings.Replace(doc, "ENC", "UTF-16", 1))},
		{"UTF-16BE with a mark", wide(binary.BigEndian, "\ufeff"+strings.Replace(doc, "ENC", "utf-16", 1))},
		{"UTF-16LE without a mark", wide(binary.LittleEndian, strings.Replace(doc, "ENC", "utf-16le", 1))},
		{"ISO-8859-1", latin},
		{"Windows-1252", []byte(strings.Replace(string(latin), "ISO-8859-1", "windows-1252", 1))},
		{"UTF-8 that declares ISO-8859-1", []byte(strings.Replace(doc, "ENC", "ISO-8859-1", 1))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := metadata.ReadSP(c.in, testNow, metadata.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d.Name != "Café" {
				t.Errorf("name is %q", d.Name)
			}
		})
	}
}

// TestReadSPFromAggregate selects one of several providers by its entity ID.
func TestReadSPFromAggregate(t *testing.T) {
	t.Parallel()
	doc := spDoc(t)
	named := func(id string) string { return strings.ReplaceAll(doc, "https://sp.example/md", id) }
	group := func(attrs string, inner ...string) string {
		return `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"` + attrs + `>` + strings.Join(inner, "") + `</EntitiesDescriptor>`
	}
	const past = ` validUntil="2026-01-01T00:00:00Z"`
	idpOnly := strings.ReplaceAll(named("urn:idp"), "SPSSODescriptor", "IDPSSODescriptor")
	nested := group("", named("urn:a"), group(past, named("urn:b")), group("", group("", named("urn:c"))), idpOnly)
	cases := []struct {
		name, doc string
		id        idp.EntityID
		fetched   bool
		problems  []metadata.Part
		notes     []metadata.Part
	}{
		{"first", nested, "urn:a", true, nil, nil},
		{"nested twice", nested, "urn:c", true, nil, nil},
		{"in a group that has expired, as a file", nested, "urn:b", false, nil, []metadata.Part{metadata.PartExpiry}},
		{"in a group that has expired, fetched", nested, "urn:b", true, []metadata.Part{metadata.PartExpiry}, nil},
		{"not there", nested, "urn:d", false, []metadata.Part{metadata.PartEntity}, nil},
		{"an identity provider", nested, "urn:idp", false, []metadata.Part{metadata.PartEntity}, nil},
		{"not named", nested, "", false, []metadata.Part{metadata.PartEntity}, nil},
		{"there twice", group("", named("urn:a"), named("urn:a")), "urn:a", false, []metadata.Part{metadata.PartEntity}, nil},
		{"the only service provider", group("", named("urn:a"), idpOnly), "", true, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := metadata.ReadSP([]byte(c.doc), testNow, metadata.Options{EntityID: c.id, Fetched: c.fetched})
			var problems metadata.Problems
			errors.As(err, &problems)
			if diff := cmp.Diff(c.problems, partsOf(problems)); diff != "" {
				t.Fatalf("%s\n%v", diff, err)
			}
			if err != nil {
				return
			}
			if c.id != "" && d.EntityID != c.id {
				t.Errorf("read %q", d.EntityID)
			}
			if diff := cmp.Diff(c.notes, partsOf(d.Notes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReadSPWithOptions checks that a document may lack the values that the operator gives.
func TestReadSPWithOptions(t *testing.T) {
	t.Parallel()
	doc := spDoc(t)
	text := doc[strings.Index(doc, "<X509Certificate>"):strings.Index(doc, "</X509Certificate>")]
	key := doc[strings.Index(doc, "<KeyDescriptor"):strings.Index(doc, "<AssertionConsumerService")]
	second := strings.NewReplacer("/acs", "/two", `"0"`, `"1" isDefault="true"`).Replace(acsElement)
	org := strings.NewReplacer(">Sample<", "><", "<Organization>", "<Organization><OrganizationName>Org</OrganizationName>").Replace(doc)
	service := strings.NewReplacer(">Sample<", "><", "</SPSSODescriptor>", "<AttributeConsumingService><ServiceName>Required attributes</ServiceName></AttributeConsumingService></SPSSODescriptor>").Replace(doc)
	permission := idp.Option{Name: "permission"}
	noTwo := func(url string) (string, idp.Option) {
		if strings.HasSuffix(url, "/two") || strings.HasSuffix(url, "/slo") {
			return "is not wanted", permission
		}
		return "", idp.Option{}
	}
	cases := []struct {
		name, doc string
		o         metadata.Options
		problems  []metadata.Part
		notes     []metadata.Part
	}{
		{"no ACS, and the operator gives one", strings.Replace(doc, acsElement, "", 1), metadata.Options{HasACS: true}, nil, []metadata.Part{metadata.PartACS}},
		{"no usable key, and the operator gives one", strings.Replace(doc, text, "<X509Certificate>??", 1), metadata.Options{HasKeys: true}, nil, []metadata.Part{metadata.PartSigningKey}},
		{
			"no usable encryption key, and the operator gives one", strings.Replace(doc, key, key+strings.Replace(strings.Replace(key, "signing", "encryption", 1), text, "<X509Certificate>??", 1), 1),
			metadata.Options{HasEncryption: true}, nil, []metadata.Part{metadata.PartEncryptionKey},
		},
		{"an ACS that the registry refuses beside a good one", strings.Replace(doc, acsElement, acsElement+second, 1), metadata.Options{CheckURL: noTwo}, nil, []metadata.Part{metadata.PartACS}},
		{"the registry refuses the only ACS, and says so itself", strings.Replace(doc, "/acs", "/two", 1), metadata.Options{CheckURL: noTwo}, nil, nil},
		{
			"a logout URL that the registry refuses", strings.Replace(doc, acsElement, `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/slo"/>`+acsElement, 1),
			metadata.Options{CheckURL: noTwo}, nil, []metadata.Part{metadata.PartLogout},
		},
		{"fetched and expired", strings.Replace(doc, "<SPSSODescriptor", `<SPSSODescriptor validUntil="2026-11-22T13:00:00+02:00"`, 1), metadata.Options{Fetched: true}, []metadata.Part{metadata.PartExpiry}, nil},
		{"an unknown use, and the operator gives a certificate", strings.Replace(doc, `use="signing"`, `use="both"`, 1), metadata.Options{HasKeys: true}, nil, []metadata.Part{metadata.PartUse}},
		{"a long name, and the operator gives one", strings.Replace(doc, ">Sample<", ">"+strings.Repeat("x", 200)+"<", 1), metadata.Options{HasName: true}, nil, nil},
		{"the name of the organization, and the operator gives one", org, metadata.Options{HasName: true}, nil, nil},
		{"ServiceName", service, metadata.Options{}, nil, []metadata.Part{metadata.PartName}},
		{"ServiceName, and the operator gives a name", service, metadata.Options{HasName: true}, nil, nil},
		{"a document type is no white space", "<!DOCTYPE x>" + doc, metadata.Options{HasACS: true, HasKeys: true}, []metadata.Part{metadata.PartDocument}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := metadata.ReadSP([]byte(c.doc), testNow, c.o)
			var problems metadata.Problems
			errors.As(err, &problems)
			if diff := cmp.Diff(c.problems, partsOf(problems)); diff != "" {
				t.Fatalf("%s\n%v", diff, err)
			}
			if err == nil {
				if diff := cmp.Diff(c.notes, partsOf(d.Notes)); diff != "" {
					t.Errorf("%s\n%v", diff, d.Notes)
				}
				for _, n := range d.Notes {
					if named := n.Option == permission; named != (c.o.CheckURL != nil) {
						t.Errorf("the note about %s names the option %+v", n.Part, n.Option)
					}
					if n.Part == metadata.PartName && n.Option.Name != idp.OptionName {
						t.Errorf("the note %q does not name the option", n.Text)
					}
				}
			}
		})
	}
}

// FuzzSPMetadata looks for panics, and for documents that are accepted although a value is
// missing from the result.
func FuzzSPMetadata(f *testing.F) {
	files, err := filepath.Glob("../testdata/metadata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := metadata.ReadSP(data, testNow, metadata.Options{})
		if err != nil {
			if raw := rawText.FindString(err.Error()); raw != "" {
				t.Errorf("the text of a parser is shown: %q in %v", raw, err)
			}
			return
		}
		if d.EntityID == "" || d.Name == "" || len(d.ACS) == 0 || (d.Encryption == idp.EncryptionNone) != (len(d.EncryptionCerts) == 0) {
			t.Errorf("incomplete: %+v", d)
		}
		seen := map[int]bool{}
		for _, acs := range d.ACS {
			if seen[acs.Index] || !strings.HasPrefix(strings.ToLower(acs.URL), "http") {
				t.Errorf("index %d twice, or address %q", acs.Index, acs.URL)
			}
			seen[acs.Index] = true
		}
	})
}
