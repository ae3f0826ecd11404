package xmldsig

import (
	"fmt"
	"slices"

	"github.com/beevik/etree"

	"vernal/idp/xmltree"
)

// convertToEtree builds a tree for goxmldsig from our tree, so that no text is parsed a second
// time. It omits the KeyInfo of the Signature, because goxmldsig would let the sender choose the
// key, and the white space of the value, which goxmldsig does not accept. Neither part is signed.
func convertToEtree(e, signature *xmltree.Element, value string) *etree.Element {
	tree := etree.NewElement(e.Local)
	tree.Space = e.Prefix
	tree.Attr = make([]etree.Attr, 0, len(e.NS)+len(e.Attrs))
	for _, d := range e.NS {
		if d.Prefix == "" {
			tree.Attr = append(tree.Attr, etree.Attr{Key: "xmlns", Value: d.URI})
		} else {
			tree.Attr = append(tree.Attr, etree.Attr{Space: "xmlns", Key: d.Prefix, Value: d.URI})
		}
	}
	for _, a := range e.Attrs {
		tree.Attr = append(tree.Attr, etree.Attr{Space: a.Prefix, Key: a.Local, Value: a.Value})
	}
	for _, n := range e.Nodes {
		switch {
		case n.Element == nil:
			tree.AddChild(etree.NewText(n.Text))
		case e == signature && n.Element.Local == "KeyInfo":
		case e == signature && n.Element.Local == "SignatureValue":
			c := convertToEtree(&xmltree.Element{Prefix: n.Element.Prefix, Local: n.Element.Local, NS: n.Element.NS}, nil, "")
			c.AddChild(etree.NewText(value))
			tree.AddChild(c)
		default:
			tree.AddChild(convertToEtree(n.Element, signature, value))
		}
	}
	return tree
}

// convertFromEtree converts the element that goxmldsig returned, parsed from the bytes that it
// digested, to our tree. It accepts only XML that Parse accepts.
func convertFromEtree(e *etree.Element) (*xmltree.Element, error) {
	if e == nil {
		return nil, fmt.Errorf("goxmldsig returned no element")
	}
	return convertInScope(e, []xmltree.NSDecl{{Prefix: "xml", URI: xmltree.XMLNamespace}})
}

// convertInScope does the same with the namespaces in scope.
func convertInScope(e *etree.Element, scope []xmltree.NSDecl) (*xmltree.Element, error) {
	element := &xmltree.Element{Prefix: e.Space, Local: e.Tag}
	for _, a := range e.Attr {
		switch {
		case a.Space == "" && a.Key == "xmlns":
			element.NS = append(element.NS, xmltree.NSDecl{URI: a.Value})
		case a.Space == "xmlns":
			element.NS = append(element.NS, xmltree.NSDecl{Prefix: a.Key, URI: a.Value})
		default:
			element.Attrs = append(element.Attrs, xmltree.Attr{Prefix: a.Space, Local: a.Key, Value: a.Value})
		}
	}
	// The full slice expression keeps siblings from sharing memory.
	scope = append(scope[:len(scope):len(scope)], element.NS...)
	var ok bool
	if element.Space, ok = xmltree.LookupPrefix(scope, element.Prefix); !ok {
		return nil, fmt.Errorf("undeclared prefix on element %q", e.Tag)
	}
	for i := range element.Attrs {
		if a := &element.Attrs[i]; a.Prefix != "" {
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
			element.Nodes = append(element.Nodes, xmltree.Node{Element: child})
		case *etree.CharData:
			element.Nodes = appendText(element.Nodes, c.Data)
		default:
			return nil, fmt.Errorf("unexpected %T in a canonical form", c)
		}
	}
	return element, nil
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

// isEqualWithout reports whether right equals left without the element skip: names, attributes in
// any order, and text. Prefixes and declarations may differ, because canonicalization drops some.
func isEqualWithout(left, skip, right *xmltree.Element) bool {
	if left.Local != right.Local || left.Space != right.Space || len(left.Attrs) != len(right.Attrs) {
		return false
	}
	for _, x := range left.Attrs {
		if i := slices.IndexFunc(right.Attrs, func(y xmltree.Attr) bool { return y.Local == x.Local && y.Space == x.Space }); i < 0 || right.Attrs[i].Value != x.Value {
			return false
		}
	}
	nodes := left.Nodes
	if slices.ContainsFunc(left.Nodes, func(n xmltree.Node) bool { return n.Element == skip }) {
		nodes = nil
		for _, n := range left.Nodes {
			switch {
			case n.Element == nil:
				nodes = appendText(nodes, n.Text)
			case n.Element != skip:
				nodes = append(nodes, n)
			}
		}
	}
	if len(nodes) != len(right.Nodes) {
		return false
	}
	for i, n := range nodes {
		m := right.Nodes[i]
		if (n.Element == nil) != (m.Element == nil) || n.Text != m.Text {
			return false
		}
		if n.Element != nil && !isEqualWithout(n.Element, skip, m.Element) {
			return false
		}
	}
	return true
}
