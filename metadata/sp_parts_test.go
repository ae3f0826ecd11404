package metadata_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vernal/idp/xmltree"
	"vernal/metadata"
)

// richDoc returns a document with every part that is read, and a second one of each needed
// part.
func richDoc(t testing.TB) string {
	t.Helper()
	key := func(use, name, inner string) string {
		return `<KeyDescriptor use="` + use + `"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><KeyName>k</KeyName><X509Data><X509Certificate>` +
			b64(certFor(t, yearKey(), name)) + `</X509Certificate></X509Data></KeyInfo>` + inner + `</KeyDescriptor>`
	}
	method := `<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/>` +
		`<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"><DigestMethod xmlns="http://www.w3.org/2000/09/xmldsig#" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/></EncryptionMethod>`
	const binding = `Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"`
	return `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" ID="a" entityID="https://sp.example/md" validUntil="2027-01-01T00:00:00Z" cacheDuration="PT1H">` +
		`<Extensions><ext xmlns="urn:x"/></Extensions>` +
		`<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" errorURL="https://sp.example/e" validUntil="2027-01-01T00:00:00Z" AuthnRequestsSigned="true" WantAssertionsSigned="true">` +
		`<Extensions><UIInfo xmlns="urn:oasis:names:tc:SAML:metadata:ui"><DisplayName xml:lang="en">Sample</DisplayName><Logo height="1" width="1">https://sp.example/l</Logo></UIInfo></Extensions>` +
		key("signing", "one", "") + key("signing", "two", "") + key("encryption", "three", method) + key("encryption", "four", method) +
		`<ArtifactResolutionService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://sp.example/ars" index="0"/>` +
		`<SingleLogoutService ` + binding + ` Location="https://sp.example/slo" ResponseLocation="https://sp.example/done"/>` +
		`<ManageNameIDService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://sp.example/mni"/>` +
		`<NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>` +
		`<AssertionConsumerService ` + binding + ` Location="https://sp.example/acs" index="0" isDefault="true"/>` +
		`<AssertionConsumerService ` + binding + ` Location="https://sp.example/acs2" index="1" isDefault="false"/>` +
		`<AttributeConsumingService index="0" isDefault="true"><ServiceName xml:lang="en">Service</ServiceName><RequestedAttribute Name="mail" isRequired="true"/></AttributeConsumingService>` +
		`</SPSSODescriptor>` +
		`<Organization><OrganizationName xml:lang="en">O</OrganizationName><OrganizationDisplayName xml:lang="en">Org</OrganizationDisplayName><OrganizationURL xml:lang="en">https://sp.example/</OrganizationURL></Organization>` +
		`<ContactPerson contactType="technical"><EmailAddress>mailto:a@sp.example</EmailAddress></ContactPerson>` +
		`<AdditionalMetadataLocation namespace="urn:x">https://sp.example/more</AdditionalMetadataLocation>` +
		`</EntityDescriptor>`
}

// breakage is one change of a document.
type breakage struct {
	where string // path of the element, with @attribute
	how   string
	doc   string
}

// breakages returns documents with one broken part each, in every way.
func breakages(t testing.TB, doc string) []breakage {
	t.Helper()
	root, err := xmltree.Parse([]byte(doc), xmltree.MetadataLimits())
	if err != nil {
		t.Fatal(err)
	}
	var out []breakage
	add := func(path, how string, target *xmltree.Element, change func(e *xmltree.Element) []*xmltree.Element) {
		var b strings.Builder
		render(&b, root, target, change)
		out = append(out, breakage{path, how, b.String()})
	}
	var walk func(e *xmltree.Element, path string)
	walk = func(e *xmltree.Element, path string) {
		for i, a := range e.Attrs {
			at := path + "@" + a.Local
			for how, value := range map[string]string{"empty": "", "blank": " ", "garbage": "\u00a7 65536", "capital": "True"} {
				add(at, how, e, func(e *xmltree.Element) []*xmltree.Element {
					e.Attrs[i].Value = value
					return []*xmltree.Element{e}
				})
			}
			add(at, "drop", e, func(e *xmltree.Element) []*xmltree.Element {
				e.Attrs = slices.Delete(e.Attrs, i, i+1)
				return []*xmltree.Element{e}
			})
		}
		content := func(how string, nodes ...xmltree.Node) {
			add(path, how, e, func(e *xmltree.Element) []*xmltree.Element {
				e.Nodes = append(nodes, e.Nodes...)
				return []*xmltree.Element{e}
			})
		}
		content("unknown child", xmltree.Node{Element: &xmltree.Element{Local: "odd", Space: "urn:odd"}})
		add(path, "void", e, func(e *xmltree.Element) []*xmltree.Element {
			e.Nodes = nil
			return []*xmltree.Element{e}
		})
		add(path, "garbage text", e, func(e *xmltree.Element) []*xmltree.Element {
			e.Nodes = []xmltree.Node{{Text: "\u00a7\u202e"}}
			return []*xmltree.Element{e}
		})
		if e != root {
			add(path, "drop", e, func(*xmltree.Element) []*xmltree.Element { return nil })
			add(path, "double", e, func(e *xmltree.Element) []*xmltree.Element { return []*xmltree.Element{e, e} })
		}
		for c := range e.Elements() {
			walk(c, path+"/"+c.Local)
		}
	}
	walk(root, root.Local)
	return out
}

