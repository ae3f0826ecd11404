package sp_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/sp"
)

// corpusClock returns a time at which all metadata in testdata is valid.
func corpusClock() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }

// TestCorpusMetadataIsRegistered registers every provider of the corpus from its metadata.
func TestCorpusMetadataIsRegistered(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../testdata/metadata/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no metadata in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := newRegistryAt(t, corpusClock)
			o := sp.Options{AllowInsecureURL: true}
			c, err := r.AddEdit(t.Context(), "", sp.Document{Data: doc}, sp.Edit{Set: values{"ial": {"verified"}}}, o, "test")
			if err != nil {
				t.Fatal(err)
			}
			p := c.Provider
			if p.Agency != "" || !slices.Equal(p.NameIDFormats, []string{idp.NameIDFormatPersistent}) ||
				p.IAL != idp.IALVerified || p.State != idp.StateApproved || !p.Active || len(p.Certs) == 0 {
				t.Errorf("got %+v", p)
			}
			if _, err := r.Lookup(t.Context(), p.EntityID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMetadataEditReplacesItsValues(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../testdata/metadata/ruby-saml.xml")
	if err != nil {
		t.Fatal(err)
	}
	r, _ := newRegistry(t)
	o := sp.Options{AllowInsecureURL: true}
	added, err := r.AddEdit(t.Context(), "", sp.Document{Data: doc}, sp.Edit{}, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	id := added.Provider.EntityID
	changed := sp.Edit{
		Set:    values{"acs_urls": {"https://else.example/acs"}, "certs": {certs.EncodePEM(goodCert(t))}, "attributes": {"phone"}, "name": {"Mine"}},
		Remove: values{"acs_urls": added.Provider.ACSURLs},
	}
	if _, err := r.ApplyEdit(t.Context(), id, sp.Document{}, changed, o, "test"); err != nil {
		t.Fatal(err)
	}
	c, err := r.ApplyEdit(t.Context(), id, sp.Document{Data: doc}, sp.Edit{}, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Provider
	if !slices.Equal(p.ACSURLs, added.Provider.ACSURLs) || !slices.Equal(p.Certs, added.Provider.Certs) {
		t.Errorf("metadata's values are not there: %v", p)
	}
	if p.Name != "Mine" || !slices.Equal(p.Attributes, []string{"email", "phone"}) {
		t.Errorf("the operator's values are gone: %q, %v", p.Name, p.Attributes)
	}

	var invalid *sp.InvalidError
	mustAdd(t, r, newProvider(t, entity), sp.Options{})
	if _, err := r.ApplyEdit(t.Context(), entity, sp.Document{Data: doc}, sp.Edit{}, o, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Field != "entity_id" {
		t.Errorf("metadata of another user: %v", err)
	}
	if _, err := r.AddEdit(t.Context(), "", sp.Document{Data: []byte("<html/>")}, sp.Edit{}, o, "test"); !errors.As(err, &invalid) || invalid.Problems[0].Field != "metadata" {
		t.Errorf("no metadata: %v", err)
	}
}

func TestAddEditReplacesDefaults(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	c, err := r.AddEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: values{
		"acs_urls": {"https://sp.example.gov/acs"}, "certs": {certs.EncodePEM(goodCert(t))},
		"attributes": {"phone"}, "name_id_formats": {"emailAddress"},
	}}, sp.Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Provider
	if !slices.Equal(p.Attributes, []string{"phone"}) || !slices.Equal(p.NameIDFormats, []string{"emailAddress"}) {
		t.Errorf("got %v, %v", p.Attributes, p.NameIDFormats)
	}
	if p.Name != string(entity) || !strings.Contains(strings.Join(c.Warnings, "\n"), "the name is missing") {
		t.Errorf("name %q, warnings %q", p.Name, c.Warnings)
	}
}

// Only the operator sets compat: metadata neither sets nor removes it, and it excludes
// unsigned requests from both sides.
func TestCompatIsTheOperators(t *testing.T) {
	t.Parallel()
	r, _ := newRegistry(t)
	doc := []byte(fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:v="urn:x" v:compat="login.gov" entityID="%s">
<Extensions><v:compat>login.gov</v:compat></Extensions>
<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<AssertionConsumerService index="0" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example.gov/acs"/>
</SPSSODescriptor></EntityDescriptor>`, entity, base64.StdEncoding.EncodeToString(goodCert(t).Raw)))
	o := sp.Options{}
	c, err := r.AddEdit(t.Context(), "", sp.Document{Data: doc}, sp.Edit{}, o, "test")
	if err != nil {
		t.Fatal(err)
	}
	if c.Provider.Compat != idp.CompatNone {
		t.Errorf("metadata gave compat %q", c.Provider.Compat)
	}
	edit := func(set values) error {
		_, err := r.ApplyEdit(t.Context(), entity, sp.Document{}, sp.Edit{Set: set}, o, "test")
		return err
	}
	now := func() *sp.Provider {
		p, err := r.Lookup(t.Context(), entity)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := edit(values{"compat": {"login.gov"}}); err != nil || !now().IsLoginGovCompatible() {
		t.Fatalf("set by an operator: %v, %q", err, now().Compat)
	}
	if _, err := r.ApplyEdit(t.Context(), entity, sp.Document{Data: doc}, sp.Edit{}, o, "test"); err != nil || !now().IsLoginGovCompatible() {
		t.Errorf("after metadata: %v, %q", err, now().Compat)
	}
	var invalid *sp.InvalidError
	if err := edit(values{"sign_requests": {"optional"}}); !errors.As(err, &invalid) || invalid.Problems[0].Field != "compat" {
		t.Errorf("sign_requests optional beside compat: %v", err)
	}
	if err := edit(values{"compat": {"none"}, "sign_requests": {"optional"}}); err != nil {
		t.Error(err)
	}
	if err := edit(values{"compat": {"login.gov"}}); !errors.As(err, &invalid) || invalid.Problems[0].Field != "compat" {
		t.Errorf("compat beside sign_requests optional: %v", err)
	}
	if p := now(); p.IsLoginGovCompatible() || p.Compat != idp.CompatNone {
		t.Errorf("a refused edit changed compat to %q", p.Compat)
	}
}
