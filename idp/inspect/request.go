package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"strings"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/suggest"
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
		if err := s.stranger(ctx, r); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("look up issuer: %w", err)
	} else if root, err = s.sender(ctx, r, msg, p, in); err != nil {
		return err
	}
	if msg.Root.Local == "LogoutRequest" {
		return s.logoutRequest(ctx, r, root, p, in)
	}
	return s.authnRequest(ctx, r, root, msg.Hash, p, in)
}

// stranger notes an Issuer that nobody has, and the one that may be meant.
func (s *Service) stranger(ctx context.Context, r *Report) error {
	_ = r.refuse("Issuer", idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(r.SP)))
	all, err := s.Registry.All(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range all[:min(len(all), maxTried)] {
		ids = append(ids, string(p.EntityID))
	}
	near := suggest.Nearest(string(r.SP), ids, math.MaxInt)
	if near != "" && resembles(string(r.SP), near) {
		r.hint("against " + near + ", which is registered: " + difference(string(r.SP), near))
	}
	r.skip("Signature", "nobody is registered under this Issuer")
	return nil
}

// sender looks at the registration and the signature. It gives the element that
// may be read or, if the signature does not hold, the one that is claimed.
func (s *Service) sender(ctx context.Context, r *Report, msg *saml.Message, p *sp.Provider, in input) (*xmltree.Element, error) {
	r.SPName = p.Name
	if !p.Active {
		_ = r.refuse("Issuer", idp.Refuse(idp.RefusedSPInactive, "Issuer", string(r.SP)))
	} else {
		r.ok("Issuer", string(r.SP))
	}
	if in.unsigned {
		r.skip("Signature", "it cannot be looked at without its parameters, see above")
		return msg.Root, nil
	}
	// Sign-outs are signed always: by where it was sent to, as the server decides it.
	isLogout := in.endpoint == "" && msg.Root.Local == "LogoutRequest" || in.endpoint != "" && in.endpoint != "auth"
	required := p.SignRequests != idp.SignRequestsOptional || isLogout
	root, cert, err := msg.Verify(p.RequestCerts, required)
	var lost string // how the query was encoded, if that was found out
	if err != nil && in.rebuilt {
		if lost, cert = rebuiltSigner(msg.Detached, p.RequestCerts); cert != nil {
			root, err = msg.Root, nil
		}
	}
	var why *idp.Refusal
	switch {
	case err != nil && in.reformatted && errors.As(err, &why) && (why.Code == idp.RefusedDigest || why.Code == idp.RefusedSignature):
		r.Unknown = true
		r.skip("Signature", "the text was copied from a browser's view of XML, which changes the white space that the signature covers")
		return msg.Root, nil
	case err != nil:
		found, broken := s.signatureHints(ctx, msg, p, r.At, err)
		if broken != nil {
			return nil, broken
		}
		if err := r.refuse("Signature", err); err != nil {
			return nil, err
		}
		r.advise(found)
		return msg.Root, nil
	case cert == nil:
		r.Checks = append(r.Checks, Check{Field: "Signature", Outcome: OK, Note: "none, and the registration asks for none"})
		return root, nil
	}
	r.Cert = &Cert{SHA256: p.CertSHA256(cert), EndAt: cert.NotAfter.UTC()}
	r.ok("Signature", "by the registered certificate "+called(cert))
	if lost != "" {
		r.hint("the parameters were pasted decoded, so how they were encoded is not known; the signature holds " + lost)
	}
	if !r.At.Before(cert.NotAfter) {
		r.hint("this certificate has ended; requests are taken all the same, and it should be replaced")
	}
	return root, nil
}

