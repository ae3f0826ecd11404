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
func (s *Service) checkRequest(ctx context.Context, r *Report, msg *saml.Message, source input) (err error) {
	request := inbound.Request{}
	if request.Issuer, err = msg.ClaimedIssuer(); err != nil {
		return r.noteRefused("Issuer", err)
	}
	r.SP = request.Issuer
	root := msg.Root
	if s.Registry == nil {
		r.Unknown = true
		r.noteSkipped("Issuer", "no registry is available")
		r.noteSkipped("Signature", "no registry is available to look up certificates")
	} else {
		request.Provider, err = inbound.LookupSender(ctx, s.Registry, msg)
		if err := r.noteResult("Issuer", string(request.Issuer), err); err != nil {
			return err
		}
		if request.Provider == nil {
			err = s.noteUnknownIssuer(ctx, r)
		} else {
			root, err = s.checkSignature(ctx, r, msg, &request, source)
		}
		if err != nil {
			return err
		}
	}
	name, otherName := "AuthnRequest", "LogoutRequest"
	isLogout := msg.Root.Local == otherName
	if isLogout {
		request.Kind, name, otherName = inbound.LogoutRequest, otherName, name
	}
	if source.endpoint != "" && (source.endpoint == "auth") == isLogout {
		// Check the remaining rules as if the message had come to the right endpoint.
		_ = r.noteRefused("", idp.Refuse(idp.RefusedMessageType, "SAMLRequest", root.Local, otherName))
		source.endpoint, source.year = "", ""
	}
	if err := request.Parse(root); err != nil {
		return r.noteRefused(name, err)
	}
	r.noteOK(name, "")
	if isLogout && source.isRemote(request.Logout.Destination) {
		request.Kind = inbound.RemoteLogoutRequest
	}
	expectation, err := s.checkEndpoint(r, &request, source)
	if err != nil {
		return err
	}
	for _, f := range request.AppendFindings(nil, expectation) {
		if err := s.showFinding(r, &request, f, expectation); err != nil {
			return err
		}
	}
	if isLogout {
		return s.checkLogout(ctx, r, &request, root)
	}
	if request.Provider == nil {
		r.noteSkipped("AssertionConsumerServiceURL", "the registration is unknown")
		r.noteSkipped("RequestedAuthnContext", "the registration decides which values are allowed")
	} else if err := s.checkSubject(r, &request); err != nil {
		return err
	}
	return s.checkReplay(ctx, r, request.Authn.ID, msg.Hash)
}

