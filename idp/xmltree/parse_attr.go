package xmltree

import (
	"fmt"
	"strings"
)

// parseAttributes reads attributes and namespace declarations up to the tag's end
// and reports whether it is an empty-element tag.
func (p *parser) parseAttributes(el *Element) (empty bool, err *SyntaxError) {
	var (
		attrBuf [8]Attr
		attrs   = attrBuf[:0]
		scope   = len(p.scope)
	)
	for {
		spaced := p.skipSpace()
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
		prefix, local, err := p.parseName()
		if err != nil {
			return false, err
		}
		p.skipSpace()
		if !p.skip("=") {
			return false, p.fail("attribute without a value")
		}
		p.skipSpace()
		value, err := p.parseAttrValue()
		if err != nil {
			return false, err
		}
		switch {
		case prefix == "xmlns":
			err = p.declare(scope, local, value)
		case prefix == "" && local == "xmlns":
			err = p.declare(scope, "", value)
		default:
			if p.attrCount++; p.attrCount > p.lim.AllAttrs {
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

// declare adds a namespace declaration to the scope. Those from index from on are of the same
// element.
func (p *parser) declare(from int, prefix, uri string) *SyntaxError {
	switch {
	case prefix == "xml":
		// Permitted and without effect. Canonical forms omit it, and so do we.
		if uri != XMLNamespace {
			return p.fail("prefix xml bound to another namespace")
		}
		return nil
	case prefix == "xmlns", uri == XMLNamespace, uri == "http://www.w3.org/2000/xmlns/":
		return p.fail("reserved prefix or namespace declared")
	case uri == "" && prefix != "":
		return p.fail("prefix bound to no namespace")
	case uri != "" && !isAbsoluteURI(uri):
		// Canonicalization of relative names is undefined, and libraries that fail at it have
		// signed the empty string.
		return p.fail("namespace name is not an absolute URI")
	}
	for _, d := range p.scope[from:] {
		if d.Prefix == prefix {
			return p.fail("namespace declared twice on one element")
		}
	}
	if len(p.scope) > p.lim.Scope { // does not count the prefix xml, which is always declared
		return p.fail(fmt.Sprintf("more than %d namespace declarations in scope", p.lim.Scope))
	}
	p.scope = append(p.scope, NSDecl{Prefix: prefix, URI: uri})
	return nil
}

// isAbsoluteURI reports whether a namespace name begins with a scheme and has no spaces or
// control characters of ASCII.
func isAbsoluteURI(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && scheme != "" && isLetter(scheme[0]) &&
		strings.Trim(scheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.") == "" &&
		!strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// resolveNames sets the namespaces of the element and its attributes, and refuses an attribute that
// is repeated under two prefixes.
func (p *parser) resolveNames(el *Element) *SyntaxError {
	var ok bool
	if el.Space, ok = LookupPrefix(p.scope, el.Prefix); !ok {
		return p.fail("undeclared namespace prefix on an element")
	}
	for i := range el.Attrs {
		a := &el.Attrs[i]
		if a.Prefix != "" {
			if a.Space, ok = LookupPrefix(p.scope, a.Prefix); !ok {
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

// LookupPrefix returns the namespace name of a prefix among the declarations in scope, the
// innermost last. The prefix "" needs no declaration.
func LookupPrefix(scope []NSDecl, prefix string) (uri string, ok bool) {
	for i := len(scope) - 1; i >= 0; i-- {
		if scope[i].Prefix == prefix {
			return scope[i].URI, true
		}
	}
	return "", prefix == ""
}

// parseName reads a name with an optional prefix. Both parts are ASCII: SAML needs no other
// letters, and parsers disagree about which ones a name may have.
func (p *parser) parseName() (prefix, local string, err *SyntaxError) {
	local, ok := p.parseNCName()
	if !ok {
		return "", "", p.fail("a name is expected here")
	}
	if p.skip(":") {
		prefix = local
		if local, ok = p.parseNCName(); !ok {
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

func (p *parser) parseNCName() (string, bool) {
	at := p.pos
	p.pos += measureName(p.src[at:])
	return p.src[at:p.pos], p.pos > at
}

// measureName returns the length of the NCName of ASCII characters at the beginning of s, or 0.
func measureName(s string) int {
	for i := range len(s) {
		c := s[i]
		later := c >= '0' && c <= '9' || c == '-' || c == '.'
		if !isLetter(c) && c != '_' && (!later || i == 0) {
			return i
		}
	}
	return len(s)
}

// IsName reports whether s is an NCName of ASCII characters.
func IsName(s string) bool { return s != "" && measureName(s) == len(s) }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
