package metadata

import (
	"net/url"
	"strings"
	"time"

	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// maxName bounds a name that is shown on every page, in characters.
const maxName = 120

// validity reads validUntil, on whatever element of the document has it.
func (r *spReader) validity(e *xmltree.Element) {
	text, ok := e.Attr("validUntil")
	if !ok {
		return
	}
	until, err := parseTime(strings.TrimSpace(text))
	switch {
	case err != nil:
		r.problem("validUntil of %s is not a time: %q.", e.Local, text)
	case !until.After(r.now):
		r.problem("%s was valid until %s. Get a newer document from the service provider.", e.Local, until.Format(saml.TimeFormat))
	case r.d.ValidUntil.IsZero() || until.Before(r.d.ValidUntil):
		r.d.ValidUntil = until
	}
}

// parseTime reads an xsd:dateTime. One without a zone is UTC (saml-core §1.3.3).
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	return t.UTC(), err
}

// boolean reads an xsd:boolean; an absent one is false.
func (r *spReader) boolean(e *xmltree.Element, name string) bool {
	text, _ := e.Attr(name)
	switch strings.TrimSpace(text) {
	case "true", "1":
		return true
	case "", "false", "0":
	default:
		r.problem("%s of %s is %q, which is neither true nor false.", name, e.Local, text)
	}
	return false
}

// location reads an address of an endpoint; "" with a problem noted if it is
// not an address that a browser can be sent to.
func (r *spReader) location(e *xmltree.Element, name string) string {
	text, _ := e.Attr(name)
	text = strings.TrimSpace(text)
	if text == "" {
		r.problem("%s has no %s.", e.Local, name)
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		r.problem("%s of %s is %q, which is not an https address.", name, e.Local, text)
		return ""
	}
	return text
}

// name finds what to call the provider: the name meant for pages, then that of
// its organization, then of its service; English before other languages.
func (r *spReader) name(entity, sp *xmltree.Element) {
	var candidates [][]*xmltree.Element
	for _, role := range []*xmltree.Element{sp, entity} {
		for _, ext := range role.Children(namespace, "Extensions") {
			for _, ui := range ext.Children(namespaceUI, "UIInfo") {
				candidates = append(candidates, ui.Children(namespaceUI, "DisplayName"))
			}
		}
	}
	for _, holder := range []*xmltree.Element{sp, entity} {
		if org := holder.Child(namespace, "Organization"); org != nil {
			candidates = append(candidates,
				org.Children(namespace, "OrganizationDisplayName"), org.Children(namespace, "OrganizationName"))
		}
	}
	if service := sp.Child(namespace, "AttributeConsumingService"); service != nil {
		candidates = append(candidates, service.Children(namespace, "ServiceName"))
	}
	for _, c := range candidates {
		if r.d.Name = preferEnglish(c); r.d.Name != "" {
			break
		}
	}
	if r.d.Name == "" {
		r.d.Name = string(r.d.EntityID)
		r.warn("The metadata has no name that people would know; the entity ID is used.")
	}
	if runes := []rune(r.d.Name); len(runes) > maxName {
		r.d.Name = string(runes[:maxName])
		r.warn("The name is longer than %d characters and was cut.", maxName)
	}
}

// preferEnglish returns the first English text of localized elements, else the
// first, with its white space in order.
func preferEnglish(elements []*xmltree.Element) string {
	first := ""
	for _, e := range elements {
		text := strings.Join(strings.Fields(e.Text()), " ")
		for _, a := range e.Attrs {
			if a.Space == xmltree.XMLNamespace && a.Local == "lang" && text != "" && strings.HasPrefix(strings.ToLower(a.Value), "en") {
				return text
			}
		}
		if first == "" {
			first = text
		}
	}
	return first
}