// render writes a document in which one element is changed.
func render(b *strings.Builder, e, target *xmltree.Element, change func(*xmltree.Element) []*xmltree.Element) {
	list := []*xmltree.Element{e}
	if e == target {
		c := *e
		c.Attrs, c.Nodes = slices.Clone(e.Attrs), slices.Clone(e.Nodes)
		list = change(&c)
	}
	for _, e := range list {
		fmt.Fprintf(b, `<%s xmlns=%q`, e.Local, e.Space)
		for _, a := range e.Attrs {
			name := a.Local
			if a.Space == xmltree.XMLNamespace {
				name = "xml:" + name
			}
			fmt.Fprintf(b, ` %s="`, name)
			_ = xml.EscapeText(b, []byte(a.Value))
			b.WriteString(`"`)
		}
		b.WriteString(">")
		for _, n := range e.Nodes {
			if n.Element == nil {
				_ = xml.EscapeText(b, []byte(n.Text))
				continue
			}
			render(b, n.Element, target, change)
		}
		b.WriteString("</" + e.Local + ">")
	}
}

const (
	inRole = "EntityDescriptor/SPSSODescriptor"
	inKey  = inRole + "/KeyDescriptor"
	inACS  = inRole + "/AssertionConsumerService"
	inSLO  = inRole + "/SingleLogoutService"
)

// refusedFor returns the part that a document is refused for when the one at b is broken and
// each needed part has a spare. It returns "" if the document must be registered.
func refusedFor(b breakage) metadata.Part {
	broken := b.how != "unknown child" && b.how != "double"
	switch {
	case b.where == "EntityDescriptor" && (b.how == "void" || b.how == "garbage text"), b.where == inRole && (b.how == "double" || b.how == "drop"):
		return metadata.PartRole
	case b.where == "EntityDescriptor@entityID" && b.how != "capital":
		return metadata.PartEntityID
	case b.where == inRole+"@protocolSupportEnumeration" && (b.how == "garbage" || b.how == "capital"):
		return metadata.PartProtocols
	case b.where == inRole && broken:
		return metadata.PartACS
	}
	return ""
}

// notedFor returns the part that a note names when the one at b is left out. It returns "" if
// the part is not read, or another one is used instead.
func notedFor(b breakage) metadata.Part {
	any := func(hows ...string) bool { return slices.Contains(hows, b.how) }
	value := any("empty", "blank", "garbage")
	switch b.where {
	case "EntityDescriptor@validUntil", inRole + "@validUntil":
		if value || any("capital") {
			return metadata.PartValidUntil
		}
	case inRole + "@protocolSupportEnumeration":
		return metadata.PartProtocols
	case inRole + "@AuthnRequestsSigned":
		if !any("capital") {
			return metadata.PartSignsRequests
		}
	case inRole + "@WantAssertionsSigned":
		if value {
			return metadata.PartWantsSigned
		}
	case inKey + "@use":
		if any("garbage", "capital") {
			return metadata.PartUse
		}
	case inKey + "/EncryptionMethod@Algorithm":
		if any("empty", "blank", "drop") {
			return metadata.PartMethod
		}
	case inACS + "@Location", inACS + "@Binding":
		return metadata.PartACS
	case inACS:
		if any("double") {
			return metadata.PartACS
		}
	case inACS + "@index":
		return metadata.PartIndex
	case inACS + "@isDefault":
		if value {
			return metadata.PartDefault
		}
	case inSLO + "@Location":
		return "" // ResponseLocation is used instead
	case inSLO + "@Binding", inSLO + "@ResponseLocation":
		if !(b.where == inSLO+"@ResponseLocation" && any("drop")) {
			return metadata.PartLogout
		}
	case inRole + "/Extensions", inRole + "/Extensions/UIInfo", inRole + "/Extensions/UIInfo/DisplayName":
		if any("void", "drop", "garbage text") {
			return metadata.PartName
		}
	case inRole + "/NameIDFormat":
		if any("void") {
			return metadata.PartFormat
		}
	}
	return ""
}

