package xmltree

import "iter"

// XMLNamespace is the namespace that is always bound to the prefix "xml".
const XMLNamespace = "http://www.w3.org/XML/1998/namespace"

// Attr is one attribute, never a namespace declaration, which is in Element.NS. Space is
// "" for an attribute without a prefix.
type Attr struct {
	Prefix, Space, Local, Value string
}

// NSDecl is one namespace declaration. Prefix is "" for the default namespace. URI is "" if
// the default namespace is undeclared.
type NSDecl struct {
	Prefix, URI string
}

// Node is one part of an element's content: a child element, or character data.
type Node struct {
	Element *Element // nil for character data
	Text    string
}

// Element is one element with resolved names. An Element from Parse is read-only and may be shared.
type Element struct {
	Prefix, Space, Local string
	// NS are the declarations on this element, in document order.
	NS    []NSDecl
	Attrs []Attr
	// Nodes never contains adjacent or empty character data.
	Nodes []Node
}

// Is reports whether the element has this name.
func (e *Element) Is(space, local string) bool {
	return e.Local == local && e.Space == space
}

// Attr returns the value of the attribute without a namespace that has this local name, and
// whether it exists.
func (e *Element) Attr(local string) (string, bool) {
	for i := range e.Attrs {
		if e.Attrs[i].Local == local && e.Attrs[i].Space == "" {
			return e.Attrs[i].Value, true
		}
	}
	return "", false
}

// Child returns the first child element of this name, or nil. If a second one must be refused,
// use Children or Elements and count.
func (e *Element) Child(space, local string) *Element {
	for c := range e.Elements() {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// Children returns all child elements of this name.
func (e *Element) Children(space, local string) []*Element {
	var children []*Element
	for c := range e.Elements() {
		if c.Is(space, local) {
			children = append(children, c)
		}
	}
	return children
}

// Elements ranges over all child elements.
func (e *Element) Elements() iter.Seq[*Element] {
	return func(yield func(*Element) bool) {
		for i := range e.Nodes {
			if c := e.Nodes[i].Element; c != nil && !yield(c) {
				return
			}
		}
	}
}

// All ranges over the element itself and its descendants, in document order.
func (e *Element) All() iter.Seq[*Element] {
	return func(yield func(*Element) bool) { e.walk(yield) }
}

func (e *Element) walk(yield func(*Element) bool) bool {
	if !yield(e) {
		return false
	}
	for i := range e.Nodes {
		if c := e.Nodes[i].Element; c != nil && !c.walk(yield) {
			return false
		}
	}
	return true
}

// Text returns the character data of an element without child elements. It returns "" for an
// element with child elements, because software differs in how it reads them.
func (e *Element) Text() string {
	if len(e.Nodes) != 1 || e.Nodes[0].Element != nil {
		return ""
	}
	return e.Nodes[0].Text
}
