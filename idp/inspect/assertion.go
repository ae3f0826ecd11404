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

// findAssertion returns the only assertion of a Response, or nil if it has none that is readable.
// The content of an encrypted assertion comes from openedAssertion.
func (s *Service) findAssertion(ctx context.Context, r *Report, root *xmltree.Element, openedAssertion *OpenedAssertion) (*xmltree.Element, error) {
	assertions := root.Children(saml.NamespaceAssertion, "Assertion")
	encryptedAssertions := root.Children(saml.NamespaceAssertion, "EncryptedAssertion")
	switch {
	case len(assertions)+len(encryptedAssertions) > 1:
		r.noteFault("Assertion", fmt.Sprintf("%d assertions", len(assertions)+len(encryptedAssertions)), "our Responses contain exactly one. Software that finds several may trust a forged one")
		return nil, nil
	case len(assertions) == 1:
		return assertions[0], nil
	case len(encryptedAssertions) == 0:
		r.noteSkipped("Assertion", "the Response has no assertion, because no user was signed in: see Status")
		return nil, nil
	}
	seen, recipients := describeEncryption(encryptedAssertions[0])
	c := Check{Field: "EncryptedAssertion", Outcome: OutcomeSkipped, Seen: seen}
	switch {
	case openedAssertion == nil:
		c.Note = "the private key of the service provider is required to decrypt it"
		c.Suggestions = append(c.Suggestions, idp.Suggest(idp.DoInspect).WithOption(idp.OptionKey, "").WithLabel(idp.LabelOpenAssertion))
	case openedAssertion.XML == "":
		c.Note = openedAssertion.Fault
	default:
		c.Outcome = OutcomeOK
	}
	r.add(c)
	if err := s.hintRecipients(ctx, r, root, recipients); err != nil {
		return nil, err
	}
	if c.Outcome != OutcomeOK {
		r.Unknown = true
		return nil, nil
	}
	assertion, err := openedAssertion.parseWithin(root, encryptedAssertions[0])
	if err != nil {
		return nil, r.noteRefused("EncryptedAssertion", err)
	}
	return assertion, nil
}

// hintRecipients notes the owners of the certificates that an assertion is encrypted to, and
// whether the current registration has these certificates.
func (s *Service) hintRecipients(ctx context.Context, r *Report, root *xmltree.Element, recipients []*x509.Certificate) error {
	if s.Registry == nil {
		return nil
	}
	destination, _ := root.Attr("Destination")
	p, err := s.findProvider(ctx, func(p *sp.Provider) bool { return destination != "" && slices.Contains(p.ACSURLs, destination) })
	if err != nil {
		return err
	}
	if p == nil {
		r.addHint("its Destination is not a registered Assertion Consumer Service URL: " + destination)
		return nil
	}
	r.SP, r.SPName = p.EntityID, p.Name
	for _, c := range recipients {
		switch {
		case slices.ContainsFunc(p.EncryptionX509, c.Equal):
			r.addHint("this is the encryption certificate that is registered for " + string(p.EntityID))
		case slices.ContainsFunc(p.RequestCerts, c.Equal):
			state := ", which now has an encryption certificate"
			if len(p.EncryptionX509) == 0 {
				state = ", which has no encryption certificate"
			}
			r.addHint("this is a request certificate that is registered for " + string(p.EntityID) + state)
		default:
			r.addHint("this certificate is no longer registered for " + string(p.EntityID) + ". Assertions are now encrypted to another certificate")
		}
	}
	return nil
}

// checkAssertion checks the rules that a service provider must check.
func (s *Service) checkAssertion(ctx context.Context, r *Report, root, assertion *xmltree.Element) error {
	if findEncryptedAssertion(root) != nil {
		r.XML += "\n\n" + formatXML(assertion)
	}
	var p *sp.Provider
	for element := range assertion.All() {
		var err error
		switch {
		case element.Is(saml.NamespaceAssertion, "NameID"):
			r.noteOK("NameID", element.Text())
		case element.Is(saml.NamespaceAssertion, "Audience"):
			r.SP = idp.EntityID(element.Text())
			p, err = s.lookupAudience(ctx, r)
		case element.Is(saml.NamespaceAssertion, "Conditions"):
			r.checkWindow("Conditions", element)
		case element.Is(saml.NamespaceAssertion, "SubjectConfirmationData"):
			r.checkWindow("SubjectConfirmationData", element)
		case element.Is(saml.NamespaceAssertion, "AuthnContextClassRef"):
			r.noteOK("AuthnContextClassRef", element.Text())
		case element.Is(saml.NamespaceAssertion, "Attribute"):
			name, _ := element.Attr("FriendlyName")
			attribute := Attribute{Name: name, Values: []string{}}
			for _, v := range element.Children(saml.NamespaceAssertion, "AttributeValue") {
				attribute.Values = append(attribute.Values, v.Text())
			}
			r.Attributes = append(r.Attributes, attribute)
		}
		if err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	if err := r.checkURLs(root, assertion, p); err != nil {
		return err
	}
	return s.showRequest(ctx, r, root)
}

// checkURLs checks the URLs of a Response against the registration.
func (r *Report) checkURLs(root, a *xmltree.Element, p *sp.Provider) error {
	check := func(field, rawURL string) error {
		acs, err := p.ChooseACS(rawURL, true, 0, false)
		isRefused := err != nil
		if err := r.noteResult(field, acs, err); err != nil {
			return err
		}
		if isRefused {
			r.Checks[len(r.Checks)-1].Field = field
			r.addHint(describeACS(rawURL, p.ACSURLs)...)
		}
		return nil
	}
	if destination, ok := root.Attr("Destination"); ok {
		if err := check("Destination", destination); err != nil {
			return err
		}
	}
	for e := range a.All() {
		if recipient, ok := e.Attr("Recipient"); ok {
			if err := check("Recipient", recipient); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) lookupAudience(ctx context.Context, r *Report) (*sp.Provider, error) {
	if s.Registry == nil {
		r.noteSkipped("Audience", "no registry is available")
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
		limitAt, err := time.Parse(time.RFC3339, v)
		switch isBefore := r.AssumedAt.Before(limitAt); {
		case err != nil:
			refuse(name + " is not a time in the form 2027-03-01T09:00:00Z")
		case name == "NotBefore" && isBefore:
			refuse()
			c.Suggestions = append(c.Suggestions, suggestTime(v))
		case name == "NotOnOrAfter" && !isBefore:
			refuse(fmt.Sprintf("it ended %s ago. A service provider whose clock is fast by that much also refuses new assertions", r.AssumedAt.Sub(limitAt).Round(time.Second)))
		}
	}
	r.add(c)
}