// header holds what every request has against place and time.
func (s *Service) header(r *Report, p *sp.Provider, h saml.Header, check func(saml.Expect) error, in input, address func(idp.Year) string) error {
	if r.Year = in.year; r.Year == "" {
		r.Year = s.yearOf(h.Destination, address)
	}
	if s.Years != nil {
		if err := s.year(r, p); err != nil {
			return err
		}
	}
	expect := saml.Expect{
		Now: r.At, Issuer: h.Issuer, Destinations: []string{address(r.Year), address("")},
		AnyDestination: p != nil && p.IsLoginGovCompatible(),
	}
	if r.Year == "" {
		r.skip("Destination", "which year's address it was sent to is not known")
		expect.Destinations = []string{h.Destination}
	} else if own := expect.Destinations[0]; in.address != "" && in.address != own && strings.Contains(in.address, "://") {
		r.Checks = append(r.Checks, Check{Field: "address", Outcome: OK, Seen: in.address, Note: "configured is " + own + "; behind a proxy the two can be the same"})
	}
	seen := h.Destination
	if !h.HasDestination {
		seen = "none, which is allowed"
	}
	err := check(expect)
	var why *idp.Refusal
	if errors.As(err, &why) && why.Field == "Destination" {
		_ = r.refuse("Destination", err)
		r.hint(s.destinationHints(h.Destination, expect.Destinations[0])...)
		// The rules that follow it are looked at as well.
		expect.Destinations = []string{h.Destination}
		err = check(expect)
	} else if r.Year != "" {
		r.ok("Destination", seen)
		if expect.AnyDestination {
			r.hint("not compared: the registration has compat " + p.Compat)
		}
	}
	if err != nil {
		err = r.refuse("IssueInstant", err)
		r.advise(clockHint(h.IssueInstant, r.At))
		return err
	}
	r.ok("IssueInstant", h.IssueInstant.UTC().Format("2006-01-02T15:04:05Z"))
	return nil
}

// year looks whether the year answers.
func (s *Service) year(r *Report, p *sp.Provider) error {
	if r.Year == "" {
		entry, err := s.Years.Preferred(r.At)
		if errors.Is(err, keyring.ErrNoSigner) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Year = entry.Year()
	}
	entry, ok := s.Years.Lookup(r.Year, r.At)
	switch {
	case ok && entry.Closed():
		r.fault("year", string(r.Year), "this year is closed, because its signing key is not usable")
	case ok && entry.State.Live():
		r.ok("year", string(r.Year)+", "+string(entry.State))
		return nil
	case ok && entry.State == rotation.Created && p != nil && p.Preview == r.Year && (r.Cert != nil || p.SignRequests == idp.SignRequestsOptional):
		r.ok("year", string(r.Year)+", "+string(entry.State)+", in the preview that is registered for the service provider")
		return nil
	case ok:
		r.fault("year", string(r.Year), "this year is "+string(entry.State)+" and does not answer")
		if entry.State == rotation.Created {
			r.hint("it answers a browser that opened a preview link, and a service provider whose registration has it as preview")
			r.suggest(
				idp.Suggest(idp.DoRotationPreview, string(r.Year)).With(idp.OptionSP, string(r.SP)).Labeled(idp.LabelPreviewBrowser),
				idp.Suggest(idp.DoSPEdit, string(r.SP)).With(idp.OptionPreview, string(r.Year)).Labeled(idp.LabelPreviewProvider),
			)
		}
	default:
		r.fault("year", string(r.Year), "there is no such year")
	}
	var live []string
	for _, e := range s.Years.Live(r.At) {
		live = append(live, string(e.Year()))
	}
	r.hint("the years that answer, the preferred one first: " + strings.Join(live, ", "))
	return nil
}

// yearOf is the year whose address a Destination names; "" for none.
func (s *Service) yearOf(destination string, address func(idp.Year) string) idp.Year {
	m := yearly.FindStringSubmatch(destination)
	if m == nil || address(idp.Year(m[2])) != destination {
		return ""
	}
	return idp.Year(m[2])
}

