package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmltree"
)

// findAssertion returns the only assertion of a Response, decrypted if opened has it, or nil if
// none is readable.
func (s *Service) findAssertion(ctx context.Context, r *Report, root *xmltree.Element, opened *OpenedAssertion) (*xmltree.Element, error) {
	plain := root.Children(saml.NamespaceAssertion, "Assertion")
	sealed := root.Children(saml.NamespaceAssertion, "EncryptedAssertion")
	switch {
	case len(plain)+len(sealed) > 1:
		r.noteFault("Assertion", fmt.Sprintf("%d of them", len(plain)+len(sealed)), "our responses contain one. Software has trusted the wrong one of several")
		return nil, nil
	case len(plain) == 1:
		return plain[0], nil
	case len(sealed) == 0:
		r.noteSkipped("Assertion", "missing: no user was signed in, see Status")
		return nil, nil
	}
	seen, to := describeEncryption(sealed[0])
	c := Check{Field: "EncryptedAssertion", Outcome: OutcomeSkipped, Seen: seen}
	switch {
	case opened == nil:
		c.Note = "the private key of the service provider opens it"
		c.Suggestions = append(c.Suggestions, idp.Suggest(idp.DoInspect).WithOption(idp.OptionKey, "").WithLabel(idp.LabelOpenAssertion))
	case opened.XML == "":
		c.Note = opened.Fault
	default:
		c.Outcome = OutcomeOK
	}
	r.add(c)
	if err := s.hintRecipients(ctx, r, root, to); err != nil {
		return nil, err
	}
	if c.Outcome != OutcomeOK {
		r.Unknown = true
		return nil, nil
	}
	a, err := opened.parseWithin(root, sealed[0])
	if err != nil {
		return nil, r.noteRefused("EncryptedAssertion", err)
	}
	return a, nil
}

// hintRecipients notes which recipient the certificates of an encrypted assertion belong to,
// and whether the current registration names them.
func (s *Service) hintRecipients(ctx context.Context, r *Report, root *xmltree.Element, to []*x509.Certificate) error {
	if s.Registry == nil {
		return nil
	}
	destination, _ := root.Attr("Destination")
	p, err := s.findProvider(ctx, func(p *sp.Provider) bool { return destination != "" && slices.Contains(p.ACSURLs, destination) })
	if err != nil {
		return err
	}
	if p == nil {
		r.addHint("its Destination is no registered Assertion Consumer Service: " + destination)
		return nil
	}
	r.SP, r.SPName = p.EntityID, p.Name
	for _, c := range to {
		switch {
		case slices.ContainsFunc(p.EncryptionX509, c.Equal):
			r.addHint("this is the encryption certificate that is registered for " + string(p.EntityID))
		case slices.ContainsFunc(p.RequestCerts, c.Equal):
			why := ", which has an encryption certificate by now"
			if len(p.EncryptionX509) == 0 {
				why = ", which has no encryption certificate"
			}
			r.addHint("this is a request certificate that is registered for " + string(p.EntityID) + why)
		default:
			r.addHint("this certificate is not registered for " + string(p.EntityID) + " any more. Assertions are now encrypted to another certificate")
		}
	}
	return nil
}

// checkAssertion checks the rules that a service provider must insist on.
func (s *Service) checkAssertion(ctx context.Context, r *Report, root, a *xmltree.Element) error {
	if findEncryptedAssertion(root) != nil {
		r.XML += "\n\n" + formatXML(a)
	}
	var p *sp.Provider
	for e := range a.All() {
		var err error
		switch {
		case e.Is(saml.NamespaceAssertion, "NameID"):
			r.noteOK("NameID", e.Text())
		case e.Is(saml.NamespaceAssertion, "Audience"):
			r.SP = idp.EntityID(e.Text())
			p, err = s.lookupAudience(ctx, r)
		case e.Is(saml.NamespaceAssertion, "Conditions"):
			r.checkWindow("Conditions", e)
		case e.Is(saml.NamespaceAssertion, "SubjectConfirmationData"):
			r.checkWindow("SubjectConfirmationData", e)
		case e.Is(saml.NamespaceAssertion, "AuthnContextClassRef"):
			r.noteOK("AuthnContextClassRef", e.Text())
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
	if err := r.checkURLs(root, a, p); err != nil {
		return err
	}
	return s.showRequest(ctx, r, root)
}

// checkURLs checks the URLs of a Response against the registration.
func (r *Report) checkURLs(root, a *xmltree.Element, p *sp.Provider) error {
	check := func(field, address string) error {
		acs, err := p.ChooseACS(address, true, 0, false)
		failed := err != nil
		if err := r.noteResult(field, acs, err); err != nil {
			return err
		}
		if failed {
			r.Checks[len(r.Checks)-1].Field = field
			r.addHint(describeACS(address, p.ACSURLs)...)
		}
		return nil
	}
	if to, ok := root.Attr("Destination"); ok {
		if err := check("Destination", to); err != nil {
			return err
		}
	}
	for e := range a.All() {
		if to, ok := e.Attr("Recipient"); ok {
			if err := check("Recipient", to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) lookupAudience(ctx context.Context, r *Report) (*sp.Provider, error) {
	if s.Registry == nil {
		r.noteSkipped("Audience", "no registry available")
		return nil, nil
	}
	p, err := s.Registry.Lookup(ctx, r.SP)
	if errors.Is(err, idp.ErrNotFound) {
		return nil, r.noteRefused("Audience", idp.Refuse(idp.RefusedSPUnknown, "Audience", string(r.SP)))
	}
	if err != nil {
		return nil, err
	}
	r.SPName = p.Name
	r.noteOK("Audience", string(r.SP))
	return p, nil
}

// checkWindow checks whether the time is within NotBefore and NotOnOrAfter.
func (r *Report) checkWindow(field string, e *xmltree.Element) {
	c := Check{Field: field, Outcome: OutcomeOK}
	refuse := func(hints ...string) {
		c.Outcome, c.Note = OutcomeRefused, "not valid at "+r.AssumedAt.Format(time.RFC3339)
		c.Hints = append(c.Hints, hints...)
	}
	for _, name := range []string{"NotBefore", "NotOnOrAfter"} {
		v, ok := e.Attr(name)
		if !ok {
			continue
		}
		c.Seen += map[string]string{"NotBefore": "from " + v + " ", "NotOnOrAfter": "until " + v}[name]
		at, err := time.Parse(time.RFC3339, v)
		switch isBefore := r.AssumedAt.Before(at); {
		case err != nil:
			refuse(name + " is no time such as 2027-03-01T09:00:00Z")
		case name == "NotBefore" && isBefore:
			refuse()
			c.Suggestions = append(c.Suggestions, suggestTime(v))
		case name == "NotOnOrAfter" && !isBefore:
			refuse(fmt.Sprintf("it ended %s ago. A service provider whose clock is fast by that much refuses new assertions too", r.AssumedAt.Sub(at).Round(time.Second)))
		}
	}
	r.add(c)
}
