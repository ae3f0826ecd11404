package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/inbound"
	"vernal/idp/keyring"
	"vernal/idp/rotation"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/suggest"
	"vernal/idp/xmltree"
)

// checkRequest checks a request against the registration of the SP that it claims to be from.
func (s *Service) checkRequest(ctx context.Context, r *Report, msg *saml.Message, in input) (err error) {
	q := inbound.Request{}
	if q.Issuer, err = msg.ClaimedIssuer(); err != nil {
		return r.noteRefused("Issuer", err)
	}
	r.SP = q.Issuer
	root := msg.Root
	if s.Registry == nil {
		r.Unknown = true
		r.noteSkipped("Issuer", "no registry available")
		r.noteSkipped("Signature", "no registry available for certificates")
	} else {
		q.Provider, err = inbound.LookupSender(ctx, s.Registry, msg)
		if err := r.noteResult("Issuer", string(q.Issuer), err); err != nil {
			return err
		}
		if q.Provider == nil {
			err = s.noteUnknownIssuer(ctx, r)
		} else {
			root, err = s.checkSignature(ctx, r, msg, &q, in)
		}
		if err != nil {
			return err
		}
	}
	name, other := "AuthnRequest", "LogoutRequest"
	isLogout := msg.Root.Local == other
	if isLogout {
		q.Kind, name, other = inbound.LogoutRequest, other, name
	}
	if in.endpoint != "" && (in.endpoint == "auth") == isLogout {
		// The following rules are checked as if it had come to the right endpoint.
		_ = r.noteRefused("", idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, other))
		in.endpoint, in.year = "", ""
	}
	if err := q.Parse(root); err != nil {
		return r.noteRefused(name, err)
	}
	r.noteOK(name, "")
	if isLogout && in.isRemote(q.Logout.Destination) {
		q.Kind = inbound.RemoteLogoutRequest
	}
	expect, err := s.checkEndpoint(r, &q, in)
	if err != nil {
		return err
	}
	for _, f := range q.AppendFindings(nil, expect) {
		if err := s.showFinding(r, &q, f, expect); err != nil {
			return err
		}
	}
	if isLogout {
		return s.checkLogout(ctx, r, &q, root)
	}
	if q.Provider == nil {
		r.noteSkipped("AssertionConsumerServiceURL", "the registration is not known")
		r.noteSkipped("RequestedAuthnContext", "what may be asked is in the registration")
	} else if err := s.checkSubject(r, &q); err != nil {
		return err
	}
	return s.checkReplay(ctx, r, q.Authn.ID, msg.Hash)
}