func (s *Service) authnRequest(ctx context.Context, r *Report, root *xmltree.Element, hash []byte, p *sp.Provider, in input) error {
	if in.endpoint != "" && in.endpoint != "auth" {
		// What follows is looked at as if it had come to the right place.
		_ = r.refuse("", idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, "LogoutRequest"))
		in.endpoint, in.year = "", ""
	}
	req, err := saml.ParseAuthnRequest(root)
	if err != nil {
		return r.refuse("AuthnRequest", err)
	}
	r.ok("AuthnRequest", "")
	if err := s.header(r, p, req.Header, req.Check, in, s.IdP.AuthnURL); err != nil {
		return err
	}
	if err := s.replayed(ctx, r, req.ID, hash); err != nil {
		return err
	}
	if p == nil {
		r.skip("AssertionConsumerServiceURL", "the registration is not known")
		r.skip("RequestedAuthnContext", "what may be asked is in the registration")
		return nil
	}
	if acs, err := p.ChooseACS(req.ACSURL, req.HasACSURL, req.ACSIndex, req.HasACSIndex); err == nil {
		r.ok("AssertionConsumerServiceURL", acs)
		if req.HasACSURL && req.ACSURL != acs {
			r.hint(req.ACSURL + " is not registered; the default is answered, because the registration has compat " + p.Compat)
		}
	} else if err := r.refuse("AssertionConsumerServiceURL", err); err != nil {
		return err
	} else {
		r.hint(acsHints(req.ACSURL, p.ACSURLs)...)
	}
	if err := r.nameIDFormat(req.NameIDPolicy, p); err != nil {
		return err
	}
	if err := s.subject(r, req, p); err != nil {
		return err
	}
	ask := assurance.Ask{Comparison: req.Comparison, ClassRefs: req.ClassRefs, Unsigned: r.Cert == nil}
	need, err := assurance.Resolve(ask, &p.ServiceProvider)
	if err == nil {
		err = ask.CheckLength()
	}
	if err != nil {
		err = r.refuse("RequestedAuthnContext", err)
		r.advise(refusedContextHints(req.ClassRefs, p))
		return err
	}
	r.ok("RequestedAuthnContext", strings.Join(req.ClassRefs, " "))
	r.hint(contextHints(need.Unknown)...)
	r.Levels = levelsOf(need)
	return r.recipient(p)
}

// refusedContextHints say what the values come near, or what the registration
// would have to say.
func refusedContextHints(refs []string, p *sp.Provider) (a advice) {
	var unknown []string
	for _, ref := range refs {
		_, err := assurance.Resolve(assurance.Ask{ClassRefs: []string{ref}}, &p.ServiceProvider)
		var why *idp.Refusal
		if !errors.As(err, &why) {
			continue
		}
		switch why.Code {
		case idp.RefusedAuthnContext:
			unknown = append(unknown, ref)
		case idp.RefusedAuthnContextLevel:
			a.hint(fmt.Sprintf("%s may be asked for by a service provider whose ial allows it; now it is %s", ref, p.IAL))
			a.suggest(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).With(idp.OptionIAL, "").Labeled(idp.LabelAllowLevel))
		}
	}
	a.hint(contextHints(unknown)...)
	return a
}

// nameIDFormat looks which format the NameID gets, against what was asked.
func (r *Report) nameIDFormat(policy *saml.NameIDPolicy, p *sp.Provider) error {
	format, err := p.ChooseNameIDFormat(policy)
	if err != nil {
		if err := r.refuse("NameIDPolicy", err); err != nil {
			return err
		}
		r.suggest(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).With(idp.OptionNameIDFormat, idp.NameIDFormatEmail).Labeled(idp.LabelAllowFormat))
		return nil
	}
	r.ok("NameIDPolicy", format)
	if policy != nil && policy.Format != "" && policy.Format != format && policy.Format != saml.NameIDFormatUnspecified {
		r.hint(policy.Format + " was asked for; software that insists on it will not take the Response")
	}
	return nil
}

// recipient looks to whom the assertion would be encrypted.
func (r *Report) recipient(p *sp.Provider) error {
	var verified *x509.Certificate
	for _, c := range p.RequestCerts {
		if r.Cert != nil && p.CertSHA256(c) == r.Cert.SHA256 {
			verified = c
		}
	}
	to, err := p.Recipient(verified, r.At)
	seen := p.Encryption
	if to != nil {
		seen += ", to the certificate " + called(to)
	}
	return r.check("encryption", seen, err)
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
