package saml

import (
	"strconv"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// namespaceXSI is the one namespace whose attributes any element may have.
const namespaceXSI = "http://www.w3.org/2001/XMLSchema-instance"

// namespaceXML is that of xml:lang, which any element may have too. It has no other
// attribute that says anything here.
const namespaceXML = "http://www.w3.org/XML/1998/namespace"

// checkAttributes refuses attributes in a namespace. No element that we read
// has any, and libraries have taken x:Destination for Destination.
func checkAttributes(e *xmltree.Element) error {
	for _, a := range e.Attrs {
		if a.Space != "" && a.Space != namespaceXSI && a.Space != namespaceXML {
			return idp.Refuse(idp.RefusedValue, e.Local, a.Prefix+":"+a.Local)
		}
	}
	return nil
}

// checkContent refuses text in an element that holds elements only.
func checkContent(e *xmltree.Element) error {
	for _, n := range e.Nodes {
		if n.Element == nil && trim(n.Text) != "" {
			return idp.Refuse(idp.RefusedValue, e.Local, trim(n.Text))
		}
	}
	return nil
}

// checkShape refuses what no element that holds elements only has.
func checkShape(e *xmltree.Element) error {
	if err := checkAttributes(e); err != nil {
		return err
	}
	return checkContent(e)
}

// trim takes off white space as XML knows it.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// uriAttr reads an attribute that holds a URI; "" if absent or empty.
func uriAttr(e *xmltree.Element, name string) (string, error) {
	v, _ := e.Attr(name)
	v = trim(v)
	if len(v) > maxURI {
		return "", idp.Refuse(idp.RefusedValue, name, v)
	}
	return v, nil
}

// boolAttr reads an xs:boolean; false if absent. Capitals are taken: .NET writes True.
func boolAttr(e *xmltree.Element, name string) (bool, error) {
	v, ok := e.Attr(name)
	switch strings.ToLower(trim(v)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	if !ok {
		return false, nil
	}
	return false, idp.Refuse(idp.RefusedValue, name, v)
}

// indexAttr reads an xs:unsignedShort.
func indexAttr(e *xmltree.Element, name string, code idp.RefusalCode) (int, bool, error) {
	v, ok := e.Attr(name)
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(trim(v), 10, 16)
	if err != nil {
		return 0, false, idp.Refuse(code, name, v)
	}
	return int(n), true, nil
}

// isNCName reports whether s is an XML name without a colon, of ASCII: what an
// ID must be (xs:ID), and can be echoed as InResponseTo.
func isNCName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		later := c >= '0' && c <= '9' || c == '-' || c == '.'
		if !letter && (!later || i == 0) {
			return false
		}
	}
	return s != ""
}

// parseInstant reads an xs:dateTime (saml-core §1.3.3), to the nanosecond. The
// standard wants UTC with a "Z"; offsets are taken, and a time without a zone
// is taken as UTC, since «no time zone component» has been read so. The result
// is UTC.
func parseInstant(s string) (time.Time, bool) {
	s = trim(s)
	const layout = "2006-01-02T15:04:05"
	if len(s) < len(layout) || len(s) > 48 {
		return time.Time{}, false
	}
	// time.Parse alone takes single digits and a comma in places.
	date, rest := s[:len(layout)], s[len(layout):]
	for i := range len(layout) {
		digit := date[i] >= '0' && date[i] <= '9'
		if layoutDigit := layout[i] >= '0' && layout[i] <= '9'; digit != layoutDigit {
			return time.Time{}, false
		}
	}
	if fraction, ok := strings.CutPrefix(rest, "."); ok {
		zone := strings.TrimLeft(fraction, "0123456789")
		if len(zone) == len(fraction) {
			return time.Time{}, false
		}
		date += rest[:len(rest)-len(zone)]
		rest = zone
	}
	var t time.Time
	var err error
	switch {
	case rest == "" || rest == "Z":
		t, err = time.Parse(layout, date)
	case len(rest) == len("+00:00") && (rest[0] == '+' || rest[0] == '-'):
		t, err = time.Parse(layout+"-07:00", date+rest)
	default:
		return time.Time{}, false
	}
	return t.UTC(), err == nil
}
