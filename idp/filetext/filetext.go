// Package filetext reads files that operators receive from others: it names the kind of a
// file, and converts its text to UTF-8, whatever program saved it.
//
// It is for files that an operator provides. A protocol message is refused unless it is UTF-8,
// because two readers that guess its encoding differently read two messages.
package filetext

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// Kind is the kind of a file, determined by its content.
type Kind string

// The kinds that KindOf distinguishes.
const (
	Empty    Kind = "empty"
	Gzip     Kind = "gzip"
	Zip      Kind = "zip"
	PDF      Kind = "pdf"
	Keystore Kind = "keystore" // of Java
	DER      Kind = "der"      // of any structure
	PEM      Kind = "pem"
	HTML     Kind = "html"
	JSON     Kind = "json"
	XML      Kind = "xml"
	Text     Kind = "text"   // any other text
	Binary   Kind = "binary" // anything else
)

var magicNumbers = []struct {
	prefix string
	kind   Kind
}{
	{"\x1f\x8b", Gzip},
	{"PK\x03\x04", Zip},
	{"%PDF-", PDF},
	{"\xfe\xed\xfe\xed", Keystore},
	{"\xce\xce\xce\xce", Keystore},
}

// DetectKind returns the kind of a file. It decodes a text first.
func DetectKind(data []byte) Kind {
	for _, m := range magicNumbers {
		if bytes.HasPrefix(data, []byte(m.prefix)) {
			return m.kind
		}
	}
	if isDER(data) {
		return DER
	}
	text, err := Decode(data)
	if err != nil {
		return Binary
	}
	head := bytes.TrimSpace(text)
	switch {
	case len(head) == 0:
		return Empty
	case isHTML(head):
		return HTML
	case head[0] == '<':
		return XML
	case bytes.Contains(head, []byte("-----BEGIN ")):
		return PEM
	case json.Valid(head) && strings.IndexByte(`{["`, head[0]) >= 0:
		return JSON
	case bytes.IndexByte(head, 0) >= 0:
		return Binary
	}
	return Text
}

// isDER reports whether data begins with a DER SEQUENCE. No text begins like a SEQUENCE of 128
// bytes or more. A shorter one must have exactly this length and contain a byte that text does not.
func isDER(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	return data[1] >= 0x80 || int(data[1])+2 == len(data) && bytes.ContainsFunc(data, func(c rune) bool { return c < '\t' })
}

var htmlPattern = regexp.MustCompile(`(?i)^(<\?xml[^>]*>|<!--[^>]*-->|\s)*(<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])`)

func isHTML(text []byte) bool { return htmlPattern.Match(text[:min(len(text), 4096)]) }

// Article returns the kind for use in a sentence: "an HTML page".
func (k Kind) Article() string { return cmp.Or(articles[k], "binary data") }

var articles = map[Kind]string{
	Empty: "empty", Text: "text",
	Gzip: "compressed with gzip", Zip: "a ZIP archive", PDF: "a PDF document", Keystore: "a Java keystore",
	DER:  "binary DER, such as a certificate",
	PEM:  "PEM, such as a certificate",
	HTML: "an HTML page, such as a sign-in page or an error page",
	JSON: "JSON, such as the error of an API",
	XML:  "an XML document",
}

// EncodingError reports a text in an unknown encoding.
type EncodingError struct {
	// Declared is the encoding that the text declares, or "".
	Declared string
	// Offset is the position of the first byte that is not UTF-8.
	Offset int
}

func (e *EncodingError) Error() string {
	if e.Declared != "" {
		return fmt.Sprintf("it declares the encoding %q, which is not read here; save it as UTF-8", e.Declared)
	}
	return fmt.Sprintf("byte %d is not UTF-8, and the text declares no other encoding; save it as UTF-8", e.Offset)
}

// charsets lists the single-byte encodings that an XML declaration may name. Each is decoded
// as the superset that Windows programs mean by it.
var charsets = map[string]encoding.Encoding{
	"iso-8859-1": charmap.Windows1252, "iso8859-1": charmap.Windows1252, "latin1": charmap.Windows1252,
	"windows-1252": charmap.Windows1252, "cp1252": charmap.Windows1252,
	"iso-8859-15": charmap.ISO8859_15, "us-ascii": charmap.Windows1252, "ascii": charmap.Windows1252,
}

