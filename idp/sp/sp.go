// Package sp is the registry of service providers: it checks registrations, keeps them in a
// store, finds them by EntityID and chooses the Assertion Consumer Service (ACS) that a
// Response goes to.
//
// It does not verify messages (package xmldsig does, with the certificates found here) and
// decides nothing about a sign-in.
//
// A registration starts as [Defaults], or as the result of [ConvertMetadata], takes an [Edit] or
// plain assignments, and passes [Validate] before [Registry.Add] or [Registry.Edit] stores it.
// [Registry.Lookup] returns it parsed. The registry caches parsed registrations, so it must be
// the store's only writer of providers. The commands ensure that by asking a running server.
package sp

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"vernal/certs"
	"vernal/idp"
)

// Provider is a registration whose certificates and URLs are parsed. It is shared between
// requests and read-only.
type Provider struct {
	idp.ServiceProvider
	// RequestCerts are the parsed Certs. Each one is tried separately. They include
	// expired ones, because the expiry of a request certificate causes a warning and is
	// never enforced.
	RequestCerts []*x509.Certificate
	// EncryptionX509 are the parsed EncryptionCerts.
	EncryptionX509 []*x509.Certificate

	// fingerprints contains the fingerprints of RequestCerts.
	fingerprints map[*x509.Certificate]string
	// formActions are the sources for each of ACSURLs and for LogoutURL.
	formActions map[string]string
	// revision is the revision of the stored registration that this one is known to equal;
	// see CheckStanding.
	revision atomic.Pointer[[]byte]
}

// Parse parses the certificates and URLs of a registration. It keeps p's slices, so the caller
// must not change them afterwards. A registration that passed Validate parses.
func Parse(p *idp.ServiceProvider) (*Provider, error) {
	provider := &Provider{ServiceProvider: *p, formActions: make(map[string]string), fingerprints: make(map[*x509.Certificate]string)}
	var err error
	if provider.RequestCerts, err = parseAll(p.Certs); err != nil {
		return nil, fmt.Errorf("request certificates of %q: %w", p.EntityID, err)
	}
	for _, c := range provider.RequestCerts {
		provider.fingerprints[c] = certs.CertSHA256(c)
	}
	if provider.EncryptionX509, err = parseAll(p.EncryptionCerts); err != nil {
		return nil, fmt.Errorf("encryption certificates of %q: %w", p.EntityID, err)
	}
	for _, rawURL := range append([]string{p.LogoutURL}, p.ACSURLs...) {
		if rawURL != "" {
			provider.formActions[rawURL] = listFormOrigins(rawURL, p.RedirectURIs)
		}
	}
	return provider, nil
}

// CertSHA256 returns the fingerprint of one of RequestCerts, and "" for any other certificate
// and for nil, which means an unsigned request.
func (p *Provider) CertSHA256(c *x509.Certificate) string { return p.fingerprints[c] }

// FormAction returns the source list of the Content-Security-Policy directive form-action for
// a page that posts to a URL: its origin and those of RedirectURIs, because Chromium checks
// every redirect after the post against the directive. For a URL that is not one of the
// provider's own, it returns "'none'".
func (p *Provider) FormAction(rawURL string) string {
	if s, ok := p.formActions[rawURL]; ok {
		return s
	}
	return "'none'"
}

// listFormOrigins lists the origins of rawURL and of redirects, each once.
func listFormOrigins(rawURL string, redirects []string) string {
	var origins []string
	for _, a := range append([]string{rawURL}, redirects...) {
		if o := extractOrigin(a); o != "" && !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	if len(origins) == 0 {
		return "'none'"
	}
	return strings.Join(origins, " ")
}

// extractOrigin returns the scheme, host and port of a URL (RFC 6454 §6.1), or "" if it is not a
// web URL. It checks the characters of the host again, although Validate did, because one ";"
// here would let a registration add its own directives.
func extractOrigin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !isPlainHost(u) {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
