package xmltree

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checkChars refuses text that is not UTF-8 or contains a character that XML 1.0 does not
// allow (§2.2).
func checkChars(data []byte) *SyntaxError {
	for i, c := range data {
		if c < ' ' && !isSpace(c) {
			return &SyntaxError{Offset: i, Problem: "a control character"}
		}
	}
	if !utf8.Valid(data) {
		return &SyntaxError{Problem: "not UTF-8"}
	}
	for _, s := range []string{"\uFFFE", "\uFFFF"} {
		if i := bytes.Index(data, []byte(s)); i >= 0 {
			return &SyntaxError{Offset: i, Problem: "a character that XML does not allow"}
		}
	}
	return nil
}

// parseText reads character data up to the next tag.
func (p *parser) parseText() *SyntaxError {
	n := strings.IndexByte(p.src[p.pos:], '<')
	if n < 0 {
		return p.fail("document ends within an element")
	}
	raw := p.src[p.pos : p.pos+n]
	if strings.Contains(raw, "]]>") {
		return p.fail("]]> in text")
	}
	s, err := p.unescape(raw, false)
	if err != nil {
		return err
	}
	if err := p.addText(s); err != nil {
		return err
	}
	p.pos += n
	return nil
}

// parseCDATA reads a CDATA section as text.
func (p *parser) parseCDATA() *SyntaxError {
	body := p.src[p.pos+len("<![CDATA["):]
	n := strings.Index(body, "]]>")
	if n < 0 {
		return p.fail("CDATA section without an end")
	}
	if n == 0 {
		return p.fail("empty CDATA section") // the round-trip validator stops at an empty section
	}
	if err := p.addText(normalizeLineEnds(body[:n])); err != nil {
		return err
	}
	p.pos += len("<![CDATA[") + n + len("]]>")
	return nil
}

// skipComment skips a comment, or refuses it if comments are not allowed.
func (p *parser) skipComment() *SyntaxError {
	if !p.lim.Comments {
		return p.fail("a comment; none is allowed in a message")
	}
	body := p.src[p.pos+len("<!--"):]
	n := strings.Index(body, "--")
	if n < 0 || !strings.HasPrefix(body[n:], "-->") {
		return p.fail("comment without a proper end")
	}
	if p.hasText {
		return p.fail("a comment beside text")
	}
	p.hasComment = true
	p.pos += len("<!--") + n + len("-->")
	return nil
}

// addText adds character data to the innermost element, merged with the node directly before
// it.
func (p *parser) addText(s string) *SyntaxError {
	if s == "" {
		return nil
	}
	if !isBlank(s) {
		if p.hasComment {
			return p.fail("a comment beside text")
		}
		p.hasText = true
	}
	last := len(p.nodes) - 1
	if last < p.frames[len(p.frames)-1].nodeStart || p.nodes[last].Element != nil {
		p.nodes = append(p.nodes, Node{Text: s})
		return nil
	}
	if p.pieces == nil {
		p.pieces = append(p.pieces, p.nodes[last].Text...)
	}
	p.pieces = append(p.pieces, s...)
	return nil
}

// endText ends a run of character data before a tag.
func (p *parser) endText() {
	p.hasComment, p.hasText = false, false
	if p.pieces != nil {
		p.nodes[len(p.nodes)-1].Text = string(p.pieces)
		p.pieces = nil
	}
}

func isBlank(s string) bool { return strings.TrimLeft(s, " \t\r\n") == "" }

// parseAttrValue reads a quoted value.
func (p *parser) parseAttrValue() (string, *SyntaxError) {
	if p.pos == len(p.src) || p.src[p.pos] != '"' && p.src[p.pos] != '\'' {
		return "", p.fail("attribute value without quotes")
	}
	quote := p.src[p.pos]
	p.pos++
	n := strings.IndexByte(p.src[p.pos:], quote)
	if n < 0 {
		return "", p.fail("attribute value without an end")
	}
	raw := p.src[p.pos : p.pos+n]
	if strings.IndexByte(raw, '<') >= 0 {
		return "", p.fail("< in an attribute value")
	}
	s, err := p.unescape(raw, true)
	if err != nil {
		return "", err
	}
	p.pos += n + 1
	return s, nil
}

