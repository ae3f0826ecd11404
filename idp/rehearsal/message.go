package rehearsal

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
	"errors"
	"fmt"
	"html"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

// NewKey makes the key and the certificate of a rehearsal's SP.
func NewKey(now time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "rehearsal"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

// request is an AuthnRequest of the rehearsal's SP.
type request struct {
	id          string
	destination string
	issued      time.Time
	relay       string
}

func (w *Walk) request(destination idp.Year) request {
	return request{
		id: "_" + uuid.NewString(), destination: w.Terms.BaseURL + "/api/saml/auth" + string(destination),
		issued: w.Clock.Now(), relay: "rehearsal " + rand.Text(),
	}
}

// xml returns the message in exclusive canonical form, ready to be signed, and the offset
// for an enveloped signature.
func (r request) xml() (text []byte, signAt int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<samlp:AuthnRequest xmlns:samlp=%q AssertionConsumerServiceURL=%q Destination="%s" ID=%q IssueInstant=%q Version=%q>`,
		saml.NamespaceProtocol, acsURL, html.EscapeString(r.destination), r.id, r.issued.UTC().Format(saml.TimeFormat), saml.Version)
	fmt.Fprintf(&b, `<saml:Issuer xmlns:saml=%q>%s</saml:Issuer>`, saml.NamespaceAssertion, idp.RehearsalSP)
	signAt = b.Len()
	fmt.Fprintf(&b, `<samlp:NameIDPolicy Format=%q></samlp:NameIDPolicy></samlp:AuthnRequest>`, saml.NameIDFormatPersistent)
	return b.Bytes(), signAt
}

// query encodes the message for HTTP-Redirect, with a detached signature.
func (r request) query(key *rsa.PrivateKey) (string, error) {
	text, _ := r.xml()
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes())) +
		"&RelayState=" + url.QueryEscape(r.relay) + "&SigAlg=" + url.QueryEscape(xmldsig.AlgorithmRSASHA256)
	sum := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// form encodes the message for HTTP-POST, with an enveloped signature.
func (r request) form(key *rsa.PrivateKey, cert *x509.Certificate) (url.Values, error) {
	text, at := r.xml()
	signer, err := xmldsig.NewSigner(key, cert)
	if err != nil {
		return nil, err
	}
	if text, err = signer.Sign(text, r.id, at); err != nil {
		return nil, err
	}
	return url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(text)}, "RelayState": {r.relay}}, nil
}

// Patterns for our own pages, whose form is known. Foreign pages match nothing.
var (
	formAction   = regexp.MustCompile(`<form[^>]*\saction="([^"]*)"`)
	formResponse = regexp.MustCompile(`<input[^>]*\sname="SAMLResponse"[^>]*\svalue="([^"]*)"`)
	formRelay    = regexp.MustCompile(`<input[^>]*\sname="RelayState"[^>]*\svalue="([^"]*)"`)
	errorID      = regexp.MustCompile(`<code>([0-9A-HJKMNP-TV-Z]{16})</code>`)
)

// field returns the unescaped first match of the pattern on a page.
func field(pattern *regexp.Regexp, page []byte) string {
	m := pattern.FindSubmatch(page)
	if m == nil {
		return ""
	}
	return html.UnescapeString(string(m[1]))
}

// response returns the Response that a page posts.
func (r request) response(page []byte) ([]byte, error) {
	xml, err := base64.StdEncoding.DecodeString(strings.TrimSpace(field(formResponse, page)))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the SAMLResponse on the page is not base64: %w", err)
	case len(xml) == 0:
		return nil, errors.New("there is no SAMLResponse on the page")
	case field(formAction, page) != acsURL:
		return nil, fmt.Errorf("the Response is posted to %q, not to the ACS", field(formAction, page))
	case field(formRelay, page) != r.relay:
		return nil, fmt.Errorf("RelayState came back as %q, not %q", field(formRelay, page), r.relay)
	}
	return xml, nil
}