// noteUnknownIssuer records the registered SP that an unknown Issuer may mean.
func (s *Service) noteUnknownIssuer(ctx context.Context, r *Report) error {
	all, err := s.Registry.All(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range all[:min(len(all), maxTriedProviders)] {
		ids = append(ids, string(p.EntityID))
	}
	near := suggest.Nearest(string(r.SP), ids, math.MaxInt)
	if near != "" && isLike(string(r.SP), near) {
		r.addHint("against " + near + ", which is registered: " + describeDifference(string(r.SP), near))
	}
	r.noteSkipped("Signature", "no service provider is registered under this Issuer")
	return nil
}

// checkSignature checks the signature, and returns the signed element or, if the signature
// does not verify, the claimed one.
func (s *Service) checkSignature(ctx context.Context, r *Report, msg *saml.Message, q *inbound.Request, in input) (*xmltree.Element, error) {
	p := q.Provider
	r.SPName = p.Name
	if in.hasNoSignature {
		r.noteSkipped("Signature", "it cannot be looked at without its parameters, see above")
		return msg.Root, nil
	}
	// The endpoint decides, as in the server.
	kind := inbound.AuthnRequest
	if in.endpoint == "" && msg.Root.Local == "LogoutRequest" || in.endpoint != "" && in.endpoint != "auth" {
		kind = inbound.LogoutRequest
	}
	root, cert, err := inbound.Verify(msg, p, kind)
	var lost string // encoding of the query, if that was found out
	if err != nil && in.isRebuilt {
		if lost, cert = findSignedText(msg.QuerySignature, p.RequestCerts, false); cert != nil {
			root, err = msg.Root, nil
		}
	}
	switch code := findRefusalCode(err); {
	case in.isReformatted && (code == idp.RefusedDigest || code == idp.RefusedSignature):
		r.Unknown = true
		r.noteSkipped("Signature", "the text was copied from a browser's view of XML, which changes the white space that the signature covers")
		return msg.Root, nil
	case err != nil:
		if err := r.noteRefused("Signature", err); err != nil {
			return nil, err
		}
		return msg.Root, s.hintSignature(ctx, r, msg, p, code)
	case cert == nil:
		r.add(Check{Field: "Signature", Outcome: OutcomeOK, Note: "none, and the registration asks for none"})
		return root, nil
	}
	q.Cert, r.Cert = cert, newCert(cert)
	r.noteOK("Signature", "by the registered certificate "+nameCertificate(cert))
	if lost != "" {
		r.addHint("the parameters were pasted decoded, so their original encoding is unknown. The signature is valid " + lost)
	}
	if !r.AssumedAt.Before(cert.NotAfter) {
		r.addHint("this certificate has ended. Requests are still accepted. Replace it")
	}
	return root, nil
}

// checkEndpoint checks the URL that a request came to: its year, and the values that the request
// may name.
func (s *Service) checkEndpoint(r *Report, q *inbound.Request, in input) (inbound.Expectation, error) {
	url := map[inbound.Kind]func(idp.Year) string{
		inbound.AuthnRequest: s.IdP.AuthnURL, inbound.LogoutRequest: s.IdP.LogoutURL, inbound.RemoteLogoutRequest: s.IdP.RemoteLogoutURL,
	}[q.Kind]
	if r.Year = in.year; r.Year == "" {
		destination := q.Header().Destination
		if m := yearEndpoint.FindStringSubmatch(destination); m != nil && url(idp.Year(m[2])) == destination {
			r.Year = idp.Year(m[2])
		}
	}
	if s.Years != nil {
		if err := s.checkYear(r, q.Provider); err != nil {
			return inbound.Expectation{}, err
		}
	}
	own := url(r.Year)
	if r.Year != "" && in.url != "" && in.url != own && strings.Contains(in.url, "://") {
		r.add(Check{Field: "address", Outcome: OutcomeOK, Seen: in.url, Note: "configured is " + own + "; behind a proxy the two can be the same"})
	}
	e := inbound.Expectation{Now: r.AssumedAt, Destinations: []string{own, url("")}, AllowsAnyDestination: r.Year == ""}
	if s.History != nil && !s.History.RestoredAt().After(r.AssumedAt) {
		e.RestoredAt = s.History.RestoredAt()
	}
	return e, nil
}

// showFinding records a finding of package inbound about the request, with hints for an
// operator. It records the Issuer, the NotOnOrAfter of a LogoutRequest and the logout URL only
// if they are wrong.
func (s *Service) showFinding(r *Report, q *inbound.Request, f saml.Finding, expect inbound.Expectation) error {
	h, p := q.Header(), q.Provider
	isKept := f.Err == nil
	if err := r.noteRefused(f.Field, f.Err); err != nil {
		return err
	}
	switch f.Field {
	case "Destination":
		switch {
		case !isKept:
			r.addHint(s.describeDestination(h.Destination, expect.Destinations[0])...)
		case r.Year == "":
			r.noteSkipped(f.Field, "the year of the URL that it was sent to is unknown")
		default:
			seen := h.Destination
			if !h.HasDestination {
				seen = "none, which is allowed"
			}
			r.noteOK(f.Field, seen)
			if p != nil && p.IsLoginGovCompatible() {
				r.addHint("not compared: the registration has compat " + p.Compat)
			}
		}
	case "IssueInstant":
		if isKept {
			r.noteOK(f.Field, h.IssueInstant.UTC().Format(saml.TimeFormat))
			break
		}
		r.hintClock(h.IssueInstant)
	case "NotOnOrAfter":
		if !isKept {
			r.hintClock(h.IssueInstant)
		}
	case "AssertionConsumerServiceURL":
		if !isKept {
			r.addHint(describeACS(q.Authn.ACSURL, p.ACSURLs)...)
			break
		}
		r.noteOK(f.Field, q.ACSURL)
		if q.Authn.HasACSURL && q.Authn.ACSURL != q.ACSURL {
			r.addHint(q.Authn.ACSURL + " is not registered; the default is answered, because the registration has compat " + p.Compat)
		}
	case "NameIDPolicy":
		r.showFormat(q, isKept)
	case "RequestedAuthnContext":
		if !isKept {
			r.hintRefusedContexts(q.Authn.ClassRefs, p)
			break
		}
		r.noteOK(f.Field, strings.Join(q.Authn.ClassRefs, " "))
		r.addHint(describeContexts(q.Need.UnknownClassRefs)...)
		r.Levels = newLevels(q.Need)
	case "encryption":
		if !isKept {
			break
		}
		seen := p.Encryption
		if to, _ := p.ChooseRecipient(q.Cert, r.AssumedAt); to != nil {
			seen += ", to the certificate " + nameCertificate(to)
		}
		r.noteOK(f.Field, seen)
	}
	return nil
}

// showFormat records the format of the NameID, compared with the requested one.
func (r *Report) showFormat(q *inbound.Request, isKept bool) {
	if !isKept {
		r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(r.SP)).WithOption(idp.OptionNameIDFormat, idp.NameIDFormatEmail).WithLabel(idp.LabelAllowFormat))
		return
	}
	r.noteOK("NameIDPolicy", q.NameIDFormat)
	policy := q.Authn.NameIDPolicy
	if policy != nil && policy.Format != "" && policy.Format != q.NameIDFormat && policy.Format != saml.NameIDFormatUnspecified {
		r.addHint(policy.Format + " was asked for; software that insists on it will not take the Response")
	}
}

