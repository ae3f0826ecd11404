package saml

import (
	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// allowedChildren lists the elements that a part of a request may contain, with their namespaces.
var allowedChildren = map[string]map[string]string{
	"AuthnRequest": {
		"Issuer": NamespaceAssertion, "Signature": xmldsig.Namespace, "Extensions": NamespaceProtocol, "Subject": NamespaceAssertion,
		"NameIDPolicy": NamespaceProtocol, "Conditions": NamespaceAssertion, "RequestedAuthnContext": NamespaceProtocol, "Scoping": NamespaceProtocol,
	},
	"LogoutRequest": {
		"Issuer": NamespaceAssertion, "Signature": xmldsig.Namespace, "Extensions": NamespaceProtocol,
		"NameID": NamespaceAssertion, "EncryptedID": NamespaceAssertion, "SessionIndex": NamespaceProtocol,
	},
	"RequestedAuthnContext": {"AuthnContextClassRef": NamespaceAssertion, "AuthnContextDeclRef": NamespaceAssertion},
}

// parentNames maps elements to their parent, which templates and hand-written requests leave out.
var parentNames = map[string]string{
	"AuthnContextClassRef": "RequestedAuthnContext", "AuthnContextDeclRef": "RequestedAuthnContext",
	"NameID": "Subject", "EncryptedID": "Subject", "BaseID": "Subject", "SubjectConfirmation": "Subject",
	"AudienceRestriction": "Conditions", "Audience": "AudienceRestriction", "OneTimeUse": "Conditions", "ProxyRestriction": "Conditions",
	"IDPList": "Scoping", "RequesterID": "Scoping", "IDPEntry": "IDPList",
}

// checkChildren refuses text and foreign attributes in a part of a request, an element that it
// may not contain, and a repeated one, because readers differ in whether the first or the last
// counts.
func checkChildren(in string, e *xmltree.Element) error {
	if err := checkShape(e); err != nil {
		return err
	}
	for c := range e.Elements() {
		space, isKnown := allowedChildren[in][c.Local]
		isKnown = isKnown && space == c.Space
		if isTwice := isKnown && e.Child(c.Space, c.Local) != c; isTwice || !isKnown {
			return refuseChild(in, c, isTwice)
		}
	}
	return nil
}

// refuseChild returns the refusal of an element in a part of a request: it is repeated, in another
// namespace, outside of its parent, or unknown. The arguments fill the places {0} to {5} of the
// text, of which one kind applies.
func refuseChild(in string, c *xmltree.Element, twice bool) *idp.Refusal {
	args := make([]string, 6)
	known, isKnown := allowedChildren[in][c.Local]
	home, hasHome := parentNames[c.Local]
	switch {
	case twice:
		args[2] = c.Local
	case isKnown && known != c.Space:
		args[3], args[4] = c.Local, known
	case hasHome && home != in && !isKnown:
		args[0], args[1] = c.Local, home
	default:
		args[5] = c.Local
	}
	return idp.Refuse(idp.RefusedValue, in, c.Local, args...)
}
