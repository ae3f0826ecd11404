package rehearsal

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// step is one test. try returns its finding.
type step struct {
	name string
	try  func(*Walk, context.Context) (string, error)
	// prerequisite is the error of this step if no earlier step found its prerequisite, or "" if it
	// has none.
	prerequisite notTriedError
}

// notTriedError says why a step was not tried.
type notTriedError string

func (e notTriedError) Error() string { return string(e) }

const (
	errUnreached   notTriedError = "not tried, because the server was not reached"
	errNoMetadata  notTriedError = "not tried, because the metadata could not be read"
	errNoAnswers   notTriedError = "not tried, because no Response was received"
	errNoAssertion notTriedError = "not tried, because the library could not read the assertion"
)

// isMissing reports whether no earlier step found the prerequisite.
func (w *Walk) isMissing(prerequisite notTriedError) bool {
	return prerequisite == errUnreached && w.isUnreached || prerequisite == errNoMetadata && w.metadata == nil || prerequisite == errNoAnswers && len(w.answers) == 0
}

// steps are in the order in which an SP meets them. Later steps use the findings of earlier ones.
var steps = []step{
	{"reach", (*Walk).reach, ""},
	{"metadata", (*Walk).loadMetadata, errUnreached},
	{"metadata_signature", (*Walk).verifyMetadata, errNoMetadata},
	{"certificate", (*Walk).compareCertificate, errNoMetadata},
	{"certificate_dates", (*Walk).checkDates, errNoMetadata},
	{"redirect", (*Walk).sendByRedirect, errUnreached},
	{"post", (*Walk).sendByPost, errUnreached},
	{"library", (*Walk).readByLibrary, errNoMetadata},
	{"encryption", (*Walk).checkEncryption, errNoAnswers},
	{"assertion", (*Walk).checkAssertions, errNoAnswers},
	{"replay", (*Walk).replay, errNoAnswers},
	{"wrong_year", (*Walk).sendOtherYear, errUnreached},
	{"clock", (*Walk).checkClock, ""},
}

func isStep(name string) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.name == name })
}

// Run takes every step whose prerequisites earlier steps found.
func (w *Walk) Run(ctx context.Context) []Result {
	results := make([]Result, 0, len(steps))
	for _, s := range steps {
		results = append(results, w.takeStep(ctx, s))
	}
	return results
}

func (w *Walk) takeStep(ctx context.Context, s step) Result {
	text, err := "", error(s.prerequisite)
	if !w.isMissing(s.prerequisite) {
		text, err = s.try(w, ctx)
	}
	if err == nil {
		return Result{Step: s.name, OK: true, Outcome: OutcomeOK, Text: text}
	}
	r := Result{Step: s.name, Outcome: OutcomeFailed, Text: err.Error()}
	if _, ok := errors.AsType[notTriedError](err); ok {
		r.Outcome = OutcomeNotTried
	}
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		r.Suggestions = refusal.Suggestions
	}
	return r
}

// reach requests a page that every installation has. A proxy may block that page, so any answer is
// enough to try the other steps.
func (w *Walk) reach(ctx context.Context) (string, error) {
	p, err := w.get(ctx, http.StatusOK, w.buildURL("/healthz"))
	w.isUnreached = p.status == 0
	return w.Terms.BaseURL + " answers", err
}

// loadMetadata loads the year's metadata. The "sp" hint asks the server not to notify
// anyone of this load.
func (w *Walk) loadMetadata(ctx context.Context) (string, error) {
	url := w.buildURL("/api/saml/metadata" + string(w.Terms.Year) + "?sp=" + string(idp.RehearsalSP))
	text := "loaded from its public URL"
	if w.Terms.Token != "" {
		url += "&preview=" + w.Terms.Token
		text = "loaded by a preview link of our own, because the year is not published"
	}
	p, err := w.get(ctx, http.StatusOK, url)
	if err != nil {
		return "", err
	}
	document := new(crewjam.EntityDescriptor)
	if err := xml.Unmarshal(p.body, document); err != nil {
		return "", fmt.Errorf("the metadata is not an EntityDescriptor: %w", err)
	}
	cert, err := w.checkDescriptor(document)
	if err != nil {
		return "", err
	}
	w.document, w.metadata, w.signingCert = p.body, document, cert
	return text, nil
}

