package inspect

import (
	"context"
	"crypto/x509"
	"iter"
	"slices"

	"vernal/idp/sp"
	"vernal/idp/xmltree"
)

// recipientHints say whose the certificates are that an assertion is encrypted
// to, and whether that is what the registration says today.
func (s *Service) recipientHints(ctx context.Context, r *Report, root *xmltree.Element, to iter.Seq[*x509.Certificate]) error {
	if s.Registry == nil {
		return nil
	}
	destination, _ := root.Attr("Destination")
	p, err := s.byACS(ctx, destination)
	if err != nil {
		return err
	}
	if p == nil {
		r.hint("its Destination is nobody's Assertion Consumer Service: " + destination)
		return nil
	}
	r.SP, r.SPName = p.EntityID, p.Name
	for c := range to {
		switch {
		case slices.ContainsFunc(p.EncryptionX509, c.Equal):
			r.hint("this is the encryption certificate that is registered for " + string(p.EntityID))
		case slices.ContainsFunc(p.RequestCerts, c.Equal):
			r.hint("this is a request certificate that is registered for " + string(p.EntityID) + usedBecause(p))
		default:
			r.hint("this certificate is not registered for " + string(p.EntityID) + " any more; now it would be encrypted to another one")
		}
	}
	return nil
}

func usedBecause(p *sp.Provider) string {
	if len(p.EncryptionX509) == 0 {
		return ", which has no encryption certificate"
	}
	return ", which has an encryption certificate by now"
}
