package idptest

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"html"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/google/uuid"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp"
	"vernal/idp/idptest/fixture"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
)

// Provider is a scripted service provider: it signs AuthnRequests with the
// redirect binding and checks Responses with crewjam/saml.
type Provider struct {
	// IgnoresCertificateEnd makes Check accept a Response although our signing certificate has
	// expired, as many partners do.
	IgnoresCertificateEnd bool

	EntityID string
	ACS      string
	Key      *rsa.PrivateKey
	Cert     *x509.Certificate

	idp *IdP
}

// AddProvider registers a service provider that gets data without the consent of users, because
// most tests are about something else. The changes are applied to its record before it is added.
func (i *IdP) AddProvider(entityID string, change ...func(*idp.ServiceProvider)) *Provider {
	i.tb.Helper()
	p := &Provider{EntityID: entityID, ACS: entityID + "/acs", Key: fixture.Key(2), idp: i}
	p.Cert = createSelfSigned(i, p.Key)
	record := sp.Defaults()
	record.EntityID, record.Name = idp.EntityID(entityID), "Test "+entityID
	record.ACSURLs = []string{p.ACS}
	record.Certs = []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw}))}
	record.Consent = idp.ConsentNone
	record.ReturnToSPURL = entityID + "/home"
	record.LogoutURL = entityID + "/logged-out"
	for _, c := range change {
		c(record)
	}
	if err := i.register(record); err != nil {
		i.tb.Fatal(err)
	}
	return p
}

// Edit changes the provider's registration.
func (p *Provider) Edit(change func(*idp.ServiceProvider)) {
	p.idp.tb.Helper()
	_, err := p.idp.Registry.Edit(context.Background(), idp.EntityID(p.EntityID), func(record *idp.ServiceProvider) error {
		change(record)
		return nil
	}, sp.Options{AllowInsecureURL: true}, "test")
	if err != nil {
		p.idp.tb.Fatal(err)
	}
}

func createSelfSigned(i *IdP, key *rsa.PrivateKey) *x509.Certificate {
	now := i.Clock.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "test SP"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(3, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		i.tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.tb.Fatal(err)
	}
	return cert
}

// Request describes an AuthnRequest to send. The zero value is a simple request to the preferred
// year, with a new ID.
type Request struct {
	ID       string
	Year     idp.Year
	ACS      string
	ACSIndex string
	// Destination is empty for the year's endpoint URL.
	Destination string
	Subject     string // content of the Subject element, in exclusive canonical form
	ForceAuthn  bool
	IsPassive   bool
	RelayState  string
	Format      string   // of the NameID
	ClassRefs   []string // of the RequestedAuthnContext
	Unsigned    bool
	Key         *rsa.PrivateKey // the signing key; nil for the provider's key
	IssuedAt    time.Time
}

// fill sets the empty fields of the request.
func (p *Provider) fill(r *Request) {
	if r.ID == "" {
		r.ID = "_" + uuid.NewString()
	}
	if r.Year == "" {
		r.Year = p.idp.Year()
	}
	if r.Key == nil {
		r.Key = p.Key
	}
	if r.IssuedAt.IsZero() {
		r.IssuedAt = p.idp.Clock.Now()
	}
}