// checkDescriptor checks a year's metadata and returns its one signing certificate.
func (w *Walk) checkDescriptor(document *crewjam.EntityDescriptor) (*x509.Certificate, error) {
	if want := w.buildURL("/api/saml"); document.EntityID != want {
		return nil, fmt.Errorf("the entity ID is %q, not %q", document.EntityID, want)
	}
	if len(document.IDPSSODescriptors) != 1 {
		return nil, fmt.Errorf("the metadata has %d IDPSSODescriptor elements, not 1", len(document.IDPSSODescriptors))
	}
	descriptor := document.IDPSSODescriptors[0]
	for _, binding := range []string{saml.BindingURIRedirect, saml.BindingURIPOST} {
		if !slices.ContainsFunc(descriptor.SingleSignOnServices, func(e crewjam.Endpoint) bool { return e.Binding == binding && e.Location == w.buildAuthURL() }) {
			return nil, fmt.Errorf("the metadata has no SingleSignOnService at %s with %s", w.buildAuthURL(), binding)
		}
	}
	encodedCerts := []string{}
	for _, k := range descriptor.KeyDescriptors {
		if k.Use != "encryption" {
			for _, c := range k.KeyInfo.X509Data.X509Certificates {
				encodedCerts = append(encodedCerts, c.Data)
			}
		}
	}
	if len(encodedCerts) != 1 {
		return nil, fmt.Errorf("the metadata has %d signing certificates, not 1", len(encodedCerts))
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encodedCerts[0]), ""))
	if err != nil {
		return nil, fmt.Errorf("the certificate is not base64: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return cert, nil
}

func (w *Walk) buildAuthURL() string { return w.buildURL("/api/saml/auth" + string(w.Terms.Year)) }

func (w *Walk) verifyMetadata(context.Context) (string, error) {
	root, err := xmltree.Parse(w.document, xmltree.MetadataLimits())
	if err != nil {
		return "", err
	}
	_, err = xmldsig.VerifyMetadata(root, []*x509.Certificate{w.signingCert})
	return "its signature verifies with the certificate in it", err
}

func (w *Walk) compareCertificate(ctx context.Context) (string, error) {
	if got := certs.CertSHA256(w.signingCert); got != w.Terms.CertSHA256 {
		return "", fmt.Errorf("the metadata has the certificate %s, the data folder %s", got, w.Terms.CertSHA256)
	}
	url := w.buildURL("/api/saml/certificate" + string(w.Terms.Year) + ".pem")
	if w.Terms.Token != "" {
		url += "?preview=" + w.Terms.Token
	}
	p, err := w.get(ctx, http.StatusOK, url)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(p.body)
	if block == nil || !bytes.Equal(block.Bytes, w.signingCert.Raw) {
		return "", fmt.Errorf("certificate%s.pem is not the certificate in the metadata", w.Terms.Year)
	}
	return "SHA-256 " + w.Terms.CertSHA256 + ", the same as in the data folder", nil
}

func (w *Walk) checkDates(context.Context) (string, error) {
	now, beginAt, endAt := w.Clock.Now(), w.signingCert.NotBefore.UTC(), w.signingCert.NotAfter.UTC()
	switch {
	case now.Before(beginAt):
		return "", fmt.Errorf("the certificate is not valid before %s", beginAt.Format(time.RFC3339))
	case !now.Before(endAt):
		return "", fmt.Errorf("the certificate ended on %s", endAt.Format(time.RFC3339))
	}
	return fmt.Sprintf("valid from %s to %s", beginAt.Format(time.DateOnly), endAt.Format(time.DateOnly)), nil
}

func (w *Walk) sendByRedirect(ctx context.Context) (string, error) {
	r, err := w.newRequest(w.Terms.Year, saml.BindingURIRedirect)
	if err != nil {
		return "", err
	}
	url, err := w.buildRedirectURL(r)
	if err != nil {
		return "", err
	}
	p, err := w.get(ctx, http.StatusOK, url, w.Terms.newCookie())
	return w.recordAnswer(answer{binding: "HTTP-Redirect", request: r, url: url}, p, err)
}

// sendByPost acts as a browser that leaves out cookies when another site posts: the Response is
// on the page of the GET that follows.
func (w *Walk) sendByPost(ctx context.Context) (string, error) {
	r, err := w.newRequest(w.Terms.Year, saml.BindingURIPOST)
	if err != nil {
		return "", err
	}
	p, err := w.post(ctx, http.StatusSeeOther, w.buildAuthURL(), r.encodeForm())
	if err != nil {
		return "", err
	}
	location := p.header.Get("Location")
	if strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") {
		location = w.Terms.BaseURL + location
	}
	if !strings.HasPrefix(location, w.Terms.BaseURL+"/") {
		return "", errors.New("the 303 leads to another host")
	}
	cookies := (&http.Response{Header: p.header}).Cookies() // set by the POST
	p, err = w.get(ctx, http.StatusOK, location, append(cookies, w.Terms.newCookie())...)
	return w.recordAnswer(answer{binding: "HTTP-POST", request: r}, p, err)
}

// recordAnswer records the Response on the page.
func (w *Walk) recordAnswer(a answer, p page, err error) (string, error) {
	if err == nil {
		a.response, err = a.request.parseResponse(p.body)
	}
	if err != nil {
		return "", err
	}
	w.answers = append(w.answers, a)
	return "a signed AuthnRequest by " + a.binding + " is answered with a Response", nil
}