// noteUnknownIssuer adds the registered entity ID that is most similar to an unknown Issuer.
func (s *Service) noteUnknownIssuer(ctx context.Context, r *Report) error {
	providers, err := s.Registry.All(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range providers[:min(len(providers), maxTriedProviders)] {
		ids = append(ids, string(p.EntityID))
	}
	nearestID := suggest.Nearest(string(r.SP), ids, math.MaxInt)
	if nearestID != "" && isLike(string(r.SP), nearestID) {
		r.addHint("compared with " + nearestID + ", which is registered: " + describeDifference(string(r.SP), nearestID))
	}
	r.noteSkipped("Signature", "no service provider is registered with this Issuer")
	return nil
}

// checkSignature checks the signature, and returns the signed element or, if the signature
// does not verify, the claimed one.
func (s *Service) checkSignature(ctx context.Context, r *Report, msg *saml.Message, request *inbound.Request, source input) (*xmltree.Element, error) {
	p := request.Provider
	r.SPName = p.Name
	if source.hasNoSignature {
		r.noteSkipped("Signature", "it cannot be checked without its parameters, see above")
		return msg.Root, nil
	}
	// The endpoint decides, as in the server.
	kind := inbound.AuthnRequest
	if source.endpoint == "" && msg.Root.Local == "LogoutRequest" || source.endpoint != "" && source.endpoint != "auth" {
		kind = inbound.LogoutRequest
	}
	root, cert, err := inbound.Verify(msg, p, kind)
	var lostEncoding string // of the query, if it could be found
	if err != nil && source.isRebuilt {
		if lostEncoding, cert = findSignedText(msg.QuerySignature, p.RequestCerts, false); cert != nil {
			root, err = msg.Root, nil
		}
	}
	switch code := findRefusalCode(err); {
	case source.isReformatted && (code == idp.RefusedDigest || code == idp.RefusedSignature):
		r.Unknown = true
		r.noteSkipped("Signature", "the text was copied from a browser's view of XML, which changes the white space that the signature covers")
		return msg.Root, nil
	case err != nil:
		if err := r.noteRefused("Signature", err); err != nil {
			return nil, err
		}
		return msg.Root, s.hintSignature(ctx, r, msg, p, code)
	case cert == nil:
		r.add(Check{Field: "Signature", Outcome: OutcomeOK, Note: "the message is not signed, and the registration requires no signature"})
		return root, nil
	}
	request.Cert, r.Cert = cert, newCert(cert)
	r.noteOK("Signature", "by the registered certificate "+nameCertificate(cert))
	if lostEncoding != "" {
		r.addHint("the parameters were pasted decoded, so their original encoding is unknown. The signature is valid " + lostEncoding)
	}
	if !r.AssumedAt.Before(cert.NotAfter) {
		r.addHint("this certificate has expired. Requests are still accepted, but the service provider should replace it")
	}
	return root, nil
}

// checkEndpoint checks the URL that a request came to and its year, and returns the values that the
// request is compared with.
func (s *Service) checkEndpoint(r *Report, request *inbound.Request, source input) (inbound.Expectation, error) {
	url := map[inbound.Kind]func(idp.Year) string{
		inbound.AuthnRequest: s.IdP.AuthnURL, inbound.LogoutRequest: s.IdP.LogoutURL, inbound.RemoteLogoutRequest: s.IdP.RemoteLogoutURL,
	}[request.Kind]
	if r.Year = source.year; r.Year == "" {
		destination := request.Header().Destination
		if m := yearEndpoint.FindStringSubmatch(destination); m != nil && url(idp.Year(m[2])) == destination {
			r.Year = idp.Year(m[2])
		}
	}
	if s.Years != nil {
		if err := s.checkYear(r, request.Provider); err != nil {
			return inbound.Expectation{}, err
		}
	}
	ownURL := url(r.Year)
	if r.Year != "" && source.url != "" && source.url != ownURL && strings.Contains(source.url, "://") {
		r.add(Check{Field: "address", Outcome: OutcomeOK, Seen: source.url, Note: "the configured URL is " + ownURL + ". Behind a proxy, both can be the same endpoint"})
	}
	e := inbound.Expectation{Now: r.AssumedAt, Destinations: []string{ownURL, url("")}, AllowsAnyDestination: r.Year == ""}
	if s.History != nil && !s.History.RestoredAt().After(r.AssumedAt) {
		e.RestoredAt = s.History.RestoredAt()
	}
	return e, nil
}

// showFinding records a finding of package inbound about the request, with hints for an
// operator. It records the Issuer, the NotOnOrAfter of a LogoutRequest and the logout URL only
// if they are wrong.
func (s *Service) showFinding(r *Report, request *inbound.Request, f saml.Finding, expectation inbound.Expectation) error {
	h, p := request.Header(), request.Provider
	isMet := f.Err == nil
	if err := r.noteRefused(f.Field, f.Err); err != nil {
		return err
	}
	switch f.Field {
	case "Destination":
		switch {
		case !isMet:
			r.addHint(s.describeDestination(h.Destination, expectation.Destinations[0])...)
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
		if isMet {
			r.noteOK(f.Field, h.IssueInstant.UTC().Format(saml.TimeFormat))
			break
		}
		r.hintClock(h.IssueInstant)
	case "NotOnOrAfter":
		if !isMet {
			r.hintClock(h.IssueInstant)
		}
	case "AssertionConsumerServiceURL":
		if !isMet {
			r.addHint(describeACS(request.Authn.ACSURL, p.ACSURLs)...)
			break
		}
		r.noteOK(f.Field, request.ACSURL)
		if request.Authn.HasACSURL && request.Authn.ACSURL != request.ACSURL {
			r.addHint(request.Authn.ACSURL + " is not registered. The response goes to the default URL, because the registration has compat " + p.Compat)
		}
	case "NameIDPolicy":
		r.showFormat(request, isMet)
	case "RequestedAuthnContext":
		if !isMet {
			r.hintRefusedContexts(request.Authn.ClassRefs, p)
			break
		}
		r.noteOK(f.Field, strings.Join(request.Authn.ClassRefs, " "))
		r.addHint(describeContexts(request.Need.UnknownClassRefs)...)
		r.Levels = newLevels(request.Need)
	case "encryption":
		if !isMet {
			break
		}
		seen := p.Encryption
		if recipient, _ := p.ChooseRecipient(request.Cert, r.AssumedAt); recipient != nil {
			seen += ", to the certificate " + nameCertificate(recipient)
		}
		r.noteOK(f.Field, seen)
	}
	return nil
}

// showFormat records the format of the NameID, compared with the requested one.
func (r *Report) showFormat(request *inbound.Request, isMet bool) {
	if !isMet {
		r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(r.SP)).WithOption(idp.OptionNameIDFormat, idp.NameIDFormatEmail).WithLabel(idp.LabelAllowFormat))
		return
	}
	r.noteOK("NameIDPolicy", request.NameIDFormat)
	policy := request.Authn.NameIDPolicy
	if policy != nil && policy.Format != "" && policy.Format != request.NameIDFormat && policy.Format != saml.NameIDFormatUnspecified {
		r.addHint(policy.Format + " was requested. Software that requires it refuses the Response")
	}
}

