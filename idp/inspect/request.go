package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmltree"
)

// request holds a request against the registration of who says they sent it.
func (s *Service) request(ctx context.Context, r *Report, msg *saml.Message, in input) error {
	issuer, err := msg.ClaimedIssuer()
	if err != nil {
		return r.refuse("Issuer", err)
	}
	r.SP = issuer
	root := msg.Root
	var p *sp.Provider
	if s.Registry == nil {
		r.Unknown = true
		r.skip("Issuer", "there is no registry to ask")
		r.skip("Signature", "there is no registry to ask for certificates")
	} else if p, err = s.Registry.Lookup(ctx, issuer); errors.Is(err, idp.ErrNotFound) {
		_ = r.refuse("Issuer", idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(issuer)))
		r.skip("Signature", "nobody is registered under this Issuer")
	} else if err != nil {
		return fmt.Errorf("look up issuer: %w", err)
	} else if root, err = s.sender(r, msg, p); err != nil {
		return err
	}
	if msg.Root.Local == "LogoutRequest" {
		return s.logoutRequest(r, root, p, in)
	}
	return s.authnRequest(r, root, p, in)
}

// sender looks at the registration and the signature. It gives the element that
// may be read or, if the signature does not hold, the one that is claimed.
func (s *Service) sender(r *Report, msg *saml.Message, p *sp.Provider) (*xmltree.Element, error) {
	r.SPName = p.Name
	if !p.Active {
		_ = r.refuse("Issuer", idp.Refuse(idp.RefusedSPInactive, "Issuer", string(r.SP)))
	} else {
		r.ok("Issuer", string(r.SP))
	}
	required := p.SignRequests != idp.SignRequestsOptional || msg.Root.Local == "LogoutRequest"
	root, cert, err := msg.Verify(p.RequestCerts, required)
	switch {
	case err != nil:
		return msg.Root, r.refuse("Signature", err)
	case cert == nil:
		r.Checks = append(r.Checks, Check{Field: "Signature", Outcome: OK, Note: "none, and the registration asks for none"})
	default:
		r.Cert = &Cert{SHA256: p.CertSHA256(cert), EndAt: cert.NotAfter.UTC()}
		r.ok("Signature", "")
	}
	return root, nil
}

// header holds what every request has against place and time.
func (s *Service) header(r *Report, h saml.Header, check func(saml.Expect) error, in input, address func(idp.Year) string) error {
	if r.Year = in.year; r.Year == "" {
		r.Year = s.yearOf(h.Destination, address)
	}
	if s.Years != nil {
		if err := s.year(r); err != nil {
			return err
		}
	}
	destination := address(r.Year)
	if r.Year == "" {
		r.skip("Destination", "which year's address it was sent to is not known")
		destination = h.Destination
	} else if in.address != "" && in.address != destination && strings.Contains(in.address, "://") {
		r.Checks = append(r.Checks, Check{Field: "address", Outcome: OK, Seen: in.address, Note: "configured is " + destination + "; behind a proxy the two can be the same"})
	}
	seen := h.Destination
	if !h.HasDestination {
		seen = "none, which is allowed"
	}
	err := check(saml.Expect{Now: r.At, Issuer: h.Issuer, Destination: destination})
	var why *idp.Refusal
	if errors.As(err, &why) && why.Field != "Destination" {
		r.ok("Destination", seen)
	}
	if err != nil {
		return r.refuse("IssueInstant", err)
	}
	r.ok("Destination", seen)
	r.ok("IssueInstant", h.IssueInstant.UTC().Format("2006-01-02T15:04:05Z"))
	r.skip("ID", "whether "+h.ID+" was seen before is not asked")
	return nil
}

// year looks whether the year answers.
func (s *Service) year(r *Report) error {
	if r.Year == "" {
		entry, err := s.Years.Preferred(r.At)
		if errors.Is(err, certs.ErrNoSigner) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Year = entry.Year()
	}
	entry, ok := s.Years.Lookup(r.Year, r.At)
	switch {
	case ok && entry.State.Live():
		r.ok("year", string(r.Year)+", "+string(entry.State))
	case ok:
		r.Refused = true
		r.Checks = append(r.Checks, Check{Field: "year", Outcome: Refused, Seen: string(r.Year), Note: "this year is " + string(entry.State) + " and does not answer"})
	default:
		r.Refused = true
		r.Checks = append(r.Checks, Check{Field: "year", Outcome: Refused, Seen: string(r.Year), Note: "there is no such year"})
	}
	return nil
}

