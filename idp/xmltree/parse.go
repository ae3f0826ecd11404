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
	// scope, so the two bound the time that an unauthenticated sender can cost.
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
	What   string // description without text of the document
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("XML at byte %d: %s", e.Offset, e.What)
}

// Parse reads one document and returns its root. The error is a *SyntaxError.
func Parse(data []byte, lim Limits) (*Element, error) { return ParseWithin(data, lim) }

// ParseWithin is Parse for text that was encrypted within the elements outer, the outermost
// first. Only their namespace declarations apply to it (xmlenc-core1 §4.3.3).
func ParseWithin(data []byte, lim Limits, outer ...*Element) (*Element, error) {
	if len(data) > lim.Bytes {
		return nil, &SyntaxError{Offset: lim.Bytes, What: fmt.Sprintf("document is longer than %d bytes", lim.Bytes)}
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
	return p.document()
}

// parser parses one document. src is the only copy of the input, and every name and almost
// every value is a substring of it.
type parser struct {
	src string
	pos int
	lim Limits

	frames []frame  // open elements, beginning with the root
	nodes  []Node   // content of all open elements so far
	scope  []NSDecl // declarations in scope, innermost last
	count  int      // elements seen
	attrs  int      // attributes seen, without namespace declarations
	// Since the last tag: beside reports a comment, inked reports text other than white space,
	// and pieces holds the text if it came in several pieces.
	beside, inked bool
	pieces        []byte
	arena
}

// frame is an open element.
type frame struct {
	el    *Element
	name  string // as written, for its end tag
	nodes int    // index of its content in parser.nodes
	scope int    // length of parser.scope before it
}

func (p *parser) fail(what string) *SyntaxError {
	return &SyntaxError{Offset: p.pos, What: what}
}

// document parses an optional byte order mark, an optional XML declaration, one element, and
// white space around it.
func (p *parser) document() (*Element, error) {
	p.skip("\uFEFF")
	if err := p.declaration(); err != nil {
		return nil, err
	}
	var root *Element
	for p.pos < len(p.src) {
		if len(p.frames) > 0 {
			if err := p.content(); err != nil {
				return nil, err
			}
			continue
		}
		p.space()
		if p.pos == len(p.src) {
			break
		}
		if strings.HasPrefix(p.src[p.pos:], "<!--") {
			if err := p.comment(); err != nil {
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
		if root, err = p.startTag(); err != nil {
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

// content parses one part of an element's content.
func (p *parser) content() *SyntaxError {
	rest := p.src[p.pos:]
	switch {
	case rest[0] != '<':
		return p.text()
	case strings.HasPrefix(rest, "</"):
		return p.endTag()
	case strings.HasPrefix(rest, "<![CDATA["):
		return p.cdata()
	case strings.HasPrefix(rest, "<!--"):
		return p.comment()
	}
	_, err := p.startTag()
	return err
}

// startTag reads a start tag or an empty-element tag.
func (p *parser) startTag() (*Element, *SyntaxError) {
	p.pos++ // "<"
	if p.pos < len(p.src) && (p.src[p.pos] == '!' || p.src[p.pos] == '?') {
		return nil, p.fail("document type, entity or processing instruction; none is allowed in SAML")
	}
	if p.count++; p.count > p.lim.Elements {
		return nil, p.fail(fmt.Sprintf("more than %d elements", p.lim.Elements))
	}
	if len(p.frames) >= p.lim.Depth {
		return nil, p.fail(fmt.Sprintf("nested deeper than %d", p.lim.Depth))
	}
	p.endText()
	at := p.pos
	prefix, local, err := p.name()
	if err != nil {
		return nil, err
	}
	name := p.src[at:p.pos]
	el := p.newElement()
	el.Prefix, el.Local = prefix, local
	scope := len(p.scope)
	empty, err := p.attributes(el)
	if err != nil {
		return nil, err
	}
	if err := p.resolve(el); err != nil {
		return nil, err
	}
	if len(p.frames) > 0 {
		p.nodes = append(p.nodes, Node{Element: el})
	}
	if empty {
		p.scope = p.scope[:scope]
		return el, nil
	}
	p.frames = append(p.frames, frame{el: el, name: name, nodes: len(p.nodes), scope: scope})
	return el, nil
}

// endTag closes the innermost element.
func (p *parser) endTag() *SyntaxError {
	f := &p.frames[len(p.frames)-1]
	p.pos += len("</")
	if !p.skip(f.name) {
		return p.fail("end tag does not match the start tag")
	}
	p.space()
	if !p.skip(">") {
		return p.fail("end tag does not match the start tag")
	}
	p.endText()
	f.el.Nodes = p.keepNodes(p.nodes[f.nodes:])
	p.nodes = p.nodes[:f.nodes]
	p.scope = p.scope[:f.scope]
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

// space moves past white space and reports whether there was any.
func (p *parser) space() bool {
	at := p.pos
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
	return p.pos > at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