var declarationPattern = regexp.MustCompile(`^\s*<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,40})["'][^>]*\?>`)

// Decode returns a text as UTF-8 without a byte order mark. It recognizes UTF-16 by its mark
// or its zero bytes, and a single-byte encoding by the XML declaration. Valid UTF-8 is read as
// UTF-8 whatever it declares: text in another encoding is valid UTF-8 only if it is ASCII, and
// then both mean the same. The error is an *EncodingError.
func Decode(data []byte) ([]byte, error) {
	if order := detectUTF16Order(data); order != nil {
		return decodeUTF16(data, order)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if utf8.Valid(data) {
		return data, nil
	}
	fault := &EncodingError{Offset: findInvalidByte(data)}
	if m := declarationPattern.FindSubmatch(data[:min(len(data), 1024)]); m != nil {
		if set := charsets[strings.ToLower(string(m[1]))]; set != nil {
			return set.NewDecoder().Bytes(data)
		}
		if !strings.EqualFold(string(m[1]), "utf-8") {
			fault.Declared = string(m[1])
		}
	}
	return nil, fault
}

func findInvalidByte(data []byte) int {
	for i, r := range string(data) {
		if r == utf8.RuneError && !bytes.HasPrefix(data[i:], []byte("\uFFFD")) {
			return i
		}
	}
	return len(data)
}

// detectUTF16Order returns the byte order of UTF-16, or nil for other text.
func detectUTF16Order(data []byte) binary.ByteOrder {
	switch {
	case len(data) < 4:
		return nil
	case data[0] == 0xff && data[1] == 0xfe && (data[2] != 0 || data[3] != 0):
		return binary.LittleEndian
	case data[0] == 0xfe && data[1] == 0xff:
		return binary.BigEndian
	case data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0:
		return binary.LittleEndian
	case data[0] == 0 && data[1] != 0 && data[2] == 0 && data[3] != 0:
		return binary.BigEndian
	}
	return nil
}

// decodeUTF16 ignores an incomplete character at the end, because byte-oriented tools append one.
func decodeUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	out := make([]byte, 0, len(data))
	for i, r := range utf16.Decode(units) {
		if r == '\ufeff' && i == 0 {
			continue
		}
		if r == utf8.RuneError {
			return nil, &EncodingError{Declared: "UTF-16, damaged"}
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

// ExtractDocument returns an XML document as UTF-8, beginning with its root. It removes white space, a
// declaration, comments and processing instructions, which SAML parsers refuse. skipped is the
// number of lines removed at the beginning. The error is an *EncodingError.
func ExtractDocument(data []byte) (doc []byte, skipped int, err error) {
	text, err := Decode(data)
	if err != nil {
		return nil, 0, err
	}
	doc = bytes.TrimLeft(text, " \t\r\n")
	if m := declarationPattern.FindSubmatch(doc[:min(len(doc), 1024)]); m != nil {
		name := strings.ToLower(string(m[1]))
		if charsets[name] == nil && name != "utf-8" && !strings.HasPrefix(name, "utf-16") && bytes.ContainsFunc(doc, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return nil, 0, &EncodingError{Declared: string(m[1])}
		}
	}
	// A declaration, a stylesheet and a comment are for other software.
	for rest, ok := cutProlog(doc); ok; rest, ok = cutProlog(doc) {
		doc = bytes.TrimLeft(rest, " \t\r\n")
	}
	return doc, bytes.Count(text[:len(text)-len(doc)], []byte("\n")), nil
}

// cutProlog removes a processing instruction or a comment from the front.
func cutProlog(doc []byte) (rest []byte, ok bool) {
	for start, end := range map[string]string{"<?": "?>", "<!--": "-->"} {
		if body, found := bytes.CutPrefix(doc, []byte(start)); found {
			_, rest, ok = bytes.Cut(body, []byte(end))
			return rest, ok
		}
	}
	return nil, false
}