// checkYear checks whether the year answers requests.
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
			r.addHint("it answers browsers that opened a preview link, and service providers whose registration names it as preview")
			r.addSuggestion(
				idp.Suggest(idp.DoRotationPreview, string(r.Year)).WithOption(idp.OptionSP, string(r.SP)).WithLabel(idp.LabelPreviewBrowser),
				idp.Suggest(idp.DoSPEdit, string(r.SP)).WithOption(idp.OptionPreview, string(r.Year)).WithLabel(idp.LabelPreviewProvider),
			)
		}
	default:
		r.noteFault("year", string(r.Year), "unknown year")
	}
	var liveYears []string
	for _, e := range s.Years.Live(r.AssumedAt) {
		liveYears = append(liveYears, string(e.Year()))
	}
	r.addHint("the years that answer, the preferred one first: " + strings.Join(liveYears, ", "))
	return nil
}

// hintRefusedContexts adds the nearest known values, or the ial that the registration lacks.
func (r *Report) hintRefusedContexts(refs []string, p *sp.Provider) {
	var unknownRefs []string
	for _, ref := range refs {
		_, err := assurance.Resolve(assurance.ContextRequest{ClassRefs: []string{ref}}, &p.ServiceProvider)
		switch findRefusalCode(err) {
		case idp.RefusedAuthnContext:
			unknownRefs = append(unknownRefs, ref)
		case idp.RefusedAuthnContextLevel:
			r.addHint(fmt.Sprintf("the registered ial %[2]s does not allow %[1]s: register a higher ial", ref, p.IAL))
			r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).WithOption(idp.OptionIAL, "").WithLabel(idp.LabelAllowLevel))
		}
	}
	r.addHint(describeContexts(unknownRefs)...)
}

func newLevels(need *assurance.Requirement) *Levels {
	levels := &Levels{
		IAL: need.IAL.String(), AAL: need.AAL.String(), RememberedDevice: need.AllowsRememberedDevice, ClassRef: need.ClassRef,
		Attributes: []string{}, DroppedAttributes: need.DroppedAttributes, UnknownClassRefs: need.UnknownClassRefs, ASCII: need.WantsASCII,
	}
	for _, row := range assurance.Table() {
		if row.IsAlwaysSent {
			levels.Attributes = append(levels.Attributes, row.Name)
		}
	}
	levels.Attributes = append(levels.Attributes, need.Attributes...)
	return levels
}
