package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"vernal/idp"
	"vernal/idp/xmltree"
	"vernal/metadata"
)

// TestCutTakesProviderFromFederation extracts one provider, with the dates and namespaces that
// apply to it, from a document that is too long to be read whole.
func TestCutTakesProviderFromFederation(t *testing.T) {
	t.Parallel()
	doc := strings.NewReplacer("<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\"", "<md:EntityDescriptor", "<EntityDescriptor", "<md:EntityDescriptor",
		"</EntityDescriptor", "</md:EntityDescriptor", "<SPSSO", "<md:SPSSO", "</SPSSO", "</md:SPSSO", "<Assertion", "<md:Assertion",
		"<KeyDescriptor", "<md:KeyDescriptor", "</KeyDescriptor", "</md:KeyDescriptor").Replace(spDoc(t))
	doc = doc[:strings.Index(doc, "<Extensions>")] + doc[strings.Index(doc, "<md:KeyDescriptor"):strings.Index(doc, " <Organization>")] + "</md:EntityDescriptor>"
	named := func(id string) string { return strings.ReplaceAll(doc, "https://sp.example/md", id) }
	var b strings.Builder
	b.WriteString("\ufeff\n<?xml version=\"1.0\"?>\n<!-- a federation --><md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" validUntil=\"2026-01-01T00:00:00Z\">\n")
	b.WriteString(`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo/></ds:Signature><md:Extensions><x xmlns="urn:x"><EntityDescriptor entityID="urn:sp:7"/></x></md:Extensions><md:EntityDescriptor entityID="urn:void"/>`)
	n := xmltree.MetadataLimits().Bytes/len(doc) + 10
	for i := range n {
		if i == n/2 {
			b.WriteString(`<md:EntitiesDescriptor Name="empty"/><md:EntitiesDescriptor Name="half">`)
		}
		b.WriteString(named(fmt.Sprintf("urn:sp:%d", i)))
	}
	b.WriteString("</md:EntitiesDescriptor></md:EntitiesDescriptor>")
	whole := b.String()
	if _, err := metadata.ReadSP([]byte(whole), testNow, metadata.Options{EntityID: "urn:sp:7"}); err == nil {
		t.Fatal("it is read whole; the test is not what it says")
	}
	for _, i := range []int{0, 7, n/2 - 1, n / 2, n - 1} {
		id := idp.EntityID(fmt.Sprintf("urn:sp:%d", i))
		cut, err := metadata.Cut([]byte(whole), id)
		if err != nil {
			t.Fatal(err)
		}
		d, err := metadata.ReadSP(cut, testNow, metadata.Options{EntityID: id, HasName: true})
		if err != nil {
			t.Fatalf("%s: %v\n%s", id, err, cut)
		}
		if d.EntityID != id || len(d.RequestCerts) != 1 || len(d.Notes) != 1 || d.Notes[0].Part != metadata.PartExpiry {
			t.Errorf("%s: %+v", id, d)
		}
	}
	for _, bad := range []string{whole, whole[:len(whole)/2], whole[:200], "<a", "", "\xff", "<a></b>"} {
		if cut, err := metadata.Cut([]byte(bad), "urn:none"); err == nil {
			t.Errorf("something was cut out: %.80s", cut)
		}
	}
}

// FuzzCut checks that the result is of the requested provider, or an error.
func FuzzCut(f *testing.F) {
	f.Add([]byte(`<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"><EntityDescriptor entityID="a"/></EntitiesDescriptor>`))
	f.Add([]byte(`<m:EntitiesDescriptor><m:EntitiesDescriptor><m:EntityDescriptor entityID="a"><x/></m:EntityDescriptor>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cut, err := metadata.Cut(data, "a")
		if err != nil {
			return
		}
		if d, err := metadata.ReadSP(cut, testNow, metadata.Options{EntityID: "a", HasACS: true}); err == nil && d.EntityID != "a" {
			t.Errorf("another provider was cut out: %q", d.EntityID)
		}
	})
}
