package rehearsal

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	crewjam "github.com/crewjam/saml"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// step is one thing that is tried. It says what it found.
type step struct {
	name string
	try  func(*Walk, context.Context) (string, error)
	// online: it sends requests, whatever earlier steps found.
	online bool
}

// notTriedError is why a step was not tried.
type notTriedError string

func (e notTriedError) Error() string { return string(e) }

// fixableError is a failure with what can fix it.
type fixableError struct {
	text        string
	suggestions []idp.Suggestion
}

func (e *fixableError) Error() string { return e.text }

// steps are in the order in which an SP meets them; later ones build on what
// earlier ones found.
var steps = []step{
	{name: "reach", try: (*Walk).reach},
	{name: "metadata", try: (*Walk).loadMetadata, online: true},
	{name: "metadata_signature", try: (*Walk).verifyMetadata},
	{name: "certificate", try: (*Walk).compareCertificate},
	{name: "certificate_dates", try: (*Walk).checkDates},
	{name: "redirect", try: (*Walk).byRedirect, online: true},
	{name: "post", try: (*Walk).byPost, online: true},
	{name: "library", try: (*Walk).readByLibrary},
	{name: "encryption", try: (*Walk).checkEncryption},
	{name: "assertion", try: (*Walk).checkAssertions},
	{name: "replay", try: (*Walk).replay},
	{name: "wrong_year", try: (*Walk).wrongYear, online: true},
	{name: "clock", try: (*Walk).checkClock},
}

// isStep reports whether a name is that of a step.
func isStep(name string) bool {
	for _, s := range steps {
		if s.name == name {
			return true
		}
	}
	return false
}

// Run takes every step for which those before found what it needs.
func (w *Walk) Run(ctx context.Context) []Result {
	results := make([]Result, 0, len(steps))
	for _, s := range steps {
		results = append(results, w.take(ctx, s))
	}
	return results
}

func (w *Walk) take(ctx context.Context, s step) Result {
	text, err := "", error(errUnreached)
	if !s.online || !w.unreached {
		text, err = s.try(w, ctx)
	}
	r := Result{Step: s.name, OK: err == nil, Outcome: OutcomeOK, Text: text}
	if err == nil {
		return r
	}
	r.Outcome, r.Text = OutcomeFailed, err.Error()
	var notTried notTriedError
	if errors.As(err, &notTried) {
		r.Outcome = OutcomeNotTried
	}
	var fixable *fixableError
	if errors.As(err, &fixable) {
		r.Suggestions = fixable.suggestions
	}
	return r
}

const errUnreached notTriedError = "not tried, as the server was not reached"

// reach asks for a page that every installation has. A proxy may keep it to
// itself: an answer of any kind is enough to try the rest.
func (w *Walk) reach(ctx context.Context) (string, error) {
	p, err := w.get(ctx, w.address("/healthz"))
	w.unreached = err != nil
	if err == nil {
		err = p.want(http.StatusOK)
	}
	return w.Terms.BaseURL + " answers", err
}

// loadMetadata loads the year's document. "sp" is our hint, by which the server
// knows that nobody is to be told of this load.
func (w *Walk) loadMetadata(ctx context.Context) (string, error) {
	address := w.address("/api/saml/metadata" + string(w.Terms.Year) + "?sp=" + string(idp.RehearsalSP))
	text := "loaded from its public address"
	if w.Terms.Token != "" {
		address += "&preview=" + w.Terms.Token
		text = "loaded by a preview link of our own, as it is not published"
	}
	p, err := w.get(ctx, address)
	if err == nil {
		err = p.want(http.StatusOK)
	}
	if err != nil {
		return "", err
	}
	md, err := parse(p.body)
	if err != nil {
		return "", err
	}
	cert, err := w.checkDescriptor(md)
	if err != nil {
		return "", err
	}
	w.document, w.metadata, w.signing = p.body, md, cert
	return text, nil
}

