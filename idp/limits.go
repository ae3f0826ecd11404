package idp

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Bounds of a registration. They keep one provider from filling memory or a
// page; none is near what a real one has. Every reader of a value for
// a registration uses the bound that the registry checks.
const (
	MaxEntityID = 1024  // bytes, saml-metadata §2.2.1
	MaxName     = 100   // characters
	MaxURL      = 2048  // bytes of a URL
	MaxList     = 50    // entries of a list
	MaxText     = 1000  // characters of a help text
	MaxContact  = 320   // characters of an email address
	MaxIndex    = 65535 // saml-metadata §2.2.3: unsignedShort
	// MinKeyBits and MaxKeyBits bound a partner's RSA key. The upper one bounds
	// what a signature costs to verify.
	MinKeyBits = 2048
	MaxKeyBits = 8192
)

// DisplayName is what a service provider without a name is called: its entity
// ID, or the host in it if it is too long for a page.
func (id EntityID) DisplayName() string {
	if utf8.RuneCountInString(string(id)) <= MaxName {
		return string(id)
	}
	if u, err := url.Parse(string(id)); err == nil && u.Host != "" {
		return Shorten(u.Host, MaxName)
	}
	return Shorten(string(id), MaxName)
}

// Shorten cuts a text to a number of characters, the last of them an ellipsis.
func Shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// Clip cuts a text to a number of bytes, at a character's edge, and marks the cut.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// OneLine keeps foreign text on its line and in its direction: what IsControl
// reports is replaced.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// IsControl reports whether a character moves a terminal's cursor, ends a line or
// has a say in the direction of writing.
func IsControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || isMark(r)
}

// isMark reports whether a character only says which direction a neighbour has,
// which is part of how names are written.
func isMark(r rune) bool { return r == '\u061c' || r == '\u200e' || r == '\u200f' }

// HasControl reports whether a text has characters that XML cannot carry (XML 1.0
// §2.2), or that change how the text around it is shown.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0xfffd && r <= 0xffff || IsControl(r) && !isMark(r) })
}
