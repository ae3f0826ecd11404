package xmltree_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"
	xrv "github.com/mattermost/xml-roundtrip-validator"

	"vernal/idp/xmltree"
)

// FuzzParse checks that encoding/xml and etree read the same from everything that Parse
// accepts, and that the round-trip validator finds no problem in it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`<a/>`, `<?xml version="1.0"?><p:a xmlns:p="urn:p" b="1" p:b='2'>x<c xmlns=""/>&amp;&#65;<![CDATA[x]]></p:a>`,
		"\uFEFF<a xml:lang=\"en\">\r\n<b></b>\r</a>\n", `<a><!-- b --><b/></a>`, `<a b="&#10;&#9;&lt;"/>`,
		`<a><b xmlns="urn:b" xmlns:c="urn:c"><c:d c:e="f"/></b></a>`, `<a>a<!-- -->b</a>`, `<a xmlns:a="urn:a" a:b="" b=""/>`,
	} {
		f.Add([]byte(s))
	}
	files, err := filepath.Glob("../../testdata/metadata/*.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := xmltree.Parse(data, xmltree.MetadataLimits())
		if err != nil {
			return
		}
		want := spaced(root).outline()
		// A byte order mark is not part of the document. encoding/xml treats it as text before
		// the root.
		data = bytes.TrimPrefix(data, []byte("\uFEFF"))
		if err := xrv.Validate(bytes.NewReader(data)); err != nil {
			t.Fatalf("round-trip validator: %v", err)
		}
		std, err := readStandard(data)
		if err != nil {
			t.Fatalf("encoding/xml: %v", err)
		}
		if diff := cmp.Diff(want, std.outline()); diff != "" {
			t.Fatalf("encoding/xml reads another message (-ours +theirs):\n%s", diff)
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(data); err != nil {
			t.Fatalf("etree: %v", err)
		}
		if diff := cmp.Diff(want, readEtree(doc.Root()).outline()); diff != "" {
			t.Fatalf("etree reads another message (-ours +theirs):\n%s", diff)
		}
	})
}

// tree is an xmltree.Element whose attribute values had their white space replaced by spaces,
// as Parse does and the other parsers do not.
type tree struct{ xmltree.Element }

func (t *tree) outline() string { return outline(&t.Element) }

func spaced(e *xmltree.Element) *tree {
	out := &tree{xmltree.Element{Space: e.Space, Local: e.Local}}
	for _, a := range e.Attrs {
		out.attr(a.Space, a.Local, a.Value)
	}
	for _, n := range e.Nodes {
		if n.Element != nil {
			out.Nodes = append(out.Nodes, xmltree.Node{Element: &spaced(n.Element).Element})
		} else {
			out.text(n.Text)
		}
	}
	return out
}

func (t *tree) attr(space, local, value string) {
	value = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(value)
	t.Attrs = append(t.Attrs, xmltree.Attr{Space: space, Local: local, Value: value})
}

func (t *tree) text(s string) {
	if n := len(t.Nodes); n > 0 && t.Nodes[n-1].Element == nil {
		t.Nodes[n-1].Text += s
	} else if s != "" {
		t.Nodes = append(t.Nodes, xmltree.Node{Text: s})
	}
}

func readStandard(data []byte) (*tree, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var open []*tree
	var root *tree
	for {
		token, err := d.Token()
		if err == io.EOF {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &tree{xmltree.Element{Space: token.Name.Space, Local: token.Name.Local}}
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					e.attr(a.Name.Space, a.Name.Local, a.Value)
				}
			}
			if len(open) > 0 {
				p := open[len(open)-1]
				p.Nodes = append(p.Nodes, xmltree.Node{Element: &e.Element})
			} else if root == nil {
				root = e
			} else {
				return nil, fmt.Errorf("second root")
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text(string(token))
			} else if len(bytes.TrimSpace(token)) > 0 {
				return nil, fmt.Errorf("text outside the root")
			}
		}
	}
}

func readEtree(e *etree.Element) *tree {
	out := &tree{xmltree.Element{Space: e.NamespaceURI(), Local: e.Tag}}
	for _, a := range e.Attr {
		switch {
		case a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns":
		case a.Space == "xml":
			out.attr(xmltree.XMLNamespace, a.Key, a.Value)
		default:
			out.attr(a.NamespaceURI(), a.Key, a.Value)
		}
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.Element:
			out.Nodes = append(out.Nodes, xmltree.Node{Element: &readEtree(c).Element})
		case *etree.CharData:
			out.text(c.Data)
		}
	}
	return out
}

func BenchmarkParse(b *testing.B) {
	data := []byte(`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0" IssueInstant="2026-11-22T10:00:00Z" Destination="https://idp.example.com/api/saml/auth2026" AssertionConsumerServiceURL="https://sp.example.com/acs" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST">
  <saml:Issuer>https://sp.example.com/metadata</saml:Issuer>
  <samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" AllowCreate="true"/>
  <samlp:RequestedAuthnContext Comparison="exact">
    <saml:AuthnContextClassRef>http://idmanagement.gov/ns/assurance/ial/1</saml:AuthnContextClassRef>
    <saml:AuthnContextClassRef>http://idmanagement.gov/ns/assurance/aal/2</saml:AuthnContextClassRef>
    <saml:AuthnContextClassRef>http://idmanagement.gov/ns/requested_attributes?ReqAttr=email</saml:AuthnContextClassRef>
  </samlp:RequestedAuthnContext>
  <samlp:Scoping/><samlp:Extensions/>
</samlp:AuthnRequest>`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := xmltree.Parse(data, xmltree.MessageLimits()); err != nil {
			b.Fatal(err)
		}
	}
}
