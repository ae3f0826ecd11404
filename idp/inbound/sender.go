package inbound

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// LookupSender returns the registration that a message claims to be from, to look up
// certificates. It returns an inactive one together with its refusal, so that a page can name
// it.
func LookupSender(ctx context.Context, registry *sp.Registry, msg *saml.Message) (*sp.Provider, error) {
	issuer, err := msg.ClaimedIssuer()
	if err != nil {
		return nil, err
	}
	p, err := registry.Lookup(ctx, issuer)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return nil, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(issuer))
	case err != nil:
		return nil, fmt.Errorf("look up issuer: %w", err)
	}
	return p, CheckActive(p)
}

// CheckActive refuses a deactivated SP.
func CheckActive(p *sp.Provider) error {
	if !p.Active {
		return idp.Refuse(idp.RefusedSPInactive, "Issuer", string(p.EntityID))
	}
	return nil
}

// Verify returns the element that may be read and the certificate that verified it, nil for an
// unsigned message. A LogoutRequest must always be signed, an AuthnRequest if the registration
// requires it.
func Verify(msg *saml.Message, p *sp.Provider, kind Kind) (*xmltree.Element, *x509.Certificate, error) {
	return msg.Verify(p.RequestCerts, kind != AuthnRequest || p.SignRequests != idp.SignRequestsOptional)
}

// FindRequestCert returns the registered certificate that verified a stored request. The error is
// the refusal of a request whose certificate was removed since.
func FindRequestCert(p *sp.Provider, sha256 string) (*x509.Certificate, error) {
	i := slices.IndexFunc(p.RequestCerts, func(c *x509.Certificate) bool { return p.CertSHA256(c) == sha256 })
	if i < 0 {
		return nil, idp.Refuse(idp.RefusedSignature, "Signature", xmldsig.AlgorithmRSASHA256).WithCause(errors.New("the certificate that verified the request was removed"))
	}
	return p.RequestCerts[i], nil
}
