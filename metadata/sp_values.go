package metadata

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/xmltree"
)

// readValidUntil reads validUntil, on any element of the document.
func (r *spReader) readValidUntil(e *xmltree.Element) {
	text, ok := e.Attr("validUntil")
	if !ok {
		return
	}
	validUntil, err := parseTime(strings.TrimSpace(text))
	if err != nil {
		r.addFault(PartValidUntil, "validUntil of %s is %q, which is not a time such as 2027-01-31T12:00:00Z. It was left out.", e.Local, text)
		return
	}
	if !validUntil.After(r.now) {
		r.addFault(PartExpiry, "%s was valid until %s. Get a newer document from the service provider.", e.Local, validUntil.Format(saml.TimeFormat))
	}
	if r.descriptor.ValidUntil.IsZero() || validUntil.Before(r.descriptor.ValidUntil) {
		r.descriptor.ValidUntil = validUntil
	}
}

// parseTime reads an xsd:dateTime. A time without a zone is UTC (saml-core §1.3.3).
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	return t.UTC(), err
}

// readBoolean reads an xsd:boolean. isKnown is false if it is absent or neither true nor false.
// .NET software writes True and False.
func (r *spReader) readBoolean(e *xmltree.Element, part Part) (value, isKnown bool) {
	text, hasValue := e.Attr(string(part))
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	if hasValue {
		r.addFault(part, "%s of %s is %q, which is neither true nor false. It was left out.", part, e.Local, text)
	}
	return false, false
}

// readLocation reads the URL of an endpoint. It returns "" and records a fault if a browser
// cannot be sent there. refusal and permission are the results of Options.CheckURL.
func (r *spReader) readLocation(e *xmltree.Element, name string, part Part) (location, refusal string, permission idp.Option) {
	text, hasValue := e.Attr(name)
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	reason := ""
	switch {
	case !hasValue:
		reason = fmt.Sprintf("it has no %s", name)
	case text == "":
		reason = fmt.Sprintf("its %s is empty", name)
	case err != nil:
		reason = fmt.Sprintf("its %s is %q, which is not a URL", name, text)
	case u.Scheme == "":
		reason = fmt.Sprintf("its %s is %q, which is relative: it must begin with https:// and the host", name, text)
	case u.Scheme != "https" && u.Scheme != "http":
		reason = fmt.Sprintf("its %s is %q, to which a browser cannot post: the scheme is %s, not https", name, text, u.Scheme)
	case u.Host == "":
		reason = fmt.Sprintf("its %s is %q, which has no host", name, text)
	case len(text) > idp.MaxURL:
		reason = fmt.Sprintf("its %s has %d characters, and only %d are allowed", name, len(text), idp.MaxURL)
	}
	if reason != "" {
		r.addFault(part, "One %s cannot be used: %s.", e.Local, reason)
		return "", "", idp.Option{}
	}
	if r.options.CheckURL != nil {
		refusal, permission = r.options.CheckURL(text)
	}
	return text, refusal, permission
}

// readName chooses the provider's display name: the name for display on pages, then that of
// its organization, preferably in English. It ignores ServiceName, which names a
// set of attributes and which libraries fill with a default text.
func (r *spReader) readName(entity, sp *xmltree.Element) {
	for _, role := range []*xmltree.Element{sp, entity} {
		for _, ext := range role.Children(namespace, "Extensions") {
			for _, ui := range ext.Children(namespaceUI, "UIInfo") {
				if r.descriptor.Name = r.preferEnglish(ui.Children(namespaceUI, "DisplayName")); r.descriptor.Name != "" {
					return
				}
			}
		}
	}
	for _, element := range []*xmltree.Element{sp, entity} {
		for _, org := range element.Children(namespace, "Organization") {
			for _, local := range []string{"OrganizationDisplayName", "OrganizationName"} {
				if r.descriptor.Name = r.preferEnglish(org.Children(namespace, local)); r.descriptor.Name == "" {
					continue
				}
				if !r.options.HasName {
					r.noteName("The name %q is that of the organization.", r.descriptor.Name)
				}
				return
			}
		}
	}
	r.descriptor.Name = r.descriptor.EntityID.DisplayName()
	if service := sp.Child(namespace, "AttributeConsumingService"); service != nil && !r.options.HasName {
		if text := r.preferEnglish(service.Children(namespace, "ServiceName")); text != "" {
			r.noteName("The metadata calls a set of attributes %q (ServiceName). That is not the provider's name, unless users know it by that name.", text)
		}
	}
}

// preferEnglish returns the first English text of localized elements, else the first, limited
// to the length and characters that a registration accepts.
func (r *spReader) preferEnglish(elements []*xmltree.Element) string {
	first := ""
	for _, e := range elements {
		text := strings.Join(strings.Fields(e.Text()), " ")
		if idp.HasControl(text) {
			r.addFault(PartName, "A %s has control characters or marks that change the direction of text, and was left out.", e.Local)
			continue
		}
		if first == "" || text != "" && isEnglish(e) {
			first = text
		}
		if text != "" && isEnglish(e) {
			break
		}
	}
	if shortName := idp.Shorten(first, idp.MaxName); shortName != first {
		if !r.options.HasName {
			r.noteName("The name %q is longer than %d characters and was shortened.", first, idp.MaxName)
		}
		return shortName
	}
	return first
}

// isEnglish reports whether xml:lang of an element is English of any country.
func isEnglish(e *xmltree.Element) bool {
	for _, a := range e.Attrs {
		if a.Space == xmltree.XMLNamespace && a.Local == "lang" {
			lang, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(a.Value)), "_", "-"), "-")
			return lang == "en" || lang == "eng"
		}
	}
	return false
}
