package xmltree

import (
	"fmt"
	"strings"
)

// Limits bounds the documents that Parse accepts. All numbers must be positive.
type Limits struct {
	Bytes    int // length of the document
	Depth    int // of nesting; the root is at depth 1
	Elements int // in the whole document
	Attrs    int // on one element, namespace declarations included
	// AllAttrs bounds the attributes of the whole document, without namespace declarations,
	// and Scope the declarations in scope at once. Every prefix is looked up among those in
	// scopeStart, so the two bound the time that an unauthenticated sender can cost.
	AllAttrs, Scope int
	// Comments skips comments instead of refusing them. Even then a comment beside text is
	// refused: «a<!-- -->b» has been read as «a» by some software and «ab» by other, and
	// accounts were taken over that way (CVE-2017-11427 and related ones).
	Comments bool
}

// MessageLimits returns the limits for a SAML message: some twenty times the needs of the largest
// known AuthnRequest.
func MessageLimits() Limits {
	return Limits{Bytes: 128 << 10, Depth: 20, Elements: 400, Attrs: 32, AllAttrs: 1000, Scope: 64}
}

// MetadataLimits returns the limits for an EntityDescriptor, which is often written by hand,
// with comments.
func MetadataLimits() Limits {
	return Limits{Bytes: 1 << 20, Depth: 32, Elements: 20000, Attrs: 64, AllAttrs: 20000, Scope: 64, Comments: true}
}

// SyntaxError reports why a document was refused.
type SyntaxError struct {
	Offset int    // in bytes, where parsing stopped
	Problem   string // description without text of the document
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("XML at byte %d: %s", e.Offset, e.Problem)
}

// Parse reads one document and returns its root. The error is a *SyntaxError.
func Parse(data []byte, lim Limits) (*Element, error) { return ParseWithin(data, lim) }

// ParseWithin is Parse for text that was encrypted within the elements outer, the outermost
// first. Only their namespace declarations apply to it (xmlenc-core1 §4.3.3).
func ParseWithin(data []byte, lim Limits, outer ...*Element) (*Element, error) {
	if len(data) > lim.Bytes {
		return nil, &SyntaxError{Offset: lim.Bytes, Problem: fmt.Sprintf("document is longer than %d bytes", lim.Bytes)}
	}
	if e := checkChars(data); e != nil {
		return nil, e
	}
	// Buffers for a document of usual size.
	var (
		frames [12]frame
		nodes  [20]Node
		scope  [8]NSDecl
	)
	p := parser{src: string(data), lim: lim, frames: frames[:0], nodes: nodes[:0], scope: scope[:0]}
	p.scope = append(p.scope, NSDecl{Prefix: "xml", URI: XMLNamespace})
	for _, e := range outer {
		p.scope = append(p.scope, e.NS...)
	}
	return p.parseDocument()
}

// parser parses one document. src is the only copy of the input, and every name and almost
// every value is a substring of it.
type parser struct {
	src string
	pos int
	lim Limits

	frames []frame  // open elements, beginning with the root
	nodes  []Node   // parseContent of all open elements so far
	scope  []NSDecl // declarations in scope, innermost last
	elementCount  int      // elements seen
	attrCount  int      // attributes seen, without namespace declarations
	// Since the last tag: beside reports a comment, inked reports text other than white space,
	// and pieces holds the text if it came in several pieces.
	hasComment, hasText bool
	pieces        []byte
	arena
}

// frame is an open element.
type frame struct {
	element    *Element
	name  string // as written, for its end tag
	nodeStart int    // index of its content in parser.nodes
	scopeStart int    // length of parser.scope before it
}

func (p *parser) fail(what string) *SyntaxError {
	return &SyntaxError{Offset: p.pos, Problem: what}
}

