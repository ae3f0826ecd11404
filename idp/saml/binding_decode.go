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
	// maxMessage bounds a message before and after inflating. Libraries let
	// through 10 MB, which a request of 10 kB reaches and which then costs
	// seconds to parse (CVE-2023-28119).
	maxMessage = 128 << 10
	// maxSignature is that of an RSA key of 16,384 bits.
	maxSignature = 2048
)

// decoder holds what decoding a message needs and what is not kept of it; an
// inflater alone is 40 kB.
type decoder struct {
	text    []byte // percent-decoded base64 without white space
	data    []byte // decoded from it
	xml     []byte // inflated from that
	src     bytes.Reader
	inflate io.ReadCloser
}

// decoders spares the garbage collector; it carries nothing between requests.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release gives d back, without buffers that an unusual message made large.
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

// strict refuses what would decode like something else: data in the bits that
// padding leaves unused.
var strict = base64.RawStdEncoding.Strict()

// base64 decodes a parameter's value to at most limit bytes, which belong to d.
//
// It takes what deployed software sends: line breaks and spaces, the two
// characters "\" "n" (or "r") of a serializer that printed a line break, no
// padding, and a "+" that was not percent-encoded. That one means itself here
// and not a space, as no base64 has spaces that an encoder would write so. None
// of it is a question of trust: a signature covers the raw value or the XML.
func (d *decoder) base64(raw string, limit int) ([]byte, error) {
	text := d.text[:0]
	padding := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return nil, errPercent
			}
			hi, lo := hexValue(raw[i+1]), hexValue(raw[i+2])
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
	n := strict.DecodedLen(len(text))
	if n > limit {
		return nil, errLarge
	}
	if cap(d.data) < n {
		d.data = make([]byte, max(n, 1024))
	}
	n, err := strict.Decode(d.data[:n], text)
	return d.data[:n], err
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}

// decodeMessage turns the raw value of SAMLRequest into a tree, and gives the hash of its text.
func decodeMessage(raw string) (root *xmltree.Element, hash []byte, err error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	data, err := d.base64(raw, maxMessage)
	switch {
	case errors.Is(err, errPercent):
		return nil, nil, idp.Refuse(idp.RefusedParameterInvalid, "SAMLRequest", raw).With(err)
	case errors.Is(err, errLarge):
		return nil, nil, tooLarge(maxMessage).With(err)
	case err != nil:
		return nil, nil, idp.Refuse(idp.RefusedBase64, "SAMLRequest", raw).With(err)
	case len(data) == 0:
		return nil, nil, idp.Refuse(idp.RefusedRequestMissing, "SAMLRequest", raw)
	}
	// Either binding may carry either form: deployed software mixes them up.
	if !isXML(data) {
		if data, err = d.inflateData(data); err != nil {
			if errors.Is(err, errLarge) {
				return nil, nil, tooLarge(maxMessage).With(err)
			}
			return nil, nil, idp.Refuse(idp.RefusedDeflate, "SAMLRequest", raw).With(err)
		}
	}
	root, err = xmltree.Parse(data, xmltree.MessageLimits())
	if err != nil {
		return nil, nil, refuseXML("SAMLRequest", data, err)
	}
	return root, idp.HashMessage(data), nil
}

// isXML reports whether the bytes are meant as XML. A DEFLATE stream may begin
// with "<" too, but is not UTF-8 then; and XML that is not UTF-8 is told as
// such rather than as a broken stream.
func isXML(data []byte) bool {
	for _, start := range []string{"\xFE\xFF", "\xFF\xFE", "<\x00", "\x00<", "<?xml"} {
		if bytes.HasPrefix(data, []byte(start)) {
			return true
		}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("<")) && utf8.Valid(data)
}

// inflate undoes DEFLATE (RFC 1951) within maxMessage. The result belongs to d.
func (d *decoder) inflateData(data []byte) ([]byte, error) {
	d.src.Reset(data)
	if d.inflate == nil {
		d.inflate = flate.NewReader(&d.src)
	} else if err := d.inflate.(flate.Resetter).Reset(&d.src, nil); err != nil {
		return nil, err
	}
	if d.xml == nil {
		d.xml = make([]byte, 8<<10)
	}
	n := 0
	for {
		m, err := d.inflate.Read(d.xml[n:])
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
	// The inflater reads byte by byte, so what is left was not part of it.
	// Nothing may hide there.
	if d.src.Len() > 0 {
		return nil, errTrailer
	}
	return d.xml[:n], nil
}

// refuseXML shows the sender the place in their own text.
func refuseXML(field string, data []byte, err error) error {
	seen, what, at := "", "", ""
	var syntax *xmltree.SyntaxError
	if errors.As(err, &syntax) {
		from := min(max(syntax.Offset-20, 0), len(data))
		to := min(syntax.Offset+40, len(data))
		seen = strings.ToValidUTF8(string(data[from:to]), "\uFFFD")
		what, at = syntax.What, strconv.Itoa(syntax.Offset)
	}
	return idp.Refuse(idp.RefusedXML, field, seen, what, at).With(err)
}
