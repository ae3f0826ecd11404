package metadata_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vernal/idp"
	"vernal/metadata"
)

// TestParseSPSamples reads documents in the shape that software in use makes.
func TestParseSPSamples(t *testing.T) {
	t.Parallel()
	cases := []struct {
		file string
		want idp.ServiceProvider // Certs and EncryptionCerts by common name
		// warnings are parts of the warnings expected, all of them.
		warnings []string
	}{
		{
			file: "mod_auth_mellon.xml",
			want: idp.ServiceProvider{
				EntityID: "https://mellon.example/mellon/metadata", Name: "https://mellon.example/mellon/metadata",
				ACSURLs: []string{"https://mellon.example/mellon/postResponse"}, ACSIndexes: []int{0},
				Certs: []string{"sp-a.example"}, Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
			},
			warnings: []string{
				"no name", "binding HTTP-Artifact", "binding PAOS", "SOAP at https://mellon.example/mellon/logout, HTTP-Redirect at", "persistent NameID format",
			},
		},
		{
			file: "shibboleth.xml",
			want: idp.ServiceProvider{
				EntityID: "https://shib.example/shibboleth", Name: "Sample Library",
				ACSURLs: []string{"https://shib.example/Shibboleth.sso/SAML2/POST"}, ACSIndexes: []int{1},
				LogoutURL: "https://shib.example/Shibboleth.sso/SLO/POST",
				Certs:     []string{"sp-b.example"}, Encryption: idp.EncryptionNone, EncryptionDigest: idp.DigestSHA1,
			},
			warnings: []string{"HTTP-POST-SimpleSign", "binding HTTP-Artifact", "binding PAOS", "AuthnRequestsSigned"},
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
			warnings: []string{"no name", "KeyDescriptor 2 (use=\"signing\"): the certificate ended on 2025-01-01", "e-mail addresses", "persistent NameID format"},
		},
		{
			file: "simplesamlphp.xml",
			want: idp.ServiceProvider{
				EntityID: "https://php.example/simplesaml/module.php/saml/sp/metadata.php/default-sp", Name: "Eksempel forening",
				ACSURLs: []string{"https://php.example/simplesaml/module.php/saml/sp/saml2-acs.php/default-sp"}, ACSIndexes: []int{0},
				Certs: []string{"sp-a.example"}, EncryptionCerts: []string{"sp-b.example"},
				Encryption: idp.EncryptionCBC, EncryptionDigest: idp.DigestSHA1,
			},
			warnings: []string{"browser-post", "binding HTTP-Artifact", "no LogoutResponse", "AuthnRequestsSigned"},
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
			warnings: []string{"no name", "binding HTTP-Artifact", "persistent NameID format"},
		},
		{
			file: "pysaml2.xml",
			want: idp.ServiceProvider{
				EntityID: "https://py.example/sp", Name: "Sample service",
				ACSURLs: []string{"https://py.example/acs", "https://py.example/other"}, ACSIndexes: []int{1, 2},
				LogoutURL: "https://py.example/acs",
				Certs:     []string{"sp-a.example"}, EncryptionCerts: []string{"sp-a.example"},
				Encryption: idp.EncryptionGCM, EncryptionDigest: idp.DigestSHA256,
			},
		},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("../testdata/metadata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			d, err := metadata.ParseSP(data, testNow)
			if err != nil {
				t.Fatal(err)
			}
			c.want.SignRequests = idp.SignRequestsRequired
			c.want.IAL, c.want.AAL = idp.IALAuthOnly, idp.AALDefault
			c.want.Attributes, c.want.EmailAttribute = []string{"email"}, idp.EmailAttributePlain
			c.want.NameIDFormats = []string{idp.NameIDFormatPersistent}
			got := *d.Provider()
			got.Certs, got.EncryptionCerts = namesOf(t, got.Certs), namesOf(t, got.EncryptionCerts)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if len(d.Warnings) != len(c.warnings) {
				t.Errorf("%d warnings, want %d: %q", len(d.Warnings), len(c.warnings), d.Warnings)
			}
			all := strings.Join(d.Warnings, "\n")
			for _, w := range c.warnings {
				if !strings.Contains(all, w) {
					t.Errorf("no warning with %q in:\n%s", w, all)
				}
			}
		})
	}
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

