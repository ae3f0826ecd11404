//go:build slow

package crash

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	"vernal/idp/idptest/binary"
)

// provider is a scripted service provider: it makes signed AuthnRequests and
// reads Responses.
type provider struct {
	entityID string
	key      *rsa.PrivateKey
}

// acs returns the URL that Responses are posted to. Nothing listens there.
func (p *provider) acs() string { return p.entityID + "/acs" }

// newProvider makes a provider and its metadata.
func newProvider(t *testing.T, entityID string, key *rsa.PrivateKey) (p *provider, metadata []byte) {
	t.Helper()
	p = &provider{entityID: entityID, key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "service provider"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return p, fmt.Appendf(nil, `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="%s">`+
		`<md:SPSSODescriptor AuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`+
		`<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>`+
		`<ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`+
		`<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="%s" index="0"/>`+
		`</md:SPSSODescriptor></md:EntityDescriptor>`, entityID, base64.StdEncoding.EncodeToString(cert), p.acs())
}

// authnRequest returns the URL of a signed AuthnRequest by HTTP-Redirect (saml-bindings
// §3.4.4.1).
func (p *provider) authnRequest(t *testing.T, destination string) string {
	t.Helper()
	doc := fmt.Sprintf(`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_%s" Version="2.0" `+
		`IssueInstant="%s" Destination="%s" AssertionConsumerServiceURL="%s">`+
		`<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%s</saml:Issuer></samlp:AuthnRequest>`,
		rand.Text(), time.Now().UTC().Format("2006-01-02T15:04:05Z"), destination, p.acs(), p.entityID)
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(doc)) // a bytes.Buffer takes everything
	_ = w.Close()
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes())) +
		"&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	sum := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return destination + "?" + query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
}

// nameID reads the NameID in the Response in our page.
func (p *provider) nameID(page []byte) (string, error) {
	doc, err := binary.ReadResponse(page)
	if err != nil {
		return "", err
	}
	var response struct {
		Assertion struct {
			Subject struct {
				NameID string
			}
			Conditions struct {
				AudienceRestriction struct{ Audience string }
			}
		}
	}
	if err := xml.Unmarshal(doc, &response); err != nil {
		return "", err
	}
	a := response.Assertion
	if a.Conditions.AudienceRestriction.Audience != p.entityID || a.Subject.NameID == "" {
		return "", fmt.Errorf("not a Response to %s with a NameID:\n%s", p.entityID, doc)
	}
	return a.Subject.NameID, nil
}
