package xmldsig

import (
	"fmt"
	"slices"

	"github.com/beevik/etree"

	"vernal/idp/xmltree"
)

// convertToEtree builds goxmldsig's kind of tree from ours, never from text, which would have to be
// parsed a second time. It omits the KeyInfo of the Signature, because goxmldsig would let the
// sender choose the key, and the white space of the value, which goxmldsig does not accept.
// Neither is signed.
func convertToEtree(e, signature *xmltree.Element, value string) *etree.Element {
	out := etree.NewElement(e.Local)
	out.Space = e.Prefix
	out.Attr = make([]etree.Attr, 0, len(e.NS)+len(e.Attrs))
	for _, d := range e.NS {
		if d.Prefix == "" {
			out.Attr = append(out.Attr, etree.Attr{Key: "xmlns", Value: d.URI})
		} else {
			out.Attr = append(out.Attr, etree.Attr{Space: "xmlns", Key: d.Prefix, Value: d.URI})
		}
	}
	for _, a := range e.Attrs {
		out.Attr = append(out.Attr, etree.Attr{Space: a.Prefix, Key: a.Local, Value: a.Value})
	}
	for _, n := range e.Nodes {
		switch {
		case n.Element == nil:
			out.AddChild(etree.NewText(n.Text))
		case e == signature && n.Element.Local == "KeyInfo":
		case e == signature && n.Element.Local == "SignatureValue":
			c := convertToEtree(&xmltree.Element{Prefix: n.Element.Prefix, Local: n.Element.Local, NS: n.Element.NS}, nil, "")
			c.AddChild(etree.NewText(value))
			out.AddChild(c)
		default:
			out.AddChild(convertToEtree(n.Element, signature, value))
		}
	}
	return out
}

// convertFromEtree converts the element that goxmldsig returned, parsed from the bytes that it digested,
// to our kind of tree. It accepts only XML that Parse accepts.
func convertFromEtree(e *etree.Element) (*xmltree.Element, error) {
	if e == nil {
		return nil, fmt.Errorf("no element")
	}
	return convertInScope(e, []xmltree.NSDecl{{Prefix: "xml", URI: xmltree.XMLNamespace}})
}

// convertInScope does the same with the namespaces that are in scope around e.
func convertInScope(e *etree.Element, scope []xmltree.NSDecl) (*xmltree.Element, error) {
	out := &xmltree.Element{Prefix: e.Space, Local: e.Tag}
	for _, a := range e.Attr {
		switch {
		case a.Space == "" && a.Key == "xmlns":
			out.NS = append(out.NS, xmltree.NSDecl{URI: a.Value})
		case a.Space == "xmlns":
			out.NS = append(out.NS, xmltree.NSDecl{Prefix: a.Key, URI: a.Value})
		default:
			out.Attrs = append(out.Attrs, xmltree.Attr{Prefix: a.Space, Local: a.Key, Value: a.Value})
		}
	}
	// The full slice expression keeps siblings from sharing memory.
	scope = append(scope[:len(scope):len(scope)], out.NS...)
	var ok bool
	if out.Space, ok = xmltree.LookupPrefix(scope, out.Prefix); !ok {
		return nil, fmt.Errorf("undeclared prefix on element %q", e.Tag)
	}
	for i := range out.Attrs {
		if a := &out.Attrs[i]; a.Prefix != "" {
			if a.Space, ok = xmltree.LookupPrefix(scope, a.Prefix); !ok {
				return nil, fmt.Errorf("undeclared prefix on attribute %q", a.Local)
			}
		}
	}
	for _, c := range e.Child {
		switch c := c.(type) {
		case *etree.Element:
			child, err := convertInScope(c, scope)
			if err != nil {
				return nil, err
			}
			out.Nodes = append(out.Nodes, xmltree.Node{Element: child})
		case *etree.CharData:
			out.Nodes = appendText(out.Nodes, c.Data)
		default:
			return nil, fmt.Errorf("unexpected %T in a canonical form", c)
		}
	}
	return out, nil
}

// appendText merges adjacent character data.
func appendText(nodes []xmltree.Node, text string) []xmltree.Node {
	if text == "" {
		return nodes
	}
	if n := len(nodes); n > 0 && nodes[n-1].Element == nil {
		nodes[n-1].Text += text
		return nodes
	}
	return append(nodes, xmltree.Node{Text: text})
}

// isEqualWithout reports whether b equals a without the element less: names, attributes in any order,
// and text. Prefixes and declarations may differ, because canonicalization drops some.
func isEqualWithout(a, less, b *xmltree.Element) bool {
	if a.Local != b.Local || a.Space != b.Space || len(a.Attrs) != len(b.Attrs) {
		return false
	}
	for _, x := range a.Attrs {
		if i := slices.IndexFunc(b.Attrs, func(y xmltree.Attr) bool { return y.Local == x.Local && y.Space == x.Space }); i < 0 || b.Attrs[i].Value != x.Value {
			return false
		}
	}
	nodes := a.Nodes
	if slices.ContainsFunc(a.Nodes, func(n xmltree.Node) bool { return n.Element == less }) {
		nodes = nil
		for _, n := range a.Nodes {
			switch {
			case n.Element == nil:
				nodes = appendText(nodes, n.Text)
			case n.Element != less:
				nodes = append(nodes, n)
			}
		}
	}
	if len(nodes) != len(b.Nodes) {
		return false
	}
	for i, n := range nodes {
		m := b.Nodes[i]
		if (n.Element == nil) != (m.Element == nil) || n.Text != m.Text {
			return false
		}
		if n.Element != nil && !isEqualWithout(n.Element, less, m.Element) {
			return false
		}
	}
	return true
}
