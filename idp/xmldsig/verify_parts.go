package xmldsig

import (
	"encoding/base64"
	"slices"
	"strings"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// readExactChildren returns the child elements of e, which must be exactly these, in this order,
// of the signature namespace. The last name may end in "?" for an optional one. Software that
// searches for a SignedInfo or a Reference has been given two (CVE-2025-29774).
func readExactChildren(e *xmltree.Element, names ...string) ([]*xmltree.Element, error) {
	if err := checkNoText(e); err != nil {
		return nil, err
	}
	if err := checkAttrs(e, "Id", "URI", "Type"); err != nil {
		return nil, err
	}
	found := make([]*xmltree.Element, 0, len(names))
	for c := range e.Elements() {
		if len(found) == len(names) || !c.Is(Namespace, strings.TrimSuffix(names[len(found)], "?")) {
			return nil, idp.Refuse(idp.RefusedSignatureShape, e.Local, c.Local)
		}
		found = append(found, c)
	}
	if n := len(found); n < len(names) && !strings.HasSuffix(names[n], "?") {
		var seen []string
		for _, f := range found {
			seen = append(seen, f.Local)
		}
		return nil, idp.Refuse(idp.RefusedSignatureShape, e.Local, strings.Join(seen, ", "), names[n])
	}
	return found, nil
}

// checkNoText refuses character data in an element that may contain elements only.
func checkNoText(e *xmltree.Element) error {
	for _, n := range e.Nodes {
		if n.Element == nil && strings.Trim(n.Text, " \t\r\n") != "" {
			return idp.Refuse(idp.RefusedSignatureShape, e.Local, n.Text)
		}
	}
	return nil
}

// checkAttrs refuses attributes that are not in names.
func checkAttrs(e *xmltree.Element, names ...string) error {
	for _, a := range e.Attrs {
		if a.Space != "" || !slices.Contains(names, a.Local) {
			return idp.Refuse(idp.RefusedSignatureShape, e.Local, a.Local)
		}
	}
	return nil
}

// readBase64 returns the base64 content of an element, without white space.
func readBase64(e *xmltree.Element, limit int) (string, error) {
	text := strings.Join(strings.Fields(e.Text()), "")
	if _, err := base64.StdEncoding.Strict().DecodeString(text); err != nil || text == "" || len(text) > limit {
		return "", idp.Refuse(idp.RefusedSignatureBase64, e.Local, text).WithCause(err)
	}
	return text, nil
}

// checkIDs refuses a document in which two elements have the same identifier, under any attribute
// name, because "#ID" could then mean either.
func checkIDs(root *xmltree.Element) error {
	seen := map[string]bool{}
	for e := range root.All() {
		for _, a := range e.Attrs {
			if !strings.EqualFold(a.Local, "id") {
				continue
			}
			if seen[a.Value] {
				return idp.Refuse(idp.RefusedReference, a.Local, a.Value)
			}
			seen[a.Value] = true
		}
	}
	return nil
}