// checkYear checks whether the year answers.
func (s *Service) checkYear(r *Report, p *sp.Provider) error {
	if r.Year == "" {
		entry, err := s.Years.Preferred(r.AssumedAt)
		if errors.Is(err, keyring.ErrNoSigner) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Year = entry.Year()
	}
	entry, ok := s.Years.Lookup(r.Year, r.AssumedAt)
	switch {
	case ok && entry.IsClosed():
		r.noteFault("year", string(r.Year), "this year is closed, because its signing key is not usable")
	case ok && entry.State.IsLive():
		r.noteOK("year", string(r.Year)+", "+string(entry.State))
		return nil
	case ok && entry.State == rotation.Created && p != nil && p.Preview == r.Year && (r.Cert != nil || p.SignRequests == idp.SignRequestsOptional):
		r.noteOK("year", string(r.Year)+", "+string(entry.State)+", in the preview that is registered for the service provider")
		return nil
	case ok:
		r.noteFault("year", string(r.Year), "this year is "+string(entry.State)+" and does not answer")
		if entry.State == rotation.Created {
			r.addHint("it answers a browser that opened a preview link, and a service provider whose registration has it as preview")
			r.addSuggestion(
				idp.Suggest(idp.DoRotationPreview, string(r.Year)).WithOption(idp.OptionSP, string(r.SP)).WithLabel(idp.LabelPreviewBrowser),
				idp.Suggest(idp.DoSPEdit, string(r.SP)).WithOption(idp.OptionPreview, string(r.Year)).WithLabel(idp.LabelPreviewProvider),
			)
		}
	default:
		r.noteFault("year", string(r.Year), "unknown year")
	}
	var live []string
	for _, e := range s.Years.Live(r.AssumedAt) {
		live = append(live, string(e.Year()))
	}
	r.addHint("the years that answer, the preferred one first: " + strings.Join(live, ", "))
	return nil
}

// hintRefusedContexts adds the nearest known values, or the values that the registration lacks.
func (r *Report) hintRefusedContexts(refs []string, p *sp.Provider) {
	var unknown []string
	for _, ref := range refs {
		_, err := assurance.Resolve(assurance.ContextRequest{ClassRefs: []string{ref}}, &p.ServiceProvider)
		switch findRefusalCode(err) {
		case idp.RefusedAuthnContext:
			unknown = append(unknown, ref)
		case idp.RefusedAuthnContextLevel:
			r.addHint(fmt.Sprintf("%s may be asked for by a service provider whose ial allows it; now it is %s", ref, p.IAL))
			r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).WithOption(idp.OptionIAL, "").WithLabel(idp.LabelAllowLevel))
		}
	}
	r.addHint(describeContexts(unknown)...)
}

func newLevels(need *assurance.Requirement) *Levels {
	l := &Levels{
		IAL: need.IAL.String(), AAL: need.AAL.String(), RememberedDevice: need.AllowsRememberedDevice, ClassRef: need.ClassRef,
		Attributes: []string{}, DroppedAttributes: need.DroppedAttributes, UnknownClassRefs: need.UnknownClassRefs, ASCII: need.WantsASCII,
	}
	for _, row := range assurance.Table() {
		if row.IsAlwaysSent {
			l.Attributes = append(l.Attributes, row.Name)
		}
	}
	l.Attributes = append(l.Attributes, need.Attributes...)
	return l
}
