package saml

import (
	"regexp"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// namespaceXSI is the one namespace, besides that of xml:lang, whose attributes any element
// may have. The latter has no other attribute that says anything here.
const namespaceXSI = "http://www.w3.org/2001/XMLSchema-instance"

// checkAttributes refuses attributes in a namespace. No element that we read
// has any, and libraries have taken x:Destination for Destination.
func checkAttributes(e *xmltree.Element) error {
	for _, a := range e.Attrs {
		if a.Space != "" && a.Space != namespaceXSI && a.Space != xmltree.XMLNamespace {
			return idp.Refuse(idp.RefusedValue, e.Local, a.Prefix+":"+a.Local)
		}
	}
	return nil
}

// checkContent refuses text in an element that holds elements only.
func checkContent(e *xmltree.Element) error {
	for _, n := range e.Nodes {
		if n.Element == nil && trimSpace(n.Text) != "" {
			return idp.Refuse(idp.RefusedValue, e.Local, trimSpace(n.Text))
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

// trimSpace takes off white space as XML knows it.
func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// uriAttr reads an attribute that holds a URI; "" if absent or empty.
func uriAttr(e *xmltree.Element, name string) (string, error) {
	v, _ := e.Attr(name)
	v = trimSpace(v)
	if len(v) > maxURI {
		return "", idp.Refuse(idp.RefusedValue, name, v)
	}
	return v, nil
}

// boolAttr reads an xs:boolean; false if absent. Capitals are taken: .NET writes True.
func boolAttr(e *xmltree.Element, name string) (bool, error) {
	v, ok := e.Attr(name)
	switch strings.ToLower(trimSpace(v)) {
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

// parseInstant reads an xs:dateTime (saml-core §1.3.3), to the nanosecond. The
// standard wants UTC with a "Z"; offsets are taken, and a time without a zone
// is taken as UTC, since «no time zone component» has been read so. The result
// is UTC.
func parseInstant(s string) (time.Time, bool) {
	s = trimSpace(s)
	if len(s) > 48 || !instant.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s+"Z")
	}
	return t.UTC(), err == nil
}

// instant is an xs:dateTime. time.Parse alone takes single digits and a comma in places.
var instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?$`)
