package saml

import (
	"slices"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// ReadSOAP decodes the message of a SOAP request (saml-bindings §3.2): the only element of the
// Body of an Envelope. It ignores headers, except for one with mustUnderstand, which it
// refuses. The error is a *idp.Refusal.
func ReadSOAP(data []byte) (*Message, error) {
	if len(data) == 0 {
		return nil, idp.Refuse(idp.RefusedRequestMissing, "Envelope", "")
	}
	envelope, err := xmltree.Parse(data, xmltree.MessageLimits())
	if err != nil {
		return nil, refuseXML("Envelope", data, err)
	}
	if !envelope.Is(NamespaceSOAP, "Envelope") {
		return nil, idp.Refuse(idp.RefusedMessageType, "Envelope", envelope.Local, "Envelope")
	}
	if err := checkContent(envelope); err != nil {
		return nil, err
	}
	var body *xmltree.Element
	for c := range envelope.Elements() {
		switch {
		case c.Is(NamespaceSOAP, "Header") && body == nil:
			if err := checkHeaders(c); err != nil {
				return nil, err
			}
		case c.Is(NamespaceSOAP, "Body") && body == nil:
			body = c
		default:
			return nil, idp.Refuse(idp.RefusedValue, "Envelope", c.Local)
		}
	}
	root, err := extractMessage(envelope, body)
	if err != nil {
		return nil, err
	}
	return &Message{Root: root}, nil
}

// checkHeaders refuses every header with mustUnderstand, because we support none.
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
	message := *root
	message.NS = slices.Clone(root.NS)
	for _, ancestor := range []*xmltree.Element{body, envelope} {
		for _, d := range ancestor.NS {
			isKnown := slices.ContainsFunc(message.NS, func(n xmltree.NSDecl) bool { return n.Prefix == d.Prefix })
			if !isKnown {
				message.NS = append(message.NS, d)
			}
		}
	}
	return &message, nil
}
