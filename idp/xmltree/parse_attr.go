package xmltree

import (
	"fmt"
	"strings"
)

// attributes reads attributes and namespace declarations up to the tag's end
// and reports whether it is an empty-element tag.
func (p *parser) attributes(el *Element) (empty bool, err *SyntaxError) {
	var (
		attrBuf [8]Attr
		attrs   = attrBuf[:0]
		scope   = len(p.scope)
	)
	for {
		spaced := p.space()
		if p.skip("/>") {
			empty = true
			break
		}
		if p.skip(">") {
			break
		}
		if !spaced {
			return false, p.fail("no white space before an attribute")
		}
		if len(attrs)+len(p.scope)-scope >= p.lim.Attrs {
			return false, p.fail(fmt.Sprintf("more than %d attributes on one element", p.lim.Attrs))
		}
		prefix, local, err := p.name()
		if err != nil {
			return false, err
		}
		p.space()
		if !p.skip("=") {
			return false, p.fail("attribute without a value")
		}
		p.space()
		value, err := p.attrValue()
		if err != nil {
			return false, err
		}
		switch {
		case prefix == "xmlns":
			err = p.declare(scope, local, value)
		case prefix == "" && local == "xmlns":
			err = p.declare(scope, "", value)
		default:
			if p.attrs++; p.attrs > p.lim.AllAttrs {
				return false, p.fail(fmt.Sprintf("more than %d attributes in all", p.lim.AllAttrs))
			}
			attrs = append(attrs, Attr{Prefix: prefix, Local: local, Value: value})
		}
		if err != nil {
			return false, err
		}
	}
	el.Attrs = p.keepAttrs(attrs)
	el.NS = p.keepNS(p.scope[scope:])
	return empty, nil
}

// declare puts a namespace declaration into scope; those from index on are of
// the same element.
func (p *parser) declare(from int, prefix, uri string) *SyntaxError {
	switch {
	case prefix == "xml":
		// Legal and without effect; canonical forms leave it out, so do we.
		if uri != XMLNamespace {
			return p.fail("prefix xml bound to another namespace")
		}
		return nil
	case prefix == "xmlns", uri == XMLNamespace, uri == "http://www.w3.org/2000/xmlns/":
		return p.fail("reserved prefix or namespace declared")
	case uri == "" && prefix != "":
		return p.fail("prefix bound to no namespace")
	case uri != "" && !isAbsoluteURI(uri):
		// Canonicalization of relative names is undefined, and libraries
		// that fail at it have signed the empty string.
		return p.fail("namespace name is not an absolute URI")
	}
	for _, d := range p.scope[from:] {
		if d.Prefix == prefix {
			return p.fail("namespace declared twice on one element")
		}
	}
	if len(p.scope) > p.lim.Scope { // prefix xml, which is always there, does not count
		return p.fail(fmt.Sprintf("more than %d namespace declarations in scope", p.lim.Scope))
	}
	p.scope = append(p.scope, NSDecl{Prefix: prefix, URI: uri})
	return nil
}

// isAbsoluteURI reports whether a namespace name begins with a scheme and has only
// visible ASCII characters, or others beyond ASCII.
func isAbsoluteURI(uri string) bool {
	for i := 0; i < len(uri); i++ {
		if c := uri[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	scheme, _, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" || !isLetter(scheme[0]) {
		return false
	}
	for i := 1; i < len(scheme); i++ {
		c := scheme[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// resolve gives the element and its attributes their namespaces, and refuses
// an attribute that is there twice under two prefixes.
func (p *parser) resolve(el *Element) *SyntaxError {
	var ok bool
	if el.Space, ok = p.lookup(el.Prefix); !ok {
		return p.fail("undeclared namespace prefix on an element")
	}
	for i := range el.Attrs {
		a := &el.Attrs[i]
		if a.Prefix != "" {
			if a.Space, ok = p.lookup(a.Prefix); !ok {
				return p.fail("undeclared namespace prefix on an attribute")
			}
		}
		for _, b := range el.Attrs[:i] {
			if a.Local == b.Local && a.Space == b.Space {
				return p.fail("attribute is there twice")
			}
		}
	}
	return nil
}

func (p *parser) lookup(prefix string) (string, bool) {
	for i := len(p.scope) - 1; i >= 0; i-- {
		if p.scope[i].Prefix == prefix {
			return p.scope[i].URI, true
		}
	}
	return "", prefix == ""
}

// name reads a name with an optional prefix. Both parts are ASCII: nothing in
// SAML needs more, and readers disagree about which letters a name may have.
func (p *parser) name() (prefix, local string, err *SyntaxError) {
	local, ok := p.ncName()
	if !ok {
		return "", "", p.fail("a name is expected here")
	}
	if p.skip(":") {
		prefix = local
		if local, ok = p.ncName(); !ok {
			return "", "", p.fail("a colon in the wrong place of a name")
		}
	}
	if p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case isSpace(c), c == '=', c == '>', c == '/':
		default:
			return "", "", p.fail("a character that no name of SAML has")
		}
	}
	return prefix, local, nil
}

func (p *parser) ncName() (string, bool) {
	at := p.pos
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		first := isLetter(c) || c == '_'
		later := c >= '0' && c <= '9' || c == '-' || c == '.'
		if !first && (!later || p.pos == at) {
			break
		}
		p.pos++
	}
	return p.src[at:p.pos], p.pos > at
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
