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

// parentNames maps elements to their parent, which templates and hand-written requests omit.
var parentNames = map[string]string{
	"AuthnContextClassRef": "RequestedAuthnContext", "AuthnContextDeclRef": "RequestedAuthnContext",
	"NameID": "Subject", "EncryptedID": "Subject", "BaseID": "Subject", "SubjectConfirmation": "Subject",
	"AudienceRestriction": "Conditions", "Audience": "AudienceRestriction", "OneTimeUse": "Conditions", "ProxyRestriction": "Conditions",
	"IDPList": "Scoping", "RequesterID": "Scoping", "IDPEntry": "IDPList",
}

// checkChildren refuses text and unknown attributes in a part of a request, elements that it may
// not contain, and repeated elements, because some readers use the first one and others the last.
func checkChildren(part string, e *xmltree.Element) error {
	if err := checkShape(e); err != nil {
		return err
	}
	for c := range e.Elements() {
		space, isKnown := allowedChildren[part][c.Local]
		isKnown = isKnown && space == c.Space
		if isRepeated := isKnown && e.Child(c.Space, c.Local) != c; isRepeated || !isKnown {
			return refuseChild(part, c, isRepeated)
		}
	}
	return nil
}

// refuseChild returns the refusal of an element in a part of a request: it is repeated, in another
// namespace, outside of its parent, or unknown. The text of the refusal has the
// placeholders {0} to {5}, and only those of the matching case are filled.
func refuseChild(part string, c *xmltree.Element, isRepeated bool) *idp.Refusal {
	args := make([]string, 6)
	namespace, isKnown := allowedChildren[part][c.Local]
	parent, hasParent := parentNames[c.Local]
	switch {
	case isRepeated:
		args[2] = c.Local
	case isKnown && namespace != c.Space:
		args[3], args[4] = c.Local, namespace
	case hasParent && parent != part && !isKnown:
		args[0], args[1] = c.Local, parent
	default:
		args[5] = c.Local
	}
	return idp.Refuse(idp.RefusedValue, part, c.Local, args...)
}
