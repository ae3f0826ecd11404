package saml

import (
	"crypto/x509"
	"strings"

	"vernal/idp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// Message is a message as it arrived. Nothing in it is verified. Only the element that Verify
// returns may be read.
type Message struct {
	Root *xmltree.Element
	// Hash is the idp.HashMessage of the message as decoded and inflated. It is
	// the same for all deliveries of one message.
	Hash []byte
	// RelayState is returned unchanged with the answer. HasRelay distinguishes an empty
	// one, which is returned too, from none.
	RelayState string
	HasRelay   bool
	// QuerySignature is the signature of the query, nil if it has none.
	QuerySignature *QuerySignature
	// Locale and Prompt are extra parameters of the reference, not validated. They are "" if
	// absent or longer than any valid value.
	Locale, Prompt string
}

// QuerySignature is a signature in the query, outside of the message, as in the HTTP-Redirect
// binding (saml-bindings §3.4.4.1).
type QuerySignature struct {
	// SignedText is the text that was signed: the values as they are in the query, still encoded,
	// in the order of the standard.
	SignedText    []byte
	SigAlg    string
	Signature []byte
}

// HTTPRequest holds the parts of an HTTP request that can carry a message.
type HTTPRequest struct {
	Method      string
	RawQuery    string
	ContentType string
	Body        []byte // of a POST, capped by the caller
}

// Read decodes the message of a request. The error is a *idp.Refusal, and
// RefusedRequestMissing if the request has no message.
func Read(in HTTPRequest) (*Message, error) {
	p, err := readParameters(in)
	if err != nil {
		return nil, err
	}
	m := &Message{}
	if err := p.readRelayState(m); err != nil {
		return nil, err
	}
	if m.QuerySignature, err = p.readQuerySignature(in.Method == "POST"); err != nil {
		return nil, err
	}
	if m.Root, m.Hash, err = decodeMessage(p.request.raw); err != nil {
		return nil, err
	}
	m.Locale = p.locale.readShortValue()
	m.Prompt = p.prompt.readShortValue()
	return m, nil
}

// ClaimedIssuer returns the entity that the message claims to be from. It may only be used to
// look up that entity's certificates.
func (m *Message) ClaimedIssuer() (idp.EntityID, error) {
	return readIssuer(m.Root)
}

// Verify checks the message's signature, embedded or detached, with the sender's certificates, and
// returns the root element of the signed part and the certificate that verified it. Only that
// element may be read, never m.Root.
//
// Without any signature, it returns RefusedSignatureMissing if one is required, and otherwise
// the message's root without a certificate. A signature that is present must verify even if
// none is required.
func (m *Message) Verify(certs []*x509.Certificate, required bool) (*xmltree.Element, *x509.Certificate, error) {
	embedded, err := xmldsig.FindSignature(m.Root)
	switch {
	case err != nil:
		return nil, nil, err
	case embedded != nil && m.QuerySignature != nil:
		return nil, nil, idp.Refuse(idp.RefusedSignatureTwice, "Signature", "ds:Signature, SigAlg")
	case embedded != nil:
		v, err := xmldsig.VerifyEnveloped(m.Root, certs)
		if err != nil {
			return nil, nil, err
		}
		return v.Element, v.Cert, nil
	case m.QuerySignature != nil:
		d := m.QuerySignature
		cert, err := xmldsig.VerifyDetached(d.SignedText, d.SigAlg, d.Signature, certs)
		if err != nil {
			return nil, nil, err
		}
		return m.Root, cert, nil
	case required:
		return nil, nil, idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")
	}
	return m.Root, nil, nil
}

// readIssuer reads the only Issuer of a message.
func readIssuer(root *xmltree.Element) (idp.EntityID, error) {
	var found *xmltree.Element
	for c := range root.Elements() {
		if !c.Is(NamespaceAssertion, "Issuer") {
			continue
		}
		if found != nil {
			return "", idp.Refuse(idp.RefusedIssuer, "Issuer", c.Text())
		}
		found = c
	}
	if found == nil {
		return "", idp.Refuse(idp.RefusedIssuer, "Issuer", "")
	}
	if err := checkAttributes(found); err != nil {
		return "", err
	}
	if format, _ := found.Attr("Format"); format != "" && format != NameIDFormatEntity && format != NameIDFormatUnspecified {
		return "", idp.Refuse(idp.RefusedIssuer, "Issuer Format", format, NameIDFormatEntity)
	}
	id := trimSpace(found.Text())
	if id == "" || len(id) > idp.MaxEntityID || strings.ContainsAny(id, "\t\r\n") {
		return "", idp.Refuse(idp.RefusedIssuer, "Issuer", id)
	}
	return idp.EntityID(id), nil
}
