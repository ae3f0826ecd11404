package saml

import (
	"slices"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// ReadSOAP decodes the message of a SOAP request (saml-bindings §3.2): the only element of the
// Body of an Envelope. It ignores headers, except for one with mustUnderstand, which it
// refuses. The error is a *idp.Refusal.
func ReadSOAP(body []byte) (*Message, error) {
	if len(body) == 0 {
		return nil, idp.Refuse(idp.RefusedRequestMissing, "Envelope", "")
	}
	envelope, err := xmltree.Parse(body, xmltree.MessageLimits())
	if err != nil {
		return nil, refuseXML("Envelope", body, err)
	}
	if !envelope.Is(NamespaceSOAP, "Envelope") {
		return nil, idp.Refuse(idp.RefusedMessageType, "Envelope", envelope.Local, "Envelope")
	}
	if err := checkContent(envelope); err != nil {
		return nil, err
	}
	var inner *xmltree.Element
	for c := range envelope.Elements() {
		switch {
		case c.Is(NamespaceSOAP, "Header") && inner == nil:
			if err := checkHeaders(c); err != nil {
				return nil, err
			}
		case c.Is(NamespaceSOAP, "Body") && inner == nil:
			inner = c
		default:
			return nil, idp.Refuse(idp.RefusedValue, "Envelope", c.Local)
		}
	}
	root, err := extractMessage(envelope, inner)
	if err != nil {
		return nil, err
	}
	return &Message{Root: root}, nil
}

// checkHeaders refuses a header that we must understand.
func checkHeaders(e *xmltree.Element) error {
	for c := range e.Elements() {
		for _, a := range c.Attrs {
			if a.Space == NamespaceSOAP && a.Local == "mustUnderstand" && trimSpace(a.Value) != "0" {
				return idp.Refuse(idp.RefusedValue, "Header", c.Local)
			}
		}
	}
	return nil
}

// extractMessage returns the only element of the Body as a separate document. It copies the
// namespace declarations of Envelope and Body, because the element was signed with them.
func extractMessage(envelope, body *xmltree.Element) (*xmltree.Element, error) {
	if body == nil {
		return nil, idp.Refuse(idp.RefusedRequestMissing, "Body", "")
	}
	if err := checkContent(body); err != nil {
		return nil, err
	}
	var root *xmltree.Element
	for c := range body.Elements() {
		if root != nil {
			return nil, idp.Refuse(idp.RefusedValue, "Body", c.Local)
		}
		root = c
	}
	if root == nil {
		return nil, idp.Refuse(idp.RefusedRequestMissing, "Body", "")
	}
	own := *root
	own.NS = slices.Clone(root.NS)
	for _, outer := range []*xmltree.Element{body, envelope} {
		for _, d := range outer.NS {
			known := slices.ContainsFunc(own.NS, func(n xmltree.NSDecl) bool { return n.Prefix == d.Prefix })
			if !known {
				own.NS = append(own.NS, d)
			}
		}
	}
	return &own, nil
}