// checkDescriptor holds a year's metadata against what it must say, and gives
// its one signing certificate.
func (w *Walk) checkDescriptor(md *crewjam.EntityDescriptor) (*x509.Certificate, error) {
	if want := w.address("/api/saml"); md.EntityID != want {
		return nil, fmt.Errorf("the entity ID is %q, not %q", md.EntityID, want)
	}
	if len(md.IDPSSODescriptors) != 1 {
		return nil, fmt.Errorf("%d IDPSSODescriptor, not 1", len(md.IDPSSODescriptors))
	}
	d := md.IDPSSODescriptors[0]
	for _, binding := range []string{saml.BindingURIRedirect, saml.BindingURIPOST} {
		found := false
		for _, e := range d.SingleSignOnServices {
			found = found || e.Binding == binding && e.Location == w.authURL()
		}
		if !found {
			return nil, fmt.Errorf("no SingleSignOnService at %s with %s", w.authURL(), binding)
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

func (w *Walk) authURL() string { return w.address("/api/saml/auth" + string(w.Terms.Year)) }

const errNoMetadata notTriedError = "not tried, as the metadata could not be read"

func (w *Walk) verifyMetadata(context.Context) (string, error) {
	if w.signing == nil {
		return "", errNoMetadata
	}
	root, err := xmltree.Parse(w.document, xmltree.MetadataLimits())
	if err != nil {
		return "", err
	}
	_, err = xmldsig.VerifyMetadata(root, []*x509.Certificate{w.signing})
	return "its signature verifies with the certificate in it", err
}

func (w *Walk) compareCertificate(ctx context.Context) (string, error) {
	if w.signing == nil {
		return "", errNoMetadata
	}
	if got := certs.CertSHA256(w.signing); got != w.Terms.CertSHA256 {
		return "", fmt.Errorf("the metadata has the certificate %s, the data folder %s", got, w.Terms.CertSHA256)
	}
	address := w.address("/api/saml/certificate" + string(w.Terms.Year) + ".pem")
	if w.Terms.Token != "" {
		address += "?preview=" + w.Terms.Token
	}
	p, err := w.get(ctx, address)
	if err == nil {
		err = p.want(http.StatusOK)
	}
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(p.body)
	if block == nil || !bytes.Equal(block.Bytes, w.signing.Raw) {
		return "", fmt.Errorf("certificate%s.pem is not the certificate in the metadata", w.Terms.Year)
	}
	return "SHA-256 " + w.Terms.CertSHA256 + ", as in the data folder", nil
}

func (w *Walk) checkDates(context.Context) (string, error) {
	if w.signing == nil {
		return "", errNoMetadata
	}
	now, from, to := w.Clock.Now(), w.signing.NotBefore.UTC(), w.signing.NotAfter.UTC()
	switch {
	case now.Before(from):
		return "", fmt.Errorf("the certificate is not valid before %s", from.Format(time.RFC3339))
	case !now.Before(to):
		return "", fmt.Errorf("the certificate ended on %s", to.Format(time.RFC3339))
	}
	return fmt.Sprintf("valid from %s to %s", from.Format(time.DateOnly), to.Format(time.DateOnly)), nil
}

func (w *Walk) byRedirect(ctx context.Context) (string, error) {
	a := answer{binding: "HTTP-Redirect", request: w.request(w.Terms.Year)}
	query, err := a.request.query(w.Key)
	if err != nil {
		return "", err
	}
	a.address = w.authURL() + "?" + query
	p, err := w.get(ctx, a.address, w.Terms.cookie())
	return w.answered(a, p, err)
}

// byPost does what a browser does whose cookies stay away from a form that
// another site posts: the Response comes with the GET that follows.
func (w *Walk) byPost(ctx context.Context) (string, error) {
	a := answer{binding: "HTTP-POST", request: w.request(w.Terms.Year)}
	form, err := a.request.form(w.Key, w.Cert)
	if err != nil {
		return "", err
	}
	p, err := w.post(ctx, w.authURL(), form)
	if err == nil {
		err = p.want(http.StatusSeeOther)
	}
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
	p, err = w.get(ctx, to, append(cookies, w.Terms.cookie())...)
	return w.answered(a, p, err)
}

// answered keeps the Response on the page.
func (w *Walk) answered(a answer, p page, err error) (string, error) {
	if err == nil {
		err = p.want(http.StatusOK)
	}
	if err == nil {
		a.response, err = a.request.response(p.body)
	}
	if err != nil {
		return "", err
	}
	w.answers = append(w.answers, a)
	return "a signed AuthnRequest by " + a.binding + " is answered with a Response", nil
}
