package saml

import (
	"strconv"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// AuthnRequest is a request to authenticate a person (saml-core §3.4.1), as far
// as we heed it.
//
// Conditions, Scoping and Extensions are read past, whatever they hold: no known
// service provider depends on them, the reference ignores them, and the limits of the
// parser bound them. AttributeConsumingServiceIndex is read past too, and so
// is an attribute without a namespace that the standard does not know. An unknown
// element is refused.
type AuthnRequest struct {
	Header
	// Where the Response shall go. Whether it may is for package sp. HasACSURL
	// is false if it is absent or empty, and HasACSIndex beside a URL.
	ACSURL      string
	HasACSURL   bool
	ACSIndex    int
	HasACSIndex bool
	// ProtocolBinding is for the log. Whatever it is, we answer by POST.
	ProtocolBinding string
	ForceAuthn      bool
	IsPassive       bool
	ProviderName    string        // "" also where it is too long
	NameIDPolicy    *NameIDPolicy // nil if absent
	// Subject is the user whom the Response must be about; nil if the request names
	// no one. It is never a reason to believe who the user is.
	Subject *Subject `json:",omitempty"`

	// Comparison is one of the four, or "" where none is given, which means
	// exact. ClassRefs are the AuthnContextClassRef values in their order.
	Comparison string
	ClassRefs  []string
	// DeclRefs are kept for the log. They are never a reason to accept: a
	// request that has nothing else is refused.
	DeclRefs []string
}

// NameIDPolicy is what the sender wishes of the NameID (saml-core §3.4.1.1). Only the
// Format decides anything: NameIDs are made at the first visit, and each provider has
// its own. So nothing is refused for the sake of the others.
type NameIDPolicy struct {
	Format, SPNameQualifier string
	AllowCreate             bool
}

// Bounds on what is kept of a request.
const (
	maxURI   = 4096 // a list of requested attributes is one URI
	maxRefs  = 32
	maxLabel = 256
)

// ParseAuthnRequest reads the fields of an AuthnRequest from an element that
// Message.Verify returned. The error is a *idp.Refusal. Known parts must have
// the form that the schema gives them and come at most once, in any order.
func ParseAuthnRequest(root *xmltree.Element) (*AuthnRequest, error) {
	if !root.Is(NamespaceProtocol, "AuthnRequest") {
		return nil, idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, "AuthnRequest")
	}
	if err := checkChildren("AuthnRequest", root); err != nil {
		return nil, err
	}
	r := &AuthnRequest{}
	if err := r.Header.readHeader(root); err != nil {
		return nil, err
	}
	if err := r.readAttributes(root); err != nil {
		return nil, err
	}
	if err := r.readNameIDPolicy(root.Child(NamespaceProtocol, "NameIDPolicy")); err != nil {
		return nil, err
	}
	if err := r.readAuthnContext(root.Child(NamespaceProtocol, "RequestedAuthnContext")); err != nil {
		return nil, err
	}
	var err error
	if r.Subject, err = readSubject(root, root.Child(NamespaceAssertion, "Subject")); err != nil {
		return nil, err
	}
	return r, nil
}

// readAttributes reads what the sign-in must be like, and where the Response shall go.
func (r *AuthnRequest) readAttributes(root *xmltree.Element) (err error) {
	if r.ForceAuthn, err = boolAttr(root, "ForceAuthn"); err != nil {
		return err
	}
	if r.IsPassive, err = boolAttr(root, "IsPassive"); err != nil {
		return err
	}
	if name, _ := root.Attr("ProviderName"); len(name) <= maxLabel {
		r.ProviderName = name
	}
	if r.ProtocolBinding, err = uriAttr(root, "ProtocolBinding"); err != nil {
		return err
	}
	if r.ACSURL, err = uriAttr(root, "AssertionConsumerServiceURL"); err != nil {
		return err
	}
	if r.HasACSURL = r.ACSURL != ""; r.HasACSURL {
		return nil // saml-core §3.4.1: an index has no place beside it, and says nothing
	}
	index, ok := root.Attr("AssertionConsumerServiceIndex")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(trimSpace(index), 10, 16)
	if err != nil {
		return idp.Refuse(idp.RefusedACSIndex, "AssertionConsumerServiceIndex", index)
	}
	r.ACSIndex, r.HasACSIndex = int(n), true
	return nil
}

func (r *AuthnRequest) readNameIDPolicy(e *xmltree.Element) (err error) {
	if e == nil {
		return nil
	}
	if err := checkShape(e); err != nil {
		return err
	}
	for c := range e.Elements() {
		return idp.Refuse(idp.RefusedValue, "NameIDPolicy", c.Local)
	}
	p := &NameIDPolicy{}
	if p.Format, err = uriAttr(e, "Format"); err != nil {
		return err
	}
	p.AllowCreate, _ = boolAttr(e, "AllowCreate")
	p.SPNameQualifier, _ = uriAttr(e, "SPNameQualifier")
	r.NameIDPolicy = p
	return nil
}

// readAuthnContext reads the RequestedAuthnContext (saml-core §3.3.2.2.1). All
// of its references count, not the last one.
func (r *AuthnRequest) readAuthnContext(e *xmltree.Element) error {
	if e == nil {
		return nil
	}
	if err := checkShape(e); err != nil {
		return err
	}
	r.Comparison, _ = e.Attr("Comparison")
	switch r.Comparison {
	case "", ComparisonExact, ComparisonMinimum, ComparisonMaximum, ComparisonBetter:
	default:
		return idp.Refuse(idp.RefusedComparison, "Comparison", r.Comparison)
	}
	for c := range e.Elements() {
		list := &r.ClassRefs
		switch {
		case c.Is(NamespaceAssertion, "AuthnContextClassRef"):
		case c.Is(NamespaceAssertion, "AuthnContextDeclRef"):
			list = &r.DeclRefs
		default:
			return refuseChild("RequestedAuthnContext", c, false)
		}
		if err := checkAttributes(c); err != nil {
			return err
		}
		ref := trimSpace(c.Text())
		if ref == "" && len(c.Nodes) == 0 {
			continue
		}
		if ref == "" || len(ref) > maxURI || len(*list) == maxRefs {
			return idp.Refuse(idp.RefusedValue, c.Local, ref)
		}
		*list = append(*list, ref)
	}
	if len(r.DeclRefs) > 0 && len(r.ClassRefs) == 0 {
		return idp.Refuse(idp.RefusedAuthnContext, "AuthnContextDeclRef", r.DeclRefs[0])
	}
	return nil
}
