package demo

import (
	"context"
	"encoding/xml"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"

	"vernal/idp"
	"vernal/idp/outbound"
	"vernal/idp/rehearsal"
	"vernal/idp/sp"
	"vernal/idp/web"
	"vernal/templates"
)

// sampleWait is the time that a sign-in at a sample may take. The library's default of 90
// seconds is short for a user who must find a code.
const sampleWait = time.Hour

// Sample is a service provider of the demo. It represents an external site: its SAML is
// that of samlsp, and it learns about the identity provider from the metadata alone. It
// has a host of its own, and remembers users in memory.
type Sample struct {
	kind
	URL string // without a final slash

	demo  *Demo
	pages *web.Pages
	other *Sample
	// idpMetadata is the URL that it has read.
	idpMetadata string
	saml        *samlsp.Middleware
	posts        memory[url.Values]
}

// kind contains the differences between the two samples.
type kind struct {
	Name, host, cookie string
	logo               string // a file of templates.Static
	isSecond           bool   // looks different
	// binding is the binding of its requests. encrypted reports whether it gets encrypted
	// assertions.
	binding   string
	encrypted bool
	// context is the requested context, nil for none.
	context *saml.RequestedAuthnContext
}

var sampleKinds = [...]kind{
	{Name: "Sample A", host: "a.localhost", cookie: "sample_a", logo: "img/sample-a.svg", binding: saml.HTTPRedirectBinding},
	{Name: "Sample B", host: "b.localhost", cookie: "sample_b", logo: "img/sample-b.svg", isSecond: true, binding: saml.HTTPPostBinding, encrypted: true,
		context: &saml.RequestedAuthnContext{Comparison: "exact", AuthnContextClassRefs: []string{"http://idmanagement.gov/ns/assurance/aal/2"}}},
}

// maxMetadata bounds the document of this program's own server.
const maxMetadata = 1 << 20

// fetchMetadata reads the metadata of the server, as an SP would.
func fetchMetadata(ctx context.Context, client *outbound.Client, from string) (*saml.EntityDescriptor, error) {
	resp, err := client.Do(ctx, &outbound.Request{URL: from, Trust: outbound.Operator, MaxBytes: maxMetadata})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d", resp.Status)
	}
	return samlsp.ParseMetadata(resp.Body)
}

func newSample(ctx context.Context, d *Demo, k kind, base, metadata string) (*Sample, error) {
	root, err := url.Parse(base + "/")
	if err != nil {
		return nil, fmt.Errorf("URL of %s: %w", k.Name, err)
	}
	known, err := fetchMetadata(ctx, d.Server.Outbound, metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", k.Name, metadata, err)
	}
	now := time.Now()
	key, cert, err := rehearsal.NewKey(k.Name, now, now.AddDate(10, 0, 0))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	options := samlsp.Options{
		URL: *root, Key: key, Certificate: cert, IDPMetadata: known, SignRequest: true, RequestedAuthnContext: k.context,
		Binding: k.binding, LogoutBinding: k.binding, AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding},
		CookieName: k.cookie, CookieSameSite: http.SameSiteLaxMode, TrackedRequestMaxAge: sampleWait,
	}
	s := &Sample{kind: k, URL: base, demo: d, idpMetadata: metadata}
	if s.saml, err = samlsp.New(options); err != nil {
		return nil, fmt.Errorf("set up %s: %w", k.Name, err)
	}
	s.saml.ServiceProvider.AuthnNameIDFormat = saml.PersistentNameIDFormat
	s.saml.OnError = s.fail
	s.saml.Session = newSessions(options)
	s.pages = &web.Pages{Set: d.pages, Langs: d.Server.Languages, Brand: s.Name, BaseURL: s.URL}
	return s, nil
}

// EntityID returns the sample's entity ID, the URL of its metadata.
func (s *Sample) EntityID() string { return s.saml.ServiceProvider.MetadataURL.String() }

// metadata returns the sample's EntityDescriptor. The sample without encryption must not
// publish a key for it.
func (s *Sample) metadata() ([]byte, error) {
	doc := s.saml.ServiceProvider.Metadata()
	if role := &doc.SPSSODescriptors[0]; !s.encrypted {
		role.KeyDescriptors = slices.DeleteFunc(role.KeyDescriptors, func(k saml.KeyDescriptor) bool { return k.Use == "encryption" })
	}
	out, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", s.Name, err)
	}
	return out, nil
}

// register registers the sample with the identity provider, as `vernal sp add --metadata`
// does. Its key is a new one at each start, so register replaces an existing registration.
// The NameIDs of its users stay.
func (s *Sample) register(ctx context.Context, registry *sp.Registry) error {
	doc, err := s.metadata()
	if err != nil {
		return err
	}
	logo, err := fs.ReadFile(templates.Static(), s.logo)
	if err != nil {
		return err
	}
	edit := sp.Edit{Logo: logo, Set: map[string][]string{
		"name":                   {s.Name},
		"return_to_sp_url":       {s.URL + "/"},
		"sp_initiated_login_url": {s.URL + pathSignedIn},
		"sign_logout_response":   {"true"}, // the library refuses an unsigned one
		"contacts":               {strings.ReplaceAll(strings.ToLower(s.Name), " ", "-") + "@demo.example"},
	}}
	_, err = registry.AddEdit(ctx, idp.EntityID(s.EntityID()), sp.Document{Data: doc}, edit, sp.Options{Replace: true}, "demo")
	if err != nil {
		return fmt.Errorf("register %s: %w", s.Name, err)
	}
	return nil
}
