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
	errUnreached   notTriedError = "not tried, as the server was not reached"
	errNoMetadata  notTriedError = "not tried, as the metadata could not be read"
	errNoAnswers   notTriedError = "not tried, as no Response came"
	errNoAssertion notTriedError = "not tried, as the library could not read the assertion"
)

// isMissing reports whether no earlier step found the prerequisite of a step.
func (w *Walk) isMissing(needs notTriedError) bool {
	return needs == errUnreached && w.isUnreached || needs == errNoMetadata && w.metadata == nil || needs == errNoAnswers && len(w.answers) == 0
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
	if fixable, ok := errors.AsType[*RefusedError](err); ok {
		r.Suggestions = fixable.Suggestions
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
	address := w.buildURL("/api/saml/metadata" + string(w.Terms.Year) + "?sp=" + string(idp.RehearsalSP))
	text := "loaded from its public URL"
	if w.Terms.Token != "" {
		address += "&preview=" + w.Terms.Token
		text = "loaded by a preview link of our own, as it is not published"
	}
	p, err := w.get(ctx, http.StatusOK, address)
	if err != nil {
		return "", err
	}
	md := new(crewjam.EntityDescriptor)
	if err := xml.Unmarshal(p.body, md); err != nil {
		return "", fmt.Errorf("the metadata is no EntityDescriptor: %w", err)
	}
	cert, err := w.checkDescriptor(md)
	if err != nil {
		return "", err
	}
	w.document, w.metadata, w.signingCert = p.body, md, cert
	return text, nil
}

// checkDescriptor checks a year's metadata and returns its one signing certificate.
func (w *Walk) checkDescriptor(md *crewjam.EntityDescriptor) (*x509.Certificate, error) {
	if want := w.buildURL("/api/saml"); md.EntityID != want {
		return nil, fmt.Errorf("the entity ID is %q, not %q", md.EntityID, want)
	}
	if len(md.IDPSSODescriptors) != 1 {
		return nil, fmt.Errorf("%d IDPSSODescriptor, not 1", len(md.IDPSSODescriptors))
	}
	d := md.IDPSSODescriptors[0]
	for _, binding := range []string{saml.BindingURIRedirect, saml.BindingURIPOST} {
		if !slices.ContainsFunc(d.SingleSignOnServices, func(e crewjam.Endpoint) bool { return e.Binding == binding && e.Location == w.buildAuthURL() }) {
			return nil, fmt.Errorf("no SingleSignOnService at %s with %s", w.buildAuthURL(), binding)
		}
	}
	signing := []string{}
	for _, k := range d.KeyDescriptors {
		if k.Use != "encryption" {
			for _, c := range k.KeyInfo.X509Data.X509Certificates {
				signing = append(signing, c.Data)
			}
		}
	}
	if len(signing) != 1 {
		return nil, fmt.Errorf("%d signing certificates, not 1", len(signing))
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(signing[0]), ""))
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
	address := w.buildURL("/api/saml/certificate" + string(w.Terms.Year) + ".pem")
	if w.Terms.Token != "" {
		address += "?preview=" + w.Terms.Token
	}
	p, err := w.get(ctx, http.StatusOK, address)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(p.body)
	if block == nil || !bytes.Equal(block.Bytes, w.signingCert.Raw) {
		return "", fmt.Errorf("certificate%s.pem is not the certificate in the metadata", w.Terms.Year)
	}
	return "SHA-256 " + w.Terms.CertSHA256 + ", as in the data folder", nil
}

func (w *Walk) checkDates(context.Context) (string, error) {
	now, from, to := w.Clock.Now(), w.signingCert.NotBefore.UTC(), w.signingCert.NotAfter.UTC()
	switch {
	case now.Before(from):
		return "", fmt.Errorf("the certificate is not valid before %s", from.Format(time.RFC3339))
	case !now.Before(to):
		return "", fmt.Errorf("the certificate ended on %s", to.Format(time.RFC3339))
	}
	return fmt.Sprintf("valid from %s to %s", from.Format(time.DateOnly), to.Format(time.DateOnly)), nil
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

// sendByPost acts as a browser that leaves out cookies when another site posts: the Response
// comes with the GET that follows.
func (w *Walk) sendByPost(ctx context.Context) (string, error) {
	r, err := w.newRequest(w.Terms.Year, saml.BindingURIPOST)
	if err != nil {
		return "", err
	}
	p, err := w.post(ctx, http.StatusSeeOther, w.buildAuthURL(), r.encodeForm())
	if err != nil {
		return "", err
	}
	to := p.header.Get("Location")
	if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
		to = w.Terms.BaseURL + to
	}
	if !strings.HasPrefix(to, w.Terms.BaseURL+"/") {
		return "", errors.New("the 303 leads to another host")
	}
	cookies := (&http.Response{Header: p.header}).Cookies() // the request's own
	p, err = w.get(ctx, http.StatusOK, to, append(cookies, w.Terms.newCookie())...)
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
