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

// content is what a found message comes to.
type content struct {
	// key tells a message from others: its XML or, undecodable, its value.
	key, value string
	// id is the kind and ID of a message that decodes.
	id string
	// readable: the server can decode it; isClean: no text stands between its
	// elements, as marks of a mail program or a browser do.
	readable, isClean bool
}

// contentOf decodes a message that was found, as far as finding needs it.
func contentOf(s Sent) content {
	if s.XML != "" {
		c := content{key: strings.TrimSpace(s.XML), value: s.XML}
		c.readRoot([]byte(s.XML), xmltree.MetadataLimits())
		return c
	}
	raw := cmp.Or(messageValue(s.Query), messageValue(s.InURL))
	doc, how := decodeLeniently(raw)
	c := content{value: normalValue(raw)}
	if c.key = c.value; doc == "" {
		return c
	}
	c.key = strings.TrimSpace(doc)
	c.readRoot([]byte(doc), xmltree.MessageLimits())
	c.readable = c.readable && how == ""
	return c
}

// readRoot reads the root of a document.
func (c *content) readRoot(doc []byte, limits xmltree.Limits) {
	root, err := xmltree.Parse(doc, limits)
	if err != nil {
		return
	}
	c.readable, c.isClean = true, isClean(root)
	if id, ok := root.Attr("ID"); ok {
		c.id = root.Local + " " + id
	}
}

// isClean reports whether the elements around others hold no text.
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

// scoreForm orders the forms of one message by how much they say.
func (c content) scoreForm(s Sent) int {
	n := 0
	if c.readable {
		n += 100
	}
	if c.isClean {
		n += 50
	}
	for _, name := range []string{"RelayState", "SigAlg"} {
		if parameterValue(s.Query, name) != "" {
			n += 2
		}
	}
	if alg, ok := plainValue(s.Query, "SigAlg"); ok && strings.HasPrefix(alg, "http://www.w3.org/") && !strings.ContainsAny(alg, " \n%=") {
		n += 3
	}
	if _, ok := plainValue(s.Query, "RelayState"); !ok && parameterValue(s.Query, "RelayState") != "" {
		n -= 5 // its escapes are broken
	}
	if raw := parameterValue(s.Query, "Signature"); raw != "" {
		n++
		// Signatures of RSA keys have so many bytes; a cut one has others.
		if sig, err := base64.StdEncoding.DecodeString(normalValue(raw)); err == nil && len(sig) > 0 && len(sig)%64 == 0 {
			n += 10
		}
	}
	if s.Address != "" {
		n++
	}
	if isOurs(s) {
		n++
	}
	return n
}

// messageValue is the value of the message among parameters, as it stands there.
func messageValue(query string) string {
	return cmp.Or(parameterValue(query, "SAMLRequest"), parameterValue(query, "SAMLResponse"))
}

// normalValue is base64 without percent-encoding, white space and printed line
// breaks, in the standard alphabet.
func normalValue(raw string) string {
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

// looksEncoded reports whether a value may be base64 at all.
func looksEncoded(value string) bool {
	const shortest = 16 // far below any message
	return len(value) >= shortest && strings.TrimLeftFunc(value, isBase64) == ""
}

func isBase64(r rune) bool {
	return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("+/=-_", r)
}

// maxDecoded bounds, in bytes, what is inflated of a message: no server takes more.
const maxDecoded = 128 << 10

// The ways in which senders encode what the server does not take.
const (
	encodedURL     = "base64url"     // with - and _
	encodedTwice   = "percent_twice" // percent-encoded once too often
	encodedPlain   = "plain"         // XML that is not base64
	encodedZlib    = "zlib"          // DEFLATE with a header
	encodedGzip    = "gzip"
	encodedPadding = "base64" // base64 with something wrong at its end
)

// decodeLeniently decodes the raw value of a parameter in every way that software
// was seen to encode it. how is "" if the server decodes it as well; doc is "" if
// it is no XML in any way.
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
		plain, how = next, encodedTwice
	}
	if strings.HasPrefix(strings.TrimSpace(plain), "<") {
		if strings.Contains(plain, "+xmlns") { // a form writes a space so
			if form, err := url.QueryUnescape(raw); err == nil {
				plain = form
			}
		}
		if len(plain) > maxDecoded {
			plain = ""
		}
		return plain, encodedPlain
	}
	if strings.ContainsAny(plain, "-_") {
		how = encodedURL
	}
	text := strings.TrimRight(normalValue(plain), "=")
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", ""
	}
	if !strict && how == "" {
		how = encodedPadding
	}
	for _, inflate := range []struct {
		name string
		open func(io.Reader) (io.Reader, error)
	}{
		{"", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"", func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil }},
		{encodedZlib, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		{encodedGzip, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	} {
		r, err := inflate.open(bytes.NewReader(data))
		if err != nil {
			continue
		}
		out, err := io.ReadAll(io.LimitReader(r, maxDecoded+1))
		if err != nil || len(out) > maxDecoded || !bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(out, []byte("\uFEFF")), " \t\r\n"), []byte("<")) {
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