// parseDocument parses an optional byte order mark, an optional XML declaration, one element, and
// white space around it.
func (p *parser) parseDocument() (*Element, error) {
	p.skip("\uFEFF")
	if err := p.parseDeclaration(); err != nil {
		return nil, err
	}
	var root *Element
	for p.pos < len(p.src) {
		if len(p.frames) > 0 {
			if err := p.parseContent(); err != nil {
				return nil, err
			}
			continue
		}
		p.skipSpace()
		if p.pos == len(p.src) {
			break
		}
		if strings.HasPrefix(p.src[p.pos:], "<!--") {
			if err := p.skipComment(); err != nil {
				return nil, err
			}
			continue
		}
		if root != nil {
			return nil, p.fail("something follows the root element")
		}
		if p.src[p.pos] != '<' {
			return nil, p.fail("text outside the root element")
		}
		var err *SyntaxError
		if root, err = p.parseStartTag(); err != nil {
			return nil, err
		}
	}
	if root == nil {
		return nil, p.fail("no element")
	}
	if len(p.frames) > 0 {
		return nil, p.fail("document ends within an element")
	}
	return root, nil
}

// parseContent parses one part of an element's content.
func (p *parser) parseContent() *SyntaxError {
	rest := p.src[p.pos:]
	switch {
	case rest[0] != '<':
		return p.parseText()
	case strings.HasPrefix(rest, "</"):
		return p.parseEndTag()
	case strings.HasPrefix(rest, "<![CDATA["):
		return p.parseCDATA()
	case strings.HasPrefix(rest, "<!--"):
		return p.skipComment()
	}
	_, err := p.parseStartTag()
	return err
}

// parseStartTag reads a start tag or an empty-element tag.
func (p *parser) parseStartTag() (*Element, *SyntaxError) {
	p.pos++ // "<"
	if p.pos < len(p.src) && (p.src[p.pos] == '!' || p.src[p.pos] == '?') {
		return nil, p.fail("document type, entity or processing instruction; none is allowed in SAML")
	}
	if p.elementCount++; p.elementCount > p.lim.Elements {
		return nil, p.fail(fmt.Sprintf("more than %d elements", p.lim.Elements))
	}
	if len(p.frames) >= p.lim.Depth {
		return nil, p.fail(fmt.Sprintf("nested deeper than %d", p.lim.Depth))
	}
	p.endText()
	at := p.pos
	prefix, local, err := p.parseName()
	if err != nil {
		return nil, err
	}
	name := p.src[at:p.pos]
	el := p.newElement()
	el.Prefix, el.Local = prefix, local
	scope := len(p.scope)
	empty, err := p.parseAttributes(el)
	if err != nil {
		return nil, err
	}
	if err := p.resolveNames(el); err != nil {
		return nil, err
	}
	if len(p.frames) > 0 {
		p.nodes = append(p.nodes, Node{Element: el})
	}
	if empty {
		p.scope = p.scope[:scope]
		return el, nil
	}
	p.frames = append(p.frames, frame{element: el, name: name, nodeStart: len(p.nodes), scopeStart: scope})
	return el, nil
}

// parseEndTag closes the innermost element.
func (p *parser) parseEndTag() *SyntaxError {
	f := &p.frames[len(p.frames)-1]
	p.pos += len("</")
	if !p.skip(f.name) {
		return p.fail("end tag does not match the start tag")
	}
	p.skipSpace()
	if !p.skip(">") {
		return p.fail("end tag does not match the start tag")
	}
	p.endText()
	f.element.Nodes = p.keepNodes(p.nodes[f.nodeStart:])
	p.nodes = p.nodes[:f.nodeStart]
	p.scope = p.scope[:f.scopeStart]
	p.frames = p.frames[:len(p.frames)-1]
	return nil
}

// skip moves past s if the input continues with it.
func (p *parser) skip(s string) bool {
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// skipSpace moves past white space and reports whether there was any.
func (p *parser) skipSpace() bool {
	at := p.pos
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
	return p.pos > at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