// yearOf is the year whose address a Destination names; "" for none.
func (s *Service) yearOf(destination string, address func(idp.Year) string) idp.Year {
	m := yearly.FindStringSubmatch(destination)
	if m == nil || address(idp.Year(m[1])) != destination {
		return ""
	}
	return idp.Year(m[1])
}

func (s *Service) authnRequest(r *Report, root *xmltree.Element, p *sp.Provider, in input) error {
	req, err := saml.ParseAuthnRequest(root)
	if err != nil {
		return r.refuse("AuthnRequest", err)
	}
	r.ok("AuthnRequest", "")
	if err := s.header(r, req.Header, req.Check, in, s.IdP.AuthnURL); err != nil {
		return err
	}
	record := &idp.ServiceProvider{}
	if p == nil {
		r.skip("AssertionConsumerServiceURL", "the registration is not known")
	} else {
		record = &p.ServiceProvider
		acs, err := p.ChooseACS(req.ACSURL, req.HasACSURL, req.ACSIndex, req.HasACSIndex)
		if err := r.check("AssertionConsumerServiceURL", acs, err); err != nil {
			return err
		}
		format, err := p.ChooseNameIDFormat(req.NameIDPolicy)
		if err := r.check("NameIDPolicy", format, err); err != nil {
			return err
		}
	}
	need, err := assurance.Resolve(assurance.Ask{Comparison: req.Comparison, ClassRefs: req.ClassRefs}, record)
	switch {
	case p == nil:
		r.skip("RequestedAuthnContext", "what may be asked is in the registration")
		return nil
	case err != nil:
		return r.refuse("RequestedAuthnContext", err)
	}
	r.ok("RequestedAuthnContext", strings.Join(req.ClassRefs, " "))
	r.Levels = levelsOf(need)
	return r.recipient(p)
}

// recipient looks to whom the assertion would be encrypted.
func (r *Report) recipient(p *sp.Provider) error {
	var verified *x509.Certificate
	for _, c := range p.RequestCerts {
		if r.Cert != nil && p.CertSHA256(c) == r.Cert.SHA256 {
			verified = c
		}
	}
	to, err := p.Recipient(verified)
	seen := p.Encryption
	if to != nil {
		seen += ", to " + sp.Fingerprint(to)
	}
	return r.check("encryption", seen, err)
}

func (s *Service) logoutRequest(r *Report, root *xmltree.Element, p *sp.Provider, in input) error {
	req, err := saml.ParseLogoutRequest(root)
	if err != nil {
		return r.refuse("LogoutRequest", err)
	}
	r.ok("LogoutRequest", "")
	address := s.IdP.LogoutURL
	if strings.Contains(in.address+req.Destination, "/remotelogout") {
		address = s.IdP.RemoteLogoutURL
	}
	if err := s.header(r, req.Header, req.Check, in, address); err != nil {
		return err
	}
	if req.Encrypted() {
		r.skip("EncryptedID", "it is opened only where a request arrives")
	}
	if p != nil && p.LogoutURL == "" {
		return r.refuse("", idp.Refuse(idp.RefusedNoLogoutURL, "logout_url", ""))
	}
	return nil
}

func levelsOf(need *assurance.Requirement) *Levels {
	l := &Levels{
		IAL: need.IAL.String(), AAL: need.AAL.String(), RememberedDevice: need.RememberedDevice, ClassRef: need.ClassRef,
		Attributes: []string{}, Dropped: need.Dropped, Unknown: need.Unknown, ASCII: need.ASCII,
	}
	for _, row := range assurance.Table() {
		if row.Always {
			l.Attributes = append(l.Attributes, row.Name)
		}
	}
	l.Attributes = append(l.Attributes, need.Attributes...)
	return l
}
