package xmltree

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Writer writes a document, or one of its elements, in the form that exclusive
// canonicalization without comments (xml-exc-c14n §3) would result in. The output can be
// digested and sent unchanged:
//
//   - a namespace is declared where an element or attribute uses it and no
//     element around it has declared it already, the default one first, then by
//     prefix;
//   - attributes follow, by namespace and then by name;
//   - every element has an end tag, also an empty one;
//   - characters are escaped as Canonical XML has it (xml-c14n §2.3).
//
// An element written within others is also canonical on its own, as long as none of those
// around it declares a namespace that it uses. Our documents meet that condition: an Assertion
// shares no prefix with a Response.
//
// The Writer stops at the first mistake, and Bytes and Finish report it. A Writer is not safe
// for concurrent use.
type Writer struct {
	buf   []byte
	err   error
	isDone  bool     // the root has its end tag
	openElements  []openElement // elements without an end tag, the root first
	scope []NSDecl // writeDeclarations in scope, innermost last
}

// openElement is an element without its end tag.
type openElement struct {
	prefix, local string
	scopeStart         int // number of declarations before it
}

// Errors of a Writer: mistakes of the calling code, except errChar.
var (
	errChar   = errors.New("text holds a character that XML 1.0 cannot carry")
	errPosition = errors.New("text or end tag outside the root element, or a second root")
	errNoEndTag   = errors.New("an element has no end tag")
)

// NewWriter returns a Writer that appends to buf, which may be nil or contain data.
func NewWriter(buf []byte) *Writer {
	return &Writer{
		buf:   buf,
		openElements:  make([]openElement, 0, 12),
		scope: make([]NSDecl, 0, 8),
	}
}

// Start writes a start tag. The prefix is "" for the default namespace, the space "" for no
// namespace. In each Attr, Prefix and Space are both set or both empty. The order of attrs
// does not matter. The slice is sorted in place.
func (w *Writer) Start(prefix, space, local string, attrs ...Attr) {
	if w.err != nil {
		return
	}
	if w.isDone {
		w.err = errPosition
		return
	}
	if err := checkTag(prefix, space, local, attrs); err != nil {
		w.err = fmt.Errorf("element %q: %w", local, err)
		return
	}
	slices.SortFunc(attrs, compareAttrs)
	mark := len(w.scope)
	w.openElements = append(w.openElements, openElement{prefix: prefix, local: local, scopeStart: mark})
	w.buf = append(w.buf, '<')
	w.writeName(prefix, local)
	w.declare(prefix, space)
	for i := range attrs {
		if attrs[i].Prefix != "" {
			w.declare(attrs[i].Prefix, attrs[i].Space)
		}
	}
	w.writeDeclarations(mark)
	for i := range attrs {
		a := &attrs[i]
		w.buf = append(w.buf, ' ')
		w.writeName(a.Prefix, a.Local)
		w.buf = append(w.buf, '=', '"')
		w.escape(a.Value, escapeAttr)
		w.buf = append(w.buf, '"')
	}
	w.buf = append(w.buf, '>')
}

// Text writes character data.
func (w *Writer) Text(s string) {
	if w.err != nil {
		return
	}
	if len(w.openElements) == 0 {
		w.err = errPosition
		return
	}
	w.escape(s, escapeText)
}

// End writes the end tag of the innermost open element.
func (w *Writer) End() {
	if w.err != nil {
		return
	}
	if len(w.openElements) == 0 {
		w.err = errPosition
		return
	}
	last := w.openElements[len(w.openElements)-1]
	w.openElements = w.openElements[:len(w.openElements)-1]
	w.scope = w.scope[:last.scopeStart]
	w.buf = append(w.buf, '<', '/')
	w.writeName(last.prefix, last.local)
	w.buf = append(w.buf, '>')
	w.isDone = len(w.openElements) == 0
}

// Element writes an element that contains text only.
func (w *Writer) Element(prefix, space, local, text string, attrs ...Attr) {
	w.Start(prefix, space, local, attrs...)
	w.Text(text)
	w.End()
}

// Len returns the length of the buffer, the offset at which the next tag begins.
func (w *Writer) Len() int { return len(w.buf) }

// Bytes returns the buffer, including its original content. Elements may still be open. The
// Writer continues to use the same memory.
func (w *Writer) Bytes() ([]byte, error) { return w.buf, w.err }

// Resume continues with another buffer. It is for a caller that took Bytes and inserted data
// into a finished element.
func (w *Writer) Resume(buf []byte) { w.buf = buf }

// Finish returns the buffer after the root has its end tag.
func (w *Writer) Finish() ([]byte, error) {
	if w.err == nil && !w.isDone {
		w.err = errNoEndTag
	}
	return w.buf, w.err
}

// writeName writes a qualified name.
func (w *Writer) writeName(prefix, local string) {
	if prefix != "" {
		w.buf = append(w.buf, prefix...)
		w.buf = append(w.buf, ':')
	}
	w.buf = append(w.buf, local...)
}

// declare records that the current tag uses a namespace, unless the tag or an element around
// it has declared the same.
func (w *Writer) declare(prefix, uri string) {
	if prefix == "xml" {
		return
	}
	for i := len(w.scope) - 1; i >= 0; i-- {
		if w.scope[i].Prefix == prefix {
			if w.scope[i].URI == uri {
				return
			}
			w.scope = append(w.scope, NSDecl{prefix, uri})
			return
		}
	}
	if uri != "" {
		w.scope = append(w.scope, NSDecl{prefix, uri})
	}
}

// writeDeclarations writes the declarations that the current tag added, sorted.
func (w *Writer) writeDeclarations(mark int) {
	added := w.scope[mark:]
	slices.SortFunc(added, func(a, b NSDecl) int { return strings.Compare(a.Prefix, b.Prefix) })
	for _, d := range added {
		w.buf = append(w.buf, " xmlns"...)
		if d.Prefix != "" {
			w.buf = append(w.buf, ':')
			w.buf = append(w.buf, d.Prefix...)
		}
		w.buf = append(w.buf, '=', '"')
		w.buf = append(w.buf, d.URI...)
		w.buf = append(w.buf, '"')
	}
}

// Base64 writes bytes as base64 without line breaks.
func (w *Writer) Base64(b []byte) {
	if w.Text(""); w.err == nil {
		w.buf = base64.StdEncoding.AppendEncode(w.buf, b)
	}
}
