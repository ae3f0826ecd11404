package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	"golang.org/x/sync/errgroup"

	"vernal/idp"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/idp/xmldsig"
	"vernal/templates"
)

// sampleWait is how long a sign-in at a sample may take. The library's own 90
// seconds are short for somebody who looks for a code.
const sampleWait = time.Hour

// sample is a service provider of the demo. It stands for other people's sites:
// its SAML is crewjam/saml's, and of the identity provider it knows what the
// metadata says. It is on a host of its own, and remembers people in memory.
type sample struct {
	sampleKind
	url   string // without a final slash
	demo  *demo
	pages *web.Pages
	other *sample
	// idpMetadata is the address that it has read.
	idpMetadata string

	saml   *samlsp.Middleware
	visits *visits
	held   *held
}

// sampleKind is how the two differ.
type sampleKind struct {
	name, host, cookie string
	second             bool // looks different
	// binding is how it asks, encrypted how it is answered.
	binding   string
	encrypted bool
	// context is what it asks for; nil for nothing.
	context *saml.RequestedAuthnContext
}

func sampleKinds() [2]sampleKind {
	return [2]sampleKind{
		{name: "Sample A", host: "a.localhost", cookie: "sample_a", binding: saml.HTTPRedirectBinding},
		{name: "Sample B", host: "b.localhost", cookie: "sample_b", second: true, binding: saml.HTTPPostBinding, encrypted: true,
			context: &saml.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2"}}},
	}
}

// newSamples makes the samples. Each reads the identity provider's metadata at
// its address: one the year's, the other that of all years.
func newSamples(ctx context.Context, d *demo, set *templates.Set, ports []net.Listener) ([]*sample, error) {
	samples := make([]*sample, len(ports))
	from := []string{d.yearMetadata(), d.deps.config.BaseURL + "/api/saml/metadata"}
	var group errgroup.Group // making keys takes a moment
	for i, kind := range sampleKinds() {
		group.Go(func() (err error) {
			samples[i], err = newSample(ctx, kind, demoBaseURL(kind.host, ports[i]), from[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, s := range samples {
		s.demo, s.other = d, samples[1-i]
		s.pages = &web.Pages{Set: set, Langs: d.deps.config.Langs(), Brand: s.name, BaseURL: s.url}
	}
	return samples, nil
}

func newSample(ctx context.Context, kind sampleKind, base, metadata string) (*sample, error) {
	root, err := url.Parse(base + "/")
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", kind.name, err)
	}
	from, err := url.Parse(metadata)
	if err != nil {
		return nil, fmt.Errorf("address of the metadata: %w", err)
	}
	known, err := samlsp.FetchMetadata(ctx, http.DefaultClient, *from)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", kind.name, metadata, err)
	}
	key, cert, err := sampleKey(kind.name)
	if err != nil {
		return nil, err
	}
	s := &sample{sampleKind: kind, url: base, idpMetadata: metadata, held: newHeld()}
	options := samlsp.Options{
		URL: *root, Key: key, Certificate: cert, IDPMetadata: known, SignRequest: true, RequestedAuthnContext: kind.context,
	}
	if s.saml, err = samlsp.New(options); err != nil {
		return nil, fmt.Errorf("set up %s: %w", kind.name, err)
	}
	provider := &s.saml.ServiceProvider
	provider.SignatureMethod = xmldsig.AlgorithmRSASHA256
	provider.AuthnNameIDFormat = saml.PersistentNameIDFormat
	provider.LogoutBindings = []string{saml.HTTPPostBinding}
	s.saml.Binding = kind.binding
	s.saml.OnError = s.fail
	s.saml.RequestTracker = newTracker(kind.cookie+"_request_", options, provider)
	s.visits = newVisits(kind.cookie, key)
	s.saml.Session = s.visits
	return s, nil
}

// sampleKey makes the key that a sample signs requests with and is encrypted to.
func sampleKey(name string) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for %s: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}

func (s *sample) entityID() string { return s.saml.ServiceProvider.MetadataURL.String() }

// metadata is the sample's EntityDescriptor. The one that wants no encryption
// must not publish a key for it.
func (s *sample) metadata() ([]byte, error) {
	doc := s.saml.ServiceProvider.Metadata()
	role := &doc.SPSSODescriptors[0]
	if !s.encrypted {
		keys := role.KeyDescriptors[:0]
		for _, k := range role.KeyDescriptors {
			if k.Use != "encryption" {
				keys = append(keys, k)
			}
		}
		role.KeyDescriptors = keys
	}
	role.AssertionConsumerServices = role.AssertionConsumerServices[:1] // no artifacts
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", s.name, err)
	}
	return out, nil
}

// register makes the sample known to the identity provider, as an operator does
// with `vernal sp add --metadata`. Its key is a new one at each start, so what
// is there is replaced; the names by which it knows people stay.
func (s *sample) register(ctx context.Context, registry *sp.Registry) error {
	doc, err := s.metadata()
	if err != nil {
		return err
	}
	edit := sp.Edit{Set: map[string][]string{
		"name":                   {s.name},
		"return_to_sp_url":       {s.url + "/"},
		"sp_initiated_login_url": {s.url + pathSignedIn},
		"sign_logout_response":   {"true"}, // the library takes no other
		"contacts":               {strings.ReplaceAll(strings.ToLower(s.name), " ", "-") + "@demo.example"},
	}}
	_, err = registry.AddEdit(ctx, idp.EntityID(s.entityID()), sp.Document{Data: doc}, edit, sp.Options{Replace: true}, "demo")
	if err != nil {
		return fmt.Errorf("register %s: %w", s.name, err)
	}
	return nil
}

// serve answers until ctx ends.
func (s *sample) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 256 << 10}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.name, err)
	}
	return nil
}