// unescape resolves references and normalises line ends, and also white space in an attribute
// value. It usually returns its argument without copying.
func (p *parser) unescape(raw string, attr bool) (string, *SyntaxError) {
	special := "&\r"
	if attr {
		special = "&\r\n\t"
	}
	if strings.IndexByte(raw, '&') < 0 {
		if !attr {
			return normalizeLineEnds(raw), nil
		}
		if !strings.ContainsAny(raw, special) {
			return raw, nil
		}
	}
	var b strings.Builder
	b.Grow(len(raw))
	for {
		n := strings.IndexAny(raw, special)
		if n < 0 {
			b.WriteString(raw)
			return b.String(), nil
		}
		b.WriteString(raw[:n])
		if raw[n] != '&' {
			// "\r\n" is one line end.
			if strings.HasPrefix(raw[n:], "\r\n") {
				n++
			}
			if attr {
				b.WriteByte(' ')
			} else {
				b.WriteByte('\n')
			}
			raw = raw[n+1:]
			continue
		}
		ref, rest, ok := strings.Cut(raw[n+1:], ";")
		r, known := resolveReference(ref)
		if !ok || !known {
			return "", p.fail("an unknown entity or a bad character reference")
		}
		b.WriteRune(r)
		raw = rest
	}
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// resolveReference resolves the text between "&" and ";".
func resolveReference(ref string) (rune, bool) {
	if r, ok := entities[ref]; ok {
		return r, true
	}
	digits, ok := strings.CutPrefix(ref, "#")
	if !ok || len(digits) > 12 {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	// ParseUint accepts neither a sign nor, with an explicit base, underscores.
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || !isChar(n) {
		return 0, false
	}
	return rune(n), true
}

// isChar reports whether n is a Char of XML 1.0 §2.2.
func isChar(n uint64) bool {
	return n == '\t' || n == '\n' || n == '\r' ||
		n >= ' ' && n <= 0xD7FF || n >= 0xE000 && n <= 0xFFFD || n >= 0x10000 && n <= 0x10FFFF
}

func normalizeLineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// parseDeclaration reads an XML declaration, if present. It refuses a declared encoding other than
// UTF-8 even if the bytes are valid UTF-8, because parsers differ in which of the two they
// follow.
func (p *parser) parseDeclaration() error {
	if !strings.HasPrefix(p.src[p.pos:], "<?xml") {
		return nil
	}
	end := strings.Index(p.src[p.pos:], "?>")
	if end < 0 {
		return p.fail("XML declaration without an end")
	}
	rest := p.src[p.pos+len("<?xml") : p.pos+end]
	rest, version, ok := cutPseudoAttr(rest, "version")
	if !ok || version != "1.0" {
		return p.fail("XML version is not 1.0")
	}
	if r, encoding, ok := cutPseudoAttr(rest, "encoding"); ok {
		if !strings.EqualFold(encoding, "utf-8") {
			return p.fail("declared encoding is not UTF-8")
		}
		rest = r
	}
	if r, alone, ok := cutPseudoAttr(rest, "standalone"); ok {
		if alone != "yes" && alone != "no" {
			return p.fail("XML declaration is malformed")
		}
		rest = r
	}
	if !isBlank(rest) {
		return p.fail("XML declaration is malformed")
	}
	p.pos += end + len("?>")
	return nil
}

// cutPseudoAttr cuts « name="value"» from the front of the rest of an XML declaration.
func cutPseudoAttr(s, name string) (rest, value string, ok bool) {
	trimmed := strings.TrimLeft(s, " \t\r\n")
	if len(trimmed) == len(s) || !strings.HasPrefix(trimmed, name) {
		return s, "", false
	}
	t := strings.TrimLeft(trimmed[len(name):], " \t\r\n")
	if !strings.HasPrefix(t, "=") {
		return s, "", false
	}
	t = strings.TrimLeft(t[1:], " \t\r\n")
	if t == "" || t[0] != '"' && t[0] != '\'' {
		return s, "", false
	}
	value, rest, ok = strings.Cut(t[1:], t[:1])
	if !ok {
		return s, "", false
	}
	return rest, value, true
}
