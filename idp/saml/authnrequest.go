package saml

import (
	"strconv"

	"vernal/idp"
	"vernal/idp/xmltree"
)

// AuthnRequest is a request to authenticate a user (saml-core §3.4.1), reduced to the parts
// that we use.
//
// Conditions, Scoping and Extensions are ignored, regardless of their content, because no known
// service provider depends on them, the reference ignores them, and the limits of the parser bound
// them. AttributeConsumingServiceIndex is ignored, too, and so is an attribute without a namespace
// that the standard does not know. An unknown element is refused.
type AuthnRequest struct {
	Header
	// ACSURL and ACSIndex say where the Response should be sent. Package sp decides whether it
	// may. HasACSURL is false if the URL is absent or empty. HasACSIndex is also false if the
	// request has a URL.
	ACSURL      string
	HasACSURL   bool
	ACSIndex    int
	HasACSIndex bool
	// ProtocolBinding is for the log. We always answer by POST.
	ProtocolBinding string
	ForceAuthn      bool
	IsPassive       bool
	ProviderName    string        // also "" if it is too long
	NameIDPolicy    *NameIDPolicy // nil if absent
	// Subject is the user that the Response must be about, or nil if the request names none. It
	// never proves the identity of the user.
	Subject *Subject `json:",omitempty"`

	// Comparison is one of the four values, or "" if absent, which means exact. ClassRefs are
	// the AuthnContextClassRef values in their order.
	Comparison string
	ClassRefs  []string
	// DeclRefs are kept for the log and never a reason to accept: a request with nothing else
	// is refused.
	DeclRefs []string
}

// NameIDPolicy is the sender's preference for the NameID (saml-core §3.4.1.1). Only the Format
// decides anything, because NameIDs are created at the first visit and each provider has its
// own. So no value of the other fields leads to a refusal.
type NameIDPolicy struct {
	Format, SPNameQualifier string
	AllowCreate             bool
}

// Bounds on the values that are kept of a request.
const (
	maxURI   = 4096 // a list of requested attributes is one URI
	maxRefs  = 32
	maxLabel = 256
)

// ParseAuthnRequest reads the fields of an AuthnRequest from an element that Message.Verify
// returned. The error is a *idp.Refusal. Known parts must have the form that the schema
// prescribes and occur at most once, in any order.
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

// readAttributes reads the requirements on the sign-in, and where the Response should be sent.
func (r *AuthnRequest) readAttributes(root *xmltree.Element) (err error) {
	if r.ForceAuthn, err = readBool(root, "ForceAuthn"); err != nil {
		return err
	}
	if r.IsPassive, err = readBool(root, "IsPassive"); err != nil {
		return err
	}
	if name, _ := root.Attr("ProviderName"); len(name) <= maxLabel {
		r.ProviderName = name
	}
	if r.ProtocolBinding, err = readURI(root, "ProtocolBinding"); err != nil {
		return err
	}
	if r.ACSURL, err = readURI(root, "AssertionConsumerServiceURL"); err != nil {
		return err
	}
	if r.HasACSURL = r.ACSURL != ""; r.HasACSURL {
		return nil // saml-core §3.4.1: an index beside a URL is not allowed and is ignored
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
	if p.Format, err = readURI(e, "Format"); err != nil {
		return err
	}
	p.AllowCreate, _ = readBool(e, "AllowCreate")
	p.SPNameQualifier, _ = readURI(e, "SPNameQualifier")
	r.NameIDPolicy = p
	return nil
}

// readAuthnContext reads the RequestedAuthnContext (saml-core §3.3.2.2.1). All of its
// references count, not only the last one.
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
