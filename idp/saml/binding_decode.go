package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"vernal/idp"
	"vernal/idp/xmltree"
)

const (
	// maxMessage bounds a message in bytes before and after inflating. Libraries accept 10 MB,
	// which a request of 10 kB can inflate to and which takes seconds to parse
	// (CVE-2023-28119).
	maxMessage = 128 << 10
	// maxSignature is the size in bytes of a signature with a 16,384-bit RSA key.
	maxSignature = 2048
)

// decoder holds the buffers for decoding a message. An inflater alone is 40 kB.
type decoder struct {
	text    []byte // percent-decoded base64 without white space
	data    []byte // decoded from it
	xml     []byte // inflated from that
	src     bytes.Reader
	inflater io.ReadCloser
}

// decoders reduces garbage collection. A decoder carries no data between requests.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release returns d to the pool, without buffers that an unusually large message grew.
func (d *decoder) release() {
	d.src.Reset(nil)
	if cap(d.text) <= 4*maxMessage {
		decoders.Put(d)
	}
}

var (
	errPercent = errors.New("broken percent-encoding")
	errBase64  = errors.New("not base64")
	errLarge   = errors.New("too large")
	errTrailer = errors.New("bytes follow the DEFLATE stream")
)

// strictBase64 refuses data in the bits that padding leaves unused, because it would have a second
// encoding.
var strictBase64 = base64.RawStdEncoding.Strict()

// decodeBase64 decodes a parameter's value to at most limit bytes, which belong to d.
//
// It accepts the encodings of deployed software: line breaks and spaces, the two characters "\"
// "n" (or "r") of a serializer that printed a line break, missing padding, and a "+" that was not
// percent-encoded. It never reads a "+" as a space, because no encoder writes spaces into base64.
// This leniency does not affect trust: a signature covers the raw value or the XML.
func (d *decoder) decodeBase64(raw string, limit int) ([]byte, error) {
	text := d.text[:0]
	padding := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return nil, errPercent
			}
			hi, lo := parseHex(raw[i+1]), parseHex(raw[i+2])
			if hi > 15 || lo > 15 {
				return nil, errPercent
			}
			c = hi<<4 | lo
			i += 2
		}
		switch n := len(text); {
		case c == ' ', c == '\t', c == '\r', c == '\n':
		case n > 0 && text[n-1] == '\\' && (c == 'n' || c == 'r'):
			text = text[:n-1]
		case c == '=':
			padding++
		case padding > 0:
			return nil, errBase64
		default:
			text = append(text, c)
		}
	}
	d.text = text
	if padding > 2 || padding > 0 && (len(text)+padding)%4 != 0 {
		return nil, errBase64
	}
	n := strictBase64.DecodedLen(len(text))
	if n > limit {
		return nil, errLarge
	}
	if cap(d.data) < n {
		d.data = make([]byte, max(n, 1024))
	}
	n, err := strictBase64.Decode(d.data[:n], text)
	return d.data[:n], err
}

func parseHex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}

// decodeMessage decodes the raw value of SAMLRequest to a tree, and returns the hash of its
// text.
func decodeMessage(raw string) (root *xmltree.Element, hash []byte, err error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	data, err := d.decodeBase64(raw, maxMessage)
	switch {
	case errors.Is(err, errPercent):
		return nil, nil, idp.Refuse(idp.RefusedParameterInvalid, "SAMLRequest", raw).WithCause(err)
	case errors.Is(err, errLarge):
		return nil, nil, refuseTooLarge(maxMessage).WithCause(err)
	case err != nil:
		return nil, nil, idp.Refuse(idp.RefusedBase64, "SAMLRequest", raw).WithCause(err)
	case len(data) == 0:
		return nil, nil, idp.Refuse(idp.RefusedRequestMissing, "SAMLRequest", raw)
	}
	// Either binding may carry either form, because deployed software mixes them up.
	if !isXML(data) {
		if data, err = d.inflateData(data); err != nil {
			if errors.Is(err, errLarge) {
				return nil, nil, refuseTooLarge(maxMessage).WithCause(err)
			}
			return nil, nil, idp.Refuse(idp.RefusedDeflate, "SAMLRequest", raw).WithCause(err)
		}
	}
	root, err = xmltree.Parse(data, xmltree.MessageLimits())
	if err != nil {
		return nil, nil, refuseXML("SAMLRequest", data, err)
	}
	return root, idp.HashMessage(data), nil
}

// isXML reports whether the bytes are meant as XML. A DEFLATE stream may begin with "<" too,
// but is then not UTF-8. XML that is not UTF-8 is reported as such rather than as a broken
// stream.
func isXML(data []byte) bool {
	for _, start := range []string{"\xFE\xFF", "\xFF\xFE", "<\x00", "\x00<", "<?xml"} {
		if bytes.HasPrefix(data, []byte(start)) {
			return true
		}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("<")) && utf8.Valid(data)
}

// inflateData undoes DEFLATE (RFC 1951), limited to maxMessage. The result belongs to d.
func (d *decoder) inflateData(data []byte) ([]byte, error) {
	d.src.Reset(data)
	if d.inflater == nil {
		d.inflater = flate.NewReader(&d.src)
	} else if err := d.inflater.(flate.Resetter).Reset(&d.src, nil); err != nil {
		return nil, err
	}
	if d.xml == nil {
		d.xml = make([]byte, 8<<10)
	}
	n := 0
	for {
		m, err := d.inflater.Read(d.xml[n:])
		n += m
		if n > maxMessage {
			return nil, errLarge
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if n == len(d.xml) {
			d.xml = append(d.xml, make([]byte, len(d.xml))...)
		}
	}
	// The inflater reads byte by byte, so remaining bytes are not part of the stream. They are
	// refused, so that no data can be hidden there.
	if d.src.Len() > 0 {
		return nil, errTrailer
	}
	return d.xml[:n], nil
}

// refuseXML quotes the position of the error in the sender's text.
func refuseXML(field string, data []byte, err error) error {
	seen, what, at := "", "", ""
	var syntax *xmltree.SyntaxError
	if errors.As(err, &syntax) {
		from := min(max(syntax.Offset-20, 0), len(data))
		to := min(syntax.Offset+40, len(data))
		seen = strings.ToValidUTF8(string(data[from:to]), "\uFFFD")
		what, at = syntax.Problem, strconv.Itoa(syntax.Offset)
	}
	return idp.Refuse(idp.RefusedXML, field, seen, what, at).WithCause(err)
}