// XML returns the AuthnRequest as text, in exclusive canonical form, so that it can be
// signed without changes. signAt is the offset for an enveloped signature.
func (p *Provider) XML(r *Request) (text string, signAt int) {
	p.fill(r)
	var b strings.Builder
	b.WriteString(`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"`)
	destination := r.Destination
	if destination == "" {
		destination = p.idp.URL + "/api/saml/auth" + string(r.Year)
	}
	for _, a := range [][2]string{ // in the order of their names
		{"AssertionConsumerServiceIndex", r.ACSIndex},
		{"AssertionConsumerServiceURL", r.ACS},
		{"Destination", destination},
		{"ForceAuthn", formatFlag(r.ForceAuthn)},
		{"ID", r.ID},
		{"IsPassive", formatFlag(r.IsPassive)},
		{"IssueInstant", r.IssuedAt.UTC().Format(time.RFC3339)},
		{"Version", "2.0"},
	} {
		if a[1] != "" {
			b.WriteString(" " + a[0] + `="` + html.EscapeString(a[1]) + `"`)
		}
	}
	b.WriteString(`>` + assertionElement("Issuer", p.EntityID))
	signAt = b.Len()
	if r.Subject != "" {
		b.WriteString(`<saml:Subject xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + r.Subject + `</saml:Subject>`)
	}
	if r.Format != "" {
		b.WriteString(`<samlp:NameIDPolicy AllowCreate="true" Format="` + html.EscapeString(r.Format) + `"></samlp:NameIDPolicy>`)
	}
	if len(r.ClassRefs) > 0 {
		b.WriteString(`<samlp:RequestedAuthnContext Comparison="exact">`)
		for _, c := range r.ClassRefs {
			b.WriteString(assertionElement("AuthnContextClassRef", c))
		}
		b.WriteString(`</samlp:RequestedAuthnContext>`)
	}
	b.WriteString(`</samlp:AuthnRequest>`)
	return b.String(), signAt
}

func assertionElement(name, text string) string {
	return `<saml:` + name + ` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + html.EscapeString(text) + `</saml:` + name + `>`
}

func formatFlag(on bool) string {
	if on {
		return "true"
	}
	return ""
}

// Form returns the form that the browser posts: HTTP-POST with an enveloped signature.
func (p *Provider) Form(r *Request) url.Values {
	text, signAt := p.XML(r)
	doc := []byte(text)
	if !r.Unsigned {
		signer, err := xmldsig.NewSigner(r.Key, p.Cert)
		if err != nil {
			p.idp.tb.Fatal(err)
		}
		if doc, err = signer.Sign(doc, r.ID, signAt); err != nil {
			p.idp.tb.Fatal(err)
		}
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(doc)}}
	if r.RelayState != "" {
		form.Set("RelayState", r.RelayState)
	}
	return form
}

// URL returns the URL of the request by HTTP-Redirect with a detached signature.
func (p *Provider) URL(r *Request) string {
	text, _ := p.XML(r)
	key := r.Key
	if r.Unsigned {
		key = nil
	}
	return p.idp.URL + "/api/saml/auth" + string(r.Year) + "?" + p.encodeQuery(text, r.RelayState, key)
}

// encodeQuery returns the query of a message by HTTP-Redirect, signed with key; unsigned if it is nil.
func (p *Provider) encodeQuery(text, relayState string, key *rsa.PrivateKey) string {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, flate.BestCompression)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(buf.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	if key == nil {
		return query
	}
	query += "&SigAlg=" + url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	sum := sha256.Sum256([]byte(query))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		p.idp.tb.Fatal(err)
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sig))
}

// Check verifies a Response as the service provider would, with crewjam/saml
// and the certificate in the metadata of the year.
func (p *Provider) Check(r *Request, response []byte) (*saml.Assertion, error) {
	provider, err := p.newCrewjamProvider(r.Year)
	if err != nil {
		return nil, err
	}
	return provider.ParseXMLResponse(response, []string{r.ID}, provider.AcsURL)
}

// CheckLogout works like Check, for a LogoutResponse, which must be signed.
func (p *Provider) CheckLogout(r *LogoutRequest, response []byte) error {
	provider, err := p.newCrewjamProvider(r.Year)
	if err != nil {
		return err
	}
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(response)}}
	request, err := http.NewRequest(http.MethodPost, p.EntityID+"/logged-out", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = provider.ParseLogoutResponse(request, []string{r.ID})
	var responseErr *saml.InvalidResponseError
	if errors.As(err, &responseErr) {
		err = responseErr.PrivateErr
	}
	return err
}

// newCrewjamProvider returns the service provider in crewjam/saml, with the metadata of the year.
func (p *Provider) newCrewjamProvider(y idp.Year) (*saml.ServiceProvider, error) {
	var md saml.EntityDescriptor
	if err := xml.Unmarshal(p.idp.Get("/api/saml/metadata"+string(y)), &md); err != nil {
		return nil, err
	}
	metadataURL, _ := url.Parse(p.EntityID)
	acs, _ := url.Parse(p.ACS)
	slo, _ := url.Parse(p.EntityID + "/logged-out")
	return &saml.ServiceProvider{
		EntityID: p.EntityID, Key: p.Key, Certificate: p.Cert,
		MetadataURL: *metadataURL, AcsURL: *acs, SloURL: *slo, IDPMetadata: &md, Clock: dsig.NewFakeClockAt(p.idp.Clock.Now()), IgnoreCertificateExpiry: p.IgnoresCertificateEnd,
	}, nil
}

// Get loads one of the identity provider's documents.
func (i *IdP) Get(path string) []byte {
	i.tb.Helper()
	page := i.Browser().Get(i.URL + path)
	if page.Status != 200 {
		i.tb.Fatalf("GET %s: %d", path, page.Status)
	}
	return page.Body
}

func (i *IdP) register(record *idp.ServiceProvider) error {
	_, err := i.Registry.Add(context.Background(), record, sp.Options{AllowInsecureURL: true}, "test")
	return err
}
