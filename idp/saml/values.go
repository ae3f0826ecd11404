package saml

import (
	"regexp"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// namespaceXSI is, with that of xml:lang, the only namespace whose attributes any element
// may have. No other attribute of the xml namespace has a meaning here.
const namespaceXSI = "http://www.w3.org/2001/XMLSchema-instance"

// checkAttributes refuses attributes in a namespace. No element that we read has any, and
// libraries have mistaken x:Destination for Destination.
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

// checkShape refuses attributes and text that an element with only child elements may not
// have.
func checkShape(e *xmltree.Element) error {
	if err := checkAttributes(e); err != nil {
		return err
	}
	return checkContent(e)
}

// trimSpace removes white space as defined by XML.
func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// readURI reads an attribute that holds a URI. It returns "" if absent or empty.
func readURI(e *xmltree.Element, name string) (string, error) {
	v, _ := e.Attr(name)
	v = trimSpace(v)
	if len(v) > maxURI {
		return "", idp.Refuse(idp.RefusedValue, name, v)
	}
	return v, nil
}

// readBool reads an xs:boolean, or false if absent. It accepts capitals, because .NET writes
// True.
func readBool(e *xmltree.Element, name string) (bool, error) {
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

// parseInstant reads an xs:dateTime (saml-core §1.3.3), to the nanosecond, and returns it in UTC.
// The standard requires UTC with a "Z". Offsets are accepted, and a time without a zone is read as
// UTC, because some senders understand «no time zone component» so.
func parseInstant(s string) (time.Time, bool) {
	s = trimSpace(s)
	if len(s) > 48 || !instantPattern.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s+"Z")
	}
	return t.UTC(), err == nil
}

// instantPattern matches an xs:dateTime. time.Parse alone accepts single digits and a comma in
// places.
var instantPattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?$`)
