package templates

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
)

// Every sign-in uses the response page, and most show no other page. html/template writes it
// once per language and kind, around sentinels. After that only the values are escaped, in the
// same way as html/template. A test compares the two.

// responseKind is a variant of the page: with or without a service provider name, and with or
// without a RelayState.
type responseKind struct{ hasName, hasRelay bool }

// slot is a value's place in the page.
type slot int

const (
	slotEnd slot = iota
	slotSPName
	slotBrand
	slotNonce
	slotACS
	slotXML
	slotRelay
)

// segments is the page as pieces of HTML, each followed by its slot.
type segments []struct {
	html string
	then slot
}

// sentinels are values that no escaper changes and that occur nowhere else.
var sentinels = [...]string{
	slotSPName: "xQ1nameQx",
	slotBrand:  "xQ2brandQx",
	slotNonce:  "xQ3nonceQx",
	slotACS:    "https://xq4acsqx.invalid/",
	slotXML:    "xQ5xmlQx",
	slotRelay:  "xQ6relayQx",
}

// responseData is the page's data as html/template sees it.
type responseData struct {
	ResponsePage
	SAMLResponse string
}

// cutResponse renders the page in each kind and cuts it at the sentinels.
func cutResponse(l *language, b Branding) (map[responseKind]segments, error) {
	kinds := make(map[responseKind]segments)
	for _, k := range []responseKind{{}, {hasName: true}, {hasRelay: true}, {hasName: true, hasRelay: true}} {
		d := responseData{SAMLResponse: sentinels[slotXML]}
		d.Base = Base{Brand: sentinels[slotBrand], Nonce: sentinels[slotNonce], Branding: b}
		d.ACSURL, d.RelayState, d.HasRelay = sentinels[slotACS], sentinels[slotRelay], k.hasRelay
		if k.hasName {
			d.SPName = sentinels[slotSPName]
		}
		var page bytes.Buffer
		if err := l.writeHTML(&page, "response", d); err != nil {
			return nil, err
		}
		kinds[k] = cutSegments(page.String())
		seen := make(map[slot]int)
		for _, seg := range kinds[k] {
			seen[seg.then]++
		}
		if seen[slotACS] != 1 || seen[slotXML] != 1 || seen[slotNonce] != 1 || seen[slotRelay] > 1 || seen[slotRelay] == 1 != k.hasRelay {
			return nil, fmt.Errorf("page response: values are not where they should be")
		}
	}
	return kinds, nil
}

// prepareResponse returns the page in each kind with a branding. It is prepared once for each: an
// installation has one branding for each language.
func (l *language) prepareResponse(b Branding) (map[responseKind]segments, error) {
	if kinds, ok := l.responses.Load(b); ok {
		return kinds.(map[responseKind]segments), nil
	}
	kinds, err := cutResponse(l, b)
	if err == nil {
		l.responses.Store(b, kinds)
	}
	return kinds, err
}

// cutSegments splits page at the sentinels.
func cutSegments(page string) segments {
	var segs segments
	for {
		at, which := len(page), slotEnd
		for s, sentinel := range sentinels {
			if i := strings.Index(page, sentinel); sentinel != "" && i >= 0 && i < at {
				at, which = i, slot(s)
			}
		}
		segs = append(segs, struct {
			html string
			then slot
		}{page[:at], which})
		if which == slotEnd {
			return segs
		}
		page = page[at+len(sentinels[which]):]
	}
}

// AppendResponse appends the page that posts a Response to dst. It fails if ACSURL is not http
// or https.
//
// RelayState reaches the service provider unchanged, as far as forms allow: browsers convert
// lone carriage returns and line feeds to pairs, and bytes that are not UTF-8 to U+FFFD.
func (s *Set) AppendResponse(dst []byte, p ResponsePage) ([]byte, error) {
	if !isWebURL(p.ACSURL) {
		return nil, fmt.Errorf("response page: URL %.40q is neither http nor https", p.ACSURL)
	}
	l := s.selectLanguage(p.Lang)
	if p.Brand == "" {
		p.Brand = l.catalogue["brand"]
	}
	kinds, err := l.prepareResponse(p.Branding)
	if err != nil {
		return nil, err
	}
	for _, seg := range kinds[responseKind{p.SPName != "", p.HasRelay}] {
		dst = append(dst, seg.html...)
		switch seg.then {
		case slotSPName:
			dst = appendEscaped(dst, p.SPName)
		case slotBrand:
			dst = appendEscaped(dst, p.Brand)
		case slotNonce:
			dst = appendEscaped(dst, p.Nonce)
		case slotACS:
			dst = appendURL(dst, p.ACSURL)
		case slotXML:
			dst = appendBase64(dst, p.XML)
		case slotRelay:
			dst = appendEscaped(dst, p.RelayState)
		}
	}
	return dst, nil
}

func isWebURL(address string) bool {
	scheme, _, ok := strings.Cut(address, "://")
	return ok && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

// entities are the escapes that html/template writes in text and in quoted attributes. Line ends
// are our addition: a parser would read a raw carriage return as a line feed (HTML §13.2.3.5).
var entities = [128]string{
	0:    "\uFFFD",
	'\n': "&#10;",
	'\r': "&#13;",
	'"':  "&#34;",
	'&':  "&amp;",
	'\'': "&#39;",
	'+':  "&#43;",
	'<':  "&lt;",
	'>':  "&gt;",
}

// appendEscaped appends s as HTML text or within a quoted attribute.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] >= 128 || entities[s[i]] == "" {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, entities[s[i]]...)
		from = i + 1
	}
	return append(dst, s[from:]...)
}

// appendURL appends a web URL within a quoted attribute. It percent-encodes characters that a URL
// must not contain, and keeps existing encodings.
func appendURL(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '&' || c == '+':
			dst = append(dst, entities[c]...)
		case isAlnum(c), strings.IndexByte("-._~!#$*,/:;=?@[]", c) >= 0,
			c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// appendBase64 appends b in base64 within a quoted attribute.
func appendBase64(dst, b []byte) []byte {
	var piece [1024]byte
	for len(b) > 0 {
		n := min(len(b), len(piece)/4*3)
		base64.StdEncoding.Encode(piece[:], b[:n])
		dst = appendBase64Text(dst, piece[:base64.StdEncoding.EncodedLen(n)])
		b = b[n:]
	}
	return dst
}

// appendBase64Text escapes the one letter of the alphabet that html/template
// escapes.
func appendBase64Text(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '+')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		dst = append(dst, entities['+']...)
		text = text[i+1:]
	}
}
