package assurance

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// asciiForms contains letters that no decomposition converts to ASCII.
var asciiForms = map[rune]string{
	'Æ': "AE", 'æ': "ae", 'Œ': "OE", 'œ': "oe", 'Ø': "O", 'ø': "o", 'ß': "ss", 'ẞ': "SS",
	'Ð': "D", 'ð': "d", 'Đ': "D", 'đ': "d", 'Þ': "Th", 'þ': "th", 'Ł': "L", 'ł': "l",
	'Ħ': "H", 'ħ': "h", 'ı': "i", 'ĸ': "k", 'Ŋ': "NG", 'ŋ': "ng", 'Ŧ': "T", 'ŧ': "t", 'ſ': "s",
	'‘': "'", '’': "'", 'ʼ': "'", 'ʻ': "'", '“': `"`, '”': `"`, '‐': "-", '‑': "-", '–': "-", '—': "-",
}

// convertToASCII converts a name or a postal address to ASCII: letters without their marks, and "?"
// for characters without such a form, as the reference implementation does.
func convertToASCII(s string) string {
	var out strings.Builder
	// Compose first, so that a mark on a letter without an ASCII form does not add a
	// second "?".
	for _, r := range norm.NFC.String(s) {
		if r < utf8.RuneSelf {
			out.WriteRune(r)
			continue
		}
		if text, ok := asciiForms[r]; ok {
			out.WriteString(text)
			continue
		}
		before := out.Len()
		for _, part := range norm.NFKD.String(string(r)) {
			if part < utf8.RuneSelf {
				out.WriteRune(part)
			} else {
				out.WriteString(asciiForms[part])
			}
		}
		if out.Len() == before && !isMark(r) {
			out.WriteByte('?')
		}
	}
	return out.String()
}

// isMark reports whether a rune only modifies a letter.
func isMark(r rune) bool { return norm.NFD.PropertiesString(string(r)).CCC() != 0 }
