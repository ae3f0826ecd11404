package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// response holds a message of ours against our certificates, and against what
// the service provider that it is for must insist on.
func (s *Service) response(ctx context.Context, r *Report, msg *saml.Message) error {
	issuer, err := msg.ClaimedIssuer()
	if err != nil {
		return r.refuse("Issuer", err)
	}
	if issuer != s.IdP.EntityID() {
		r.skip("Issuer", "it is from "+string(issuer)+", not from "+string(s.IdP.EntityID()))
		r.Unknown = true
		return nil
	}
	r.ok("Issuer", string(issuer))
	code := ""
	for e := range msg.Root.All() {
		if e.Is(saml.NamespaceProtocol, "StatusCode") {
			v, _ := e.Attr("Value")
			code += v + " "
		}
	}
	r.ok("Status", code)
	if msg.Root.Local == "LogoutResponse" {
		return s.signed(r, "Signature", msg.Root)
	}
	assertion := msg.Root.Child(saml.NamespaceAssertion, "Assertion")
	switch {
	case assertion != nil:
		if err := s.signed(r, "Assertion Signature", assertion); err != nil {
			return err
		}
		return s.assertion(ctx, r, assertion)
	case msg.Root.Child(saml.NamespaceAssertion, "EncryptedAssertion") != nil:
		r.skip("EncryptedAssertion", "only the service provider can open it")
	}
	return s.signed(r, "Signature", msg.Root)
}

// signed looks for a certificate of ours that verifies the element.
func (s *Service) signed(r *Report, field string, e *xmltree.Element) error {
	if s.Years == nil {
		r.Unknown = true
		r.skip(field, "there are no certificates of ours to verify it with")
		return nil
	}
	if e.Child(xmldsig.Namespace, "Signature") == nil {
		r.skip(field, "it has none of its own")
		return nil
	}
	var ours []*x509.Certificate
	years := map[*x509.Certificate]idp.Year{}
	for _, entry := range s.Years.All(r.At) {
		if entry.Key != nil && entry.Key.Cert != nil {
			ours = append(ours, entry.Key.Cert)
			years[entry.Key.Cert] = entry.Key.Year
		}
	}
	v, err := xmldsig.VerifyEnveloped(e, ours)
	if err != nil {
		return r.refuse(field, err)
	}
	r.Year = years[v.Cert]
	r.Cert = &Cert{SHA256: sp.Fingerprint(v.Cert), EndAt: v.Cert.NotAfter.UTC()}
	r.ok(field, "by our certificate of "+string(r.Year))
	return nil
}

// assertion looks at what a service provider must insist on.
func (s *Service) assertion(ctx context.Context, r *Report, a *xmltree.Element) error {
	var p *sp.Provider
	for e := range a.All() {
		var err error
		switch {
		case e.Is(saml.NamespaceAssertion, "Audience"):
			r.SP = idp.EntityID(e.Text())
			p, err = s.audience(ctx, r)
		case e.Is(saml.NamespaceAssertion, "Conditions"):
			r.window("Conditions", e)
		case e.Is(saml.NamespaceAssertion, "SubjectConfirmationData"):
			r.window("SubjectConfirmationData", e)
		case e.Is(saml.NamespaceAssertion, "AuthnContextClassRef"):
			r.ok("AuthnContextClassRef", e.Text())
		case e.Is(saml.NamespaceAssertion, "Attribute"):
			name, _ := e.Attr("FriendlyName")
			one := Attribute{Name: name, Values: []string{}}
			for _, v := range e.Children(saml.NamespaceAssertion, "AttributeValue") {
				one.Values = append(one.Values, v.Text())
			}
			r.Attributes = append(r.Attributes, one)
		}
		if err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	for e := range a.All() {
		if to, ok := e.Attr("Recipient"); ok {
			acs, err := p.ChooseACS(to, true, 0, false)
			if err := r.check("Recipient", acs, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) audience(ctx context.Context, r *Report) (*sp.Provider, error) {
	if s.Registry == nil {
		r.skip("Audience", "there is no registry to ask")
		return nil, nil
	}
	p, err := s.Registry.Lookup(ctx, r.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, r.refuse("Audience", idp.Refuse(idp.RefusedSPUnknown, "Audience", string(r.SP)))
	}
	if err != nil {
		return nil, err
	}
	r.SPName = p.Name
	r.ok("Audience", string(r.SP))
	return p, nil
}

// window looks whether the time is within NotBefore and NotOnOrAfter.
func (r *Report) window(field string, e *xmltree.Element) {
	seen, outcome := "", OK
	if v, ok := e.Attr("NotBefore"); ok {
		seen = "from " + v + " "
		if at, err := time.Parse(time.RFC3339, v); err != nil || r.At.Before(at) {
			outcome = Refused
		}
	}
	if v, ok := e.Attr("NotOnOrAfter"); ok {
		seen += "until " + v
		if at, err := time.Parse(time.RFC3339, v); err != nil || !r.At.Before(at) {
			outcome = Refused
		}
	}
	c := Check{Field: field, Outcome: outcome, Seen: seen}
	if outcome == Refused {
		r.Refused = true
		c.Note = "not valid at " + r.At.Format(time.RFC3339)
	}
	r.Checks = append(r.Checks, c)
}