// spDoc is a plain document with a certificate for each placeholder.
func spDoc(t testing.TB) string {
	t.Helper()
	return strings.ReplaceAll(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sp.example/md">
 <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true">
  <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>CERT</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
  <AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/acs" index="0"/>
 </SPSSODescriptor>
 <Organization><OrganizationDisplayName xml:lang="en">Sample</OrganizationDisplayName></Organization>
</EntityDescriptor>`, "CERT", b64(certFor(t, yearKey(), "sp")))
}

func b64(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

func TestParseSPProblems(t *testing.T) {
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
	acs := `<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/acs" index="0"/>`
	key := doc[strings.Index(doc, "<KeyDescriptor"):strings.Index(doc, "<AssertionConsumerService")]
	cert := b64(certFor(t, yearKey(), "sp"))
	text := doc[strings.Index(doc, "<X509Certificate>"):strings.Index(doc, "</X509Certificate>")]
	group := func(inner string) string {
		return `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + inner + `</EntitiesDescriptor>`
	}
	cases := []struct {
		name     string
		old, new string // replaced in the document; old "" replaces all of it
		want     []string
	}{
		{"not XML", "", "hello", []string{"cannot be read"}},
		{"document type", "", "<!DOCTYPE a>" + doc, []string{"cannot be read"}},
		{"not metadata", "", `<html/>`, []string{"not SAML metadata: the root element is html"}},
		{"an identity provider", "SPSSODescriptor", "IDPSSODescriptor", []string{"of an identity provider"}},
		{"no role", "SPSSODescriptor", "PDPDescriptor", []string{"no SPSSODescriptor"}},
		{"two roles", "", strings.Replace(doc, "<Organization>", `<SPSSODescriptor/><Organization>`, 1), []string{"2 SPSSODescriptors"}},
		{"no service provider in a group", "", group(""), []string{"holds no service provider"}},
		{
			"several in a group", "", group(doc + group(strings.ReplaceAll(doc, "https://sp.example/md", "https://other.example/md"))),
			[]string{"2 service providers: https://sp.example/md, https://other.example/md."},
		},
		{"group expired", "", strings.Replace(group(doc), "<EntitiesDescriptor", `<EntitiesDescriptor validUntil="2026-01-01T00:00:00Z"`, 1), []string{"EntitiesDescriptor was valid until 2026-01-01"}},
		{"no entity ID", ` entityID="https://sp.example/md"`, "", []string{"no entityID"}},
		{"entity ID with a space", `sp.example/md"`, `sp.example/m d"`, []string{"white space"}},
		{"entity ID too long", `sp.example/md"`, `sp.example/` + strings.Repeat("x", 1024) + `"`, []string{"1024"}},
		{"expired", "<EntityDescriptor", `<EntityDescriptor validUntil="2026-11-22T12:00:00Z"`, []string{"EntityDescriptor was valid until 2026-11-22"}},
		{"role expired, in another zone", "<SPSSODescriptor", `<SPSSODescriptor validUntil="2026-11-22T13:00:00+02:00"`, []string{"SPSSODescriptor was valid until 2026-11-22T11:00:00Z"}},
		{"validUntil is no time", "<EntityDescriptor", `<EntityDescriptor validUntil="soon"`, []string{`not a time: "soon"`}},
		{"SAML 1.1 only", `SAML:2.0:protocol"`, `SAML:1.1:protocol"`, []string{"does not support SAML 2.0"}},
		{"boolean that is none", `AuthnRequestsSigned="true"`, `AuthnRequestsSigned="yes"`, []string{`AuthnRequestsSigned of SPSSODescriptor is "yes"`}},
		{"no ACS", acs, "", []string{"no AssertionConsumerService with the binding HTTP-POST (0 with others)"}},
		{"no POST ACS", acs, strings.Replace(acs, "HTTP-POST", "HTTP-Artifact", 1), []string{"HTTP-POST (1 with others)"}},
		{"script as ACS", "https://sp.example/acs", "javascript:alert(1)", []string{`"javascript:alert(1)", which is not an https address`}},
		{"ACS without a host", "https://sp.example/acs", "/acs", []string{"not an https address"}},
		{"ACS without a Location", ` Location="https://sp.example/acs"`, "", []string{"AssertionConsumerService has no Location"}},
		{"index twice", acs, acs + strings.Replace(acs, "/acs", "/two", 1), []string{"index 0: https://sp.example/acs and https://sp.example/two"}},
		{"index that is none", `index="0"`, `index="-1"`, []string{`"-1", which is not a number`}},
		{"index too large", `index="0"`, `index="65536"`, []string{"not a number from 0 to 65535"}},
		{"logout address that is none", acs, `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="data:x"/>` + acs, []string{"Location of SingleLogoutService"}},
		{"unknown use", `use="signing"`, `use="both"`, []string{"use must be signing or encryption"}},
		{"key without a certificate", text + "</X509Certificate>", "<X509SubjectName>x</X509SubjectName>", []string{`KeyDescriptor 1 (use="signing") has no X509Certificate`}},
		{"certificate is empty", text, "<X509Certificate>", []string{"it is empty"}},
		{"certificate is not base64", text, "<X509Certificate>??", []string{"it is not base64"}},
		{"certificate is none", text, "<X509Certificate>AAAA", []string{`KeyDescriptor 1 (use="signing"): the certificate cannot be read: x509`}},
		{"second certificate is none", key, key + strings.Replace(strings.Replace(key, text, "<X509Certificate>AAAA", 1), ` use="signing"`, "", 1), []string{"KeyDescriptor 2 (without use): the certificate cannot be read"}},
		{"RSA of 1024 bits", text, "<X509Certificate>" + b64(certFor(t, weak, "sp")), []string{"1024 bits"}},
		{"not RSA", text, "<X509Certificate>" + b64(certFor(t, curve, "sp")), []string{"type ECDSA"}},
		{"our certificate", text, "<X509Certificate>" + b64(ours), []string{"our own signing certificate (CN=idp.example 2026)"}},
		{
			"all at once", "", strings.NewReplacer("https://sp.example/md", "", "https://sp.example/acs", "ftp://x", cert[:40], "AAAA").Replace(doc),
			[]string{"no entityID", "not an https address"},
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
			d, err := metadata.ParseSP([]byte(in), testNow, metadata.FingerprintOf(ours))
			var problems metadata.Problems
			if d != nil || !errors.As(err, &problems) {
				t.Fatalf("error is %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no problem with %q in: %v", want, err)
				}
			}
			if len(c.want) == 1 && len(problems) != 1 {
				t.Errorf("%d problems, want 1: %v", len(problems), err)
			}
		})
	}
}

// TestParseSPWarnings covers what is taken with a warning, beyond the samples.
func TestParseSPWarnings(t *testing.T) {
	t.Parallel()
	doc := spDoc(t)
	acs := `<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/acs" index="0"/>`
	slo := `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example/slo"/>`
	key := doc[strings.Index(doc, "<KeyDescriptor"):strings.Index(doc, "<AssertionConsumerService")]
	enc := strings.Replace(key, "signing", "encryption", 1)
	cases := []struct {
		name     string
		old, new string
		want     string // a part of the one warning
		check    func(d *metadata.SPDescriptor) bool
	}{
		{
			"nothing to warn of", "", "", "",
			func(d *metadata.SPDescriptor) bool {
				return len(d.Warnings) == 0 && d.Name == "Sample" && d.AuthnRequestsSigned
			},
		},
		{
			"byte order mark and comment", "<EntityDescriptor", "\ufeff<!-- ours --><EntityDescriptor", "",
			func(d *metadata.SPDescriptor) bool { return d.EntityID == "https://sp.example/md" },
		},
		{
			"no certificate", key, "", "no certificate for signing",
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 0 },
		},
		{
			"a chain in one value", "</X509Certificate>", "</X509Certificate><X509Certificate>" + b64(certFor(t, yearKey(), "authority")) + "</X509Certificate>",
			"lists 2 certificates; only the first one, CN=sp",
			func(d *metadata.SPDescriptor) bool {
				return len(d.RequestCerts) == 1 && d.RequestCerts[0].Subject.CommonName == "sp"
			},
		},
		{
			"the same certificate twice", key, key + key, "",
			func(d *metadata.SPDescriptor) bool { return len(d.RequestCerts) == 1 },
		},
		{
			"an ACS without an index", acs, strings.ReplaceAll(acs+acs, ` index="0"`, "") + strings.Replace(acs, "/acs", "/zero", 1), "",
			func(d *metadata.SPDescriptor) bool {
				return len(d.ACS) == 3 && d.ACS[0].Index == 1 && d.ACS[1].Index == 2 && d.ACS[2].Index == 0 && len(d.Warnings) == 2
			},
		},
		{
			"an index shared with another binding", acs, acs + strings.Replace(acs, "HTTP-POST", "HTTP-Artifact", 1), "",
			func(d *metadata.SPDescriptor) bool {
				return len(d.ACS) == 1 && strings.Contains(d.Warnings[1], "index 0 belongs to two")
			},
		},
		{
			"the default ACS is first", acs, acs + strings.NewReplacer("/acs", "/two", `index="0"`, `index="5" isDefault=" 1 "`).Replace(acs), "",
			func(d *metadata.SPDescriptor) bool {
				return len(d.ACS) == 2 && d.ACS[0] == metadata.ACS{URL: "https://sp.example/two", Index: 5}
			},
		},
		{
			"the default ACS has another binding", acs, acs + strings.NewReplacer("HTTP-POST", "PAOS", `index="0"`, `index="5" isDefault="true"`).Replace(acs), "",
			func(d *metadata.SPDescriptor) bool {
				return len(d.ACS) == 1 && strings.Contains(d.Warnings[1], "https://sp.example/acs is the default")
			},
		},
		{
			"two logout addresses", acs, slo + strings.Replace(slo, "/slo", "/slo2", 1) + acs, "https://sp.example/slo is used, not https://sp.example/slo2",
			func(d *metadata.SPDescriptor) bool { return d.LogoutURL == "https://sp.example/slo" },
		},
		{
			"encryption that we do not have", key, key + strings.Replace(enc, "</KeyInfo>", `</KeyInfo><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>`, 1),
			"names neither aes256-cbc nor aes256-gcm",
			func(d *metadata.SPDescriptor) bool { return d.Encryption == idp.EncryptionCBC },
		},
		{
			"the first method that we have", key, key + strings.Replace(enc, "</KeyInfo>", `</KeyInfo><EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>`, 1),
			"",
			func(d *metadata.SPDescriptor) bool {
				return d.Encryption == idp.EncryptionGCM && d.EncryptionDigest == idp.DigestSHA1
			},
		},
		{
			"validUntil ahead", "<EntityDescriptor", `<EntityDescriptor validUntil="2026-12-01T00:00:00"`, "",
			func(d *metadata.SPDescriptor) bool {
				return d.ValidUntil.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
			},
		},
		{
			"a long name", ">Sample<", ">" + strings.Repeat("é", 500) + "<", "was cut",
			func(d *metadata.SPDescriptor) bool { return d.Name == strings.Repeat("é", 120) },
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := metadata.ParseSP([]byte(strings.Replace(doc, c.old, c.new, 1)), testNow)
			if err != nil {
				t.Fatal(err)
			}
			if !c.check(d) {
				t.Errorf("not as expected: %+v", d)
			}
			if c.want != "" && (len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], c.want)) {
				t.Errorf("warnings are %q, want one with %q", d.Warnings, c.want)
			}
		})
	}
}

// FuzzSPMetadata looks for panics, and for documents that are taken although
// something is missing from what they give.
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
		d, err := metadata.ParseSP(data, testNow)
		if err != nil {
			return
		}
		p := d.Provider()
		if p.EntityID == "" || p.Name == "" || len(p.ACSURLs) == 0 || len(p.ACSURLs) != len(p.ACSIndexes) ||
			(p.Encryption == idp.EncryptionNone) != (len(p.EncryptionCerts) == 0) {
			t.Errorf("incomplete: %+v", p)
		}
		seen := map[int]bool{}
		for i, u := range p.ACSURLs {
			if seen[p.ACSIndexes[i]] || !strings.HasPrefix(strings.ToLower(u), "http") {
				t.Errorf("index %d twice, or address %q", p.ACSIndexes[i], u)
			}
			seen[p.ACSIndexes[i]] = true
		}
	})
}
