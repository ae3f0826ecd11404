package idp

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// Limits of a registration. They keep one provider from filling memory or a page, and real
// registrations stay far below them. Every parser of a registration value uses the same limit
// that the registry checks.
const (
	MaxEntityID = 1024  // bytes, saml-metadata §2.2.1
	MaxName     = 100   // characters
	MaxURL      = 2048  // bytes of a URL
	MaxList     = 50    // entries of a list
	MaxText     = 1000  // characters of a help text
	MaxContact  = 320   // characters of an email address
	MaxIndex    = 65535 // saml-metadata §2.2.3: unsignedShort
	// MinKeyBits and MaxKeyBits bound a partner's RSA key. The upper bound limits the cost
	// of verifying a signature.
	MinKeyBits = 2048
	MaxKeyBits = 8192
)

// DisplayName returns the name to show for a service provider without one: its entity ID, or
// the host in it if the ID is too long for a page.
func (id EntityID) DisplayName() string {
	if utf8.RuneCountInString(string(id)) <= MaxName {
		return string(id)
	}
	if u, err := url.Parse(string(id)); err == nil && u.Host != "" {
		return Shorten(u.Host, MaxName)
	}
	return Shorten(string(id), MaxName)
}

// Shorten limits a text to a number of characters. The last one is an ellipsis if text was
// cut.
func Shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// Clip limits a text to a number of bytes, cuts between characters and marks the cut.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// ReplaceControls replaces the characters that IsControl reports, so that external text keeps its line
// and direction.
func ReplaceControls(s string) string {
	return strings.Map(func(r rune) rune {
		if IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// IsControl reports whether a character moves a terminal's cursor, ends a line or changes the
// writing direction.
func IsControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || isDirectionMark(r)
}

// isDirectionMark reports whether a character only sets the direction of its neighbor, which is a
// normal part of how names are written.
func isDirectionMark(r rune) bool { return r == '\u061c' || r == '\u200e' || r == '\u200f' }

// HasControl reports whether a text has characters that XML cannot carry (XML 1.0 §2.2), or
// that change how the text around it is displayed.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0xfffd && r <= 0xffff || IsControl(r) && !isDirectionMark(r) })
}