// keyPart returns the part of a note about a broken key, or "" if it is not broken.
func keyPart(b breakage, use string) metadata.Part {
	within := strings.HasPrefix(b.where, inKey+"/KeyInfo")
	if strings.HasSuffix(b.where, "/X509Certificate") && b.how == "unknown child" {
		return metadata.Part("KeyDescriptor " + use) // software differs in what it reads there
	}
	if !within && b.where != inKey || strings.Contains(b.where, "@") || strings.HasSuffix(b.where, "/KeyName") ||
		b.how == "unknown child" || b.how == "double" || b.where == inKey && b.how == "drop" {
		return ""
	}
	return metadata.Part("KeyDescriptor " + use)
}

// A document with any one part broken in any way is registered with a note that names the
// part. If the part is needed, the document is refused for that part and no other.
func TestBrokenPartIsNotedOrRefused(t *testing.T) {
	t.Parallel()
	doc := richDoc(t)
	whole, err := metadata.ReadSP([]byte(doc), testNow, metadata.Options{})
	if err != nil || len(whole.Notes) > 0 {
		t.Fatalf("the whole document: %v, %v", whole, err)
	}
	all := breakages(t, doc)
	if len(all) < 300 {
		t.Fatalf("only %d breakages: the test is broken itself", len(all))
	}
	keys := map[string]int{}
	for _, b := range all {
		use := "signing"
		if strings.HasPrefix(b.where, inKey) { // each way occurs once per key: two for signing, then two for encryption
			way := b.where + b.how
			if keys[way]++; keys[way] > 2 {
				use = "encryption"
			}
		}
		d, err := metadata.ReadSP([]byte(b.doc), testNow, metadata.Options{})
		var problems metadata.Problems
		errors.As(err, &problems)
		if want := refusedFor(b); want != "" {
			if err == nil || !slices.Contains(partsOf(problems), want) {
				t.Errorf("%s, %s: %v; want a problem with %q", b.where, b.how, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, %s: refused: %v", b.where, b.how, err)
			continue
		}
		want := notedFor(b)
		if part := keyPart(b, use); part != "" {
			want = part
		}
		parts := partsOf(d.Notes)
		if want != "" && !slices.Contains(parts, want) || want == "" && len(parts) > 0 && !explained(b, parts) {
			t.Errorf("%s, %s: notes are about %q, want %q: %v", b.where, b.how, parts, want, d.Notes)
		}
		if len(d.ACS) == 0 || len(d.RequestCerts) == 0 || d.Encryption == "none" {
			t.Errorf("%s, %s: something needed is lost: %+v", b.where, b.how, d)
		}
	}
}

// explained reports whether additional notes are a consequence of the break: a missing name,
// or another format.
func explained(b breakage, parts []metadata.Part) bool {
	for _, p := range parts {
		switch {
		case p == metadata.PartName && strings.Contains(b.where, "DisplayName"):
		case p == metadata.PartFormat && strings.HasSuffix(b.where, "/NameIDFormat"):
		case p == metadata.PartMethod && strings.Contains(b.where, "Method"):
		case p == metadata.PartLogout && strings.HasPrefix(b.where, inSLO):
		case p == metadata.PartChain && strings.HasPrefix(b.where, inKey):
		default:
			return false
		}
	}
	return true
}

// Without a spare, breaking a needed part refuses the document, and the refusal names the
// part.
func TestBrokenNeededPartIsRefused(t *testing.T) {
	t.Parallel()
	doc := richDoc(t)
	// Keep only the first of each.
	cut := func(name string, nth int) {
		from := -1
		for range nth {
			from += 1 + strings.Index(doc[from+1:], "<"+name)
		}
		end := "</" + name + ">"
		if name == "AssertionConsumerService" {
			end = "/>"
		}
		doc = doc[:from] + doc[from+strings.Index(doc[from:], end)+len(end):]
	}
	cut("KeyDescriptor", 4)
	cut("KeyDescriptor", 2)
	cut("AssertionConsumerService", 2)
	if _, err := metadata.ReadSP([]byte(doc), testNow, metadata.Options{}); err != nil {
		t.Fatal(err)
	}
	n, keys := 0, map[string]int{}
	for _, b := range breakages(t, doc) {
		var want metadata.Part
		way := b.where + b.how
		keys[way]++
		use := "signing"
		if keys[way] > 1 {
			use = "encryption"
		}
		switch {
		case b.where == inACS+"@Location" || b.where == inACS+"@Binding" || b.where == inACS && b.how == "drop":
			want = metadata.PartACS
		case keyPart(b, use) != "":
			want = keyPart(b, use)
		case b.where == inKey+"@use" && use == "signing" && (b.how == "garbage" || b.how == "capital"):
			want = metadata.PartUse
		default:
			continue
		}
		n++
		_, err := metadata.ReadSP([]byte(b.doc), testNow, metadata.Options{})
		var problems metadata.Problems
		if !errors.As(err, &problems) || !slices.Contains(partsOf(problems), want) {
			t.Errorf("%s, %s: %v; want a problem with %q", b.where, b.how, err, want)
		}
	}
	if n < 25 {
		t.Errorf("only %d breakages of needed parts", n)
	}
}
