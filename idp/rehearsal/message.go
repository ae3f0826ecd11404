package rehearsal

import (
	"crypto/rand"
	"crypto/rsa"
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

	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
)

// NewKey makes the key and the certificate of an SP that runs in this process.
func NewKey(name string, now, end time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

// newSP returns the rehearsal's SP in crewjam/saml, a third-party library.
func (w *Walk) newSP() *crewjam.ServiceProvider {
	return &crewjam.ServiceProvider{
		EntityID: string(idp.RehearsalSP), Key: w.Key, Certificate: w.Cert, AcsURL: acs, IDPMetadata: w.metadata,
		SignatureMethod: xmldsig.AlgorithmRSASHA256, AuthnNameIDFormat: crewjam.PersistentNameIDFormat,
		Clock: dsig.NewFakeClockAt(w.Clock.Now()),
	}
}

// request is an AuthnRequest of the rehearsal's SP.
type request struct {
	*crewjam.AuthnRequest
	relayState string
}

// newRequest makes an AuthnRequest for a binding, signed as the binding requires.
func (w *Walk) newRequest(destination idp.Year, binding string) (request, error) {
	r, err := w.newSP().MakeAuthenticationRequest(w.buildURL("/api/saml/auth"+string(destination)), binding, saml.BindingURIPOST)
	return request{r, "rehearsal " + rand.Text()}, err
}

// buildRedirectURL returns the message by HTTP-Redirect to the rehearsed year, regardless of its
// Destination.
func (w *Walk) buildRedirectURL(r request) (string, error) {
	target, err := r.Redirect(r.relayState, w.newSP())
	if err != nil {
		return "", err
	}
	return w.buildAuthURL() + "?" + target.RawQuery, nil
}

// encodeForm returns the message by HTTP-POST.
func (r request) encodeForm() url.Values {
	return url.Values{"SAMLRequest": {findField(formRequest, r.Post(r.relayState))}, "RelayState": {r.relayState}}
}

// Patterns for our own pages, whose form is known. Foreign pages match nothing.
var (
	formRequest  = regexp.MustCompile(`<input[^>]*\sname="SAMLRequest"[^>]*\svalue="([^"]*)"`)
	formAction   = regexp.MustCompile(`<form[^>]*\saction="([^"]*)"`)
	formResponse = regexp.MustCompile(`<input[^>]*\sname="SAMLResponse"[^>]*\svalue="([^"]*)"`)
	formRelay    = regexp.MustCompile(`<input[^>]*\sname="RelayState"[^>]*\svalue="([^"]*)"`)
	errorID      = regexp.MustCompile(`<code>([0-9A-HJKMNP-TV-Z]{16})</code>`)
)

// findField returns the unescaped first match of the pattern on a page.
func findField(pattern *regexp.Regexp, page []byte) string {
	match := pattern.FindSubmatch(page)
	if match == nil {
		return ""
	}
	return html.UnescapeString(string(match[1]))
}

// parseResponse returns the Response that a page posts.
func (r request) parseResponse(page []byte) ([]byte, error) {
	xml, err := base64.StdEncoding.DecodeString(strings.TrimSpace(findField(formResponse, page)))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the SAMLResponse on the page is not base64: %w", err)
	case len(xml) == 0:
		return nil, errors.New("the page does not contain a SAMLResponse")
	case findField(formAction, page) != acsURL:
		return nil, fmt.Errorf("the Response is posted to %q, not to the ACS", findField(formAction, page))
	case findField(formRelay, page) != r.relayState:
		return nil, fmt.Errorf("the returned RelayState is %q, not %q", findField(formRelay, page), r.relayState)
	}
	return xml, nil
}
