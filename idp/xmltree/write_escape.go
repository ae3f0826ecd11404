package xmltree

import (
	"cmp"
	"errors"
	"strings"
	"unicode/utf8"
)

// escapeSet is the position of a text, which determines the characters to escape (xml-c14n
// §2.3, "Text Nodes" and "Attribute Nodes").
type escapeSet int

const (
	escapeText escapeSet = iota
	escapeAttr
)

// escape appends s as Canonical XML writes it. Text that is not UTF-8, or has a character that
// XML 1.0 does not allow (§2.2), is an error: dropping or replacing it would make two
// different values equal.
func (w *Writer) escape(s string, where escapeSet) {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
				w.err = errChar
				return
			}
			i += n
			continue
		}
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			w.err = errChar
			return
		}
		if e := escapeByte(c, where); e != "" {
			w.buf = append(w.buf, s[from:i]...)
			w.buf = append(w.buf, e...)
			from = i + 1
		}
		i++
	}
	w.buf = append(w.buf, s[from:]...)
}

// escapeByte returns the escape of c, or "" if it needs none.
func escapeByte(c byte, where escapeSet) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '\r':
		return "&#xD;"
	}
	if where == escapeText {
		if c == '>' {
			return "&gt;"
		}
		return ""
	}
	switch c {
	case '"':
		return "&quot;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	}
	return ""
}

// checkTag returns an error if a tag would be ill-formed, or its namespaces ambiguous.
func checkTag(prefix, space, local string, attrs []Attr) error {
	if err := checkName(prefix, space, local); err != nil {
		return err
	}
	for i := range attrs {
		a := &attrs[i]
		if a.Prefix == "" && a.Space != "" {
			return errors.New("attribute in a namespace without a prefix")
		}
		if err := checkName(a.Prefix, a.Space, a.Local); err != nil {
			return err
		}
		if a.Prefix == prefix && prefix != "" && a.Space != space {
			return errors.New("prefix with two meanings")
		}
		for j := range attrs[:i] {
			b := &attrs[j]
			if b.Local == a.Local && b.Space == a.Space {
				return errors.New("attribute twice")
			}
			if b.Prefix == a.Prefix && b.Space != a.Space {
				return errors.New("prefix with two meanings")
			}
		}
	}
	return nil
}

// checkName checks one qualified name. We author ASCII names only.
func checkName(prefix, space, local string) error {
	if !IsName(local) {
		return errors.New("not a name")
	}
	if !isPlainSpace(space) {
		return errors.New("not a plain namespace name")
	}
	if prefix == "" {
		return nil
	}
	switch {
	case !IsName(prefix), prefix == "xmlns":
		return errors.New("not a prefix")
	case space == "":
		return errors.New("prefix without a namespace")
	case (prefix == "xml") != (space == XMLNamespace):
		return errors.New("the prefix xml stands for its own namespace only")
	}
	return nil
}

// isPlainSpace reports whether a namespace name can be written without escapes. Others are
// refused although XML allows them, because libxml2 does not escape them when it
// canonicalizes.
func isPlainSpace(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7F || r == '"' || r == '&' || r == '<' || r == '>'
	})
}

// compareAttrs orders attributes by namespace, then by name. Those without a namespace come
// first.
func compareAttrs(a, b Attr) int {
	return cmp.Or(strings.Compare(a.Space, b.Space), strings.Compare(a.Local, b.Local))
}
