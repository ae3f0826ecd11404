package inspect

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"net/url"
	"strings"

	"vernal/idp/xmltree"
)

// content is the decoded form of a found message.
type content struct {
	// key identifies a message: its XML or, if it cannot be decoded, its value.
	key, value string
	// id is the kind and ID of a message that decodes.
	id string
	// isReadable reports whether the server can decode it, isClean whether no text is between
	// its elements. Mail programs and browsers insert such text.
	isReadable, isClean bool
}

// decodeContent decodes a message that was found, as far as Find needs it.
func decodeContent(s FoundMessage) content {
	if s.XML != "" {
		c := content{key: strings.TrimSpace(s.XML), value: s.XML}
		c.readRoot([]byte(s.XML), xmltree.MetadataLimits())
		return c
	}
	raw := cmp.Or(findMessage(s.Query), findMessage(s.URLQuery))
	doc, how := decodeLeniently(raw)
	c := content{value: normalizeValue(raw)}
	if c.key = c.value; doc == "" {
		return c
	}
	c.key = strings.TrimSpace(doc)
	c.readRoot([]byte(doc), xmltree.MessageLimits())
	c.isReadable = c.isReadable && how == ""
	return c
}

func (c *content) readRoot(doc []byte, limits xmltree.Limits) {
	root, err := xmltree.Parse(doc, limits)
	if err != nil {
		return
	}
	c.isReadable, c.isClean = true, isClean(root)
	if id, ok := root.Attr("ID"); ok {
		c.id = root.Local + " " + id
	}
}

// isClean reports whether no element with child elements contains text.
func isClean(root *xmltree.Element) bool {
	for e := range root.All() {
		inner, text := false, false
		for _, n := range e.Nodes {
			inner = inner || n.Element != nil
			text = text || n.Element == nil && strings.TrimSpace(n.Text) != ""
		}
		if inner && text {
			return false
		}
	}
	return true
}

// scoreForm ranks the forms of one message by how much information they contain.
func (c content) scoreForm(s FoundMessage) int {
	n := 0
	if c.isReadable {
		n += 100
	}
	if c.isClean {
		n += 50
	}
	for _, name := range []string{"RelayState", "SigAlg"} {
		if findParameter(s.Query, name) != "" {
			n += 2
		}
	}
	if alg, ok := decodeParameter(s.Query, "SigAlg"); ok && strings.HasPrefix(alg, "http://www.w3.org/") && !strings.ContainsAny(alg, " \n%=") {
		n += 3
	}
	if _, ok := decodeParameter(s.Query, "RelayState"); !ok && findParameter(s.Query, "RelayState") != "" {
		n -= 5 // its escapes are broken
	}
	if raw := findParameter(s.Query, "Signature"); raw != "" {
		n++
		// RSA signatures have a multiple of 64 bytes, unless they are truncated.
		if sig, err := base64.StdEncoding.DecodeString(normalizeValue(raw)); err == nil && len(sig) > 0 && len(sig)%64 == 0 {
			n += 10
		}
	}
	if s.URL != "" {
		n++
	}
	if isOurs(s) {
		n++
	}
	return n
}

// findMessage returns the raw value of the message among parameters.
func findMessage(query string) string {
	return cmp.Or(findParameter(query, "SAMLRequest"), findParameter(query, "SAMLResponse"))
}

// normalizeValue returns base64 without percent-encoding, white space and printed line breaks, in
// the standard alphabet.
func normalizeValue(raw string) string {
	if i := strings.LastIndexByte(raw, '%'); i >= 0 && i >= len(raw)-2 {
		raw = raw[:i] // cut off within an escape
	}
	for range 3 {
		plain, err := url.PathUnescape(raw)
		if err != nil {
			break
		}
		raw = plain
	}
	raw = strings.NewReplacer(`\r`, "", `\n`, "", "-", "+", "_", "/").Replace(raw)
	return strings.Join(strings.Fields(raw), "")
}

// looksEncoded reports whether a value can be base64.
func looksEncoded(value string) bool {
	const shortest = 16 // far below any message
	return len(value) >= shortest && strings.TrimLeftFunc(value, isBase64) == ""
}

func isBase64(r rune) bool {
	return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("+/=-_", r)
}

// maxInflated bounds, in bytes, the inflated size of a message. No server accepts more.
const maxInflated = 128 << 10

// These are encodings that senders use and the server does not accept.
const (
	encodingBase64URL     = "base64url"     // with - and _
	encodingTwice   = "percent_twice" // percent-encoded once too often
	encodingPlain   = "plain"         // XML that is not base64
	encodingZlib    = "zlib"          // DEFLATE with a header
	encodingGzip    = "gzip"
	encodingPadding = "base64" // base64 with a wrong end
)

// decodeLeniently decodes the raw value of a parameter in every way that software was seen to
// encode it. how is "" if the server decodes it as well. doc is "" if no way results in XML.
func decodeLeniently(raw string) (doc, how string) {
	msg, err := readForm("SAMLRequest="+raw, "")
	strict := err == nil && msg.Root != nil
	plain, err := url.PathUnescape(raw)
	if err != nil {
		plain = raw
	}
	for times := 0; strings.Contains(plain, "%") && times < 2; times++ {
		next, err := url.PathUnescape(plain)
		if err != nil {
			break
		}
		plain, how = next, encodingTwice
	}
	if strings.HasPrefix(strings.TrimSpace(plain), "<") {
		if strings.Contains(plain, "+xmlns") { // a form encodes a space as a plus sign
			if form, err := url.QueryUnescape(raw); err == nil {
				plain = form
			}
		}
		if len(plain) > maxInflated {
			plain = ""
		}
		return plain, encodingPlain
	}
	if strings.ContainsAny(plain, "-_") {
		how = encodingBase64URL
	}
	text := strings.TrimRight(normalizeValue(plain), "=")
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", ""
	}
	if !strict && how == "" {
		how = encodingPadding
	}
	for _, inflate := range []struct {
		name string
		open func(io.Reader) (io.Reader, error)
	}{
		{"", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"", func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil }},
		{encodingZlib, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		{encodingGzip, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	} {
		r, err := inflate.open(bytes.NewReader(data))
		if err != nil {
			continue
		}
		out, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
		if err != nil || len(out) > maxInflated || !bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(out, []byte("\uFEFF")), " \t\r\n"), []byte("<")) {
			continue
		}
		if strict {
			return string(out), ""
		}
		if inflate.name != "" {
			how = inflate.name
		}
		return string(out), how
	}
	return "", ""
}
