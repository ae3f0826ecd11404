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
			err = s.noteStranger(ctx, r)
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
	r.noteKept(name, "")
	if isLogout && in.isRemote(q.Logout.Destination) {
		q.Kind = inbound.RemoteLogoutRequest
	}
	expect, err := s.findPlace(r, &q, in)
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

// noteStranger records the registered SP that an unknown Issuer may mean.
func (s *Service) noteStranger(ctx context.Context, r *Report) error {
	all, err := s.Registry.All(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range all[:min(len(all), maxTried)] {
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
	if in.unsigned {
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
	if err != nil && in.rebuilt {
		if lost, cert = signedText(msg.Detached, p.RequestCerts, false); cert != nil {
			root, err = msg.Root, nil
		}
	}
	switch code := codeOf(err); {
	case in.reformatted && (code == idp.RefusedDigest || code == idp.RefusedSignature):
		r.Unknown = true
		r.noteSkipped("Signature", "the text was copied from a browser's view of XML, which changes the white space that the signature covers")
		return msg.Root, nil
	case err != nil:
		if err := r.noteRefused("Signature", err); err != nil {
			return nil, err
		}
		return msg.Root, s.hintSignature(ctx, r, msg, p, code)
	case cert == nil:
		r.add(Check{Field: "Signature", Outcome: OK, Note: "none, and the registration asks for none"})
		return root, nil
	}
	q.Cert, r.Cert = cert, certOf(cert)
	r.noteKept("Signature", "by the registered certificate "+nameCertificate(cert))
	if lost != "" {
		r.addHint("the parameters were pasted decoded, so their original encoding is unknown. The signature is valid " + lost)
	}
	if !r.At.Before(cert.NotAfter) {
		r.addHint("this certificate has ended. Requests are still accepted. Replace it")
	}
	return root, nil
}

// findPlace checks the URL that a request came to: its year, and the values that the request
// may name.
func (s *Service) findPlace(r *Report, q *inbound.Request, in input) (inbound.Expect, error) {
	url := map[inbound.Kind]func(idp.Year) string{
		inbound.AuthnRequest: s.IdP.AuthnURL, inbound.LogoutRequest: s.IdP.LogoutURL, inbound.RemoteLogoutRequest: s.IdP.RemoteLogoutURL,
	}[q.Kind]
	if r.Year = in.year; r.Year == "" {
		destination := q.Header().Destination
		if m := yearly.FindStringSubmatch(destination); m != nil && url(idp.Year(m[2])) == destination {
			r.Year = idp.Year(m[2])
		}
	}
	if s.Years != nil {
		if err := s.checkYear(r, q.Provider); err != nil {
			return inbound.Expect{}, err
		}
	}
	own := url(r.Year)
	if r.Year != "" && in.address != "" && in.address != own && strings.Contains(in.address, "://") {
		r.add(Check{Field: "address", Outcome: OK, Seen: in.address, Note: "configured is " + own + "; behind a proxy the two can be the same"})
	}
	e := inbound.Expect{Now: r.At, Destinations: []string{own, url("")}, AnyDestination: r.Year == ""}
	if s.Seen != nil && !s.Seen.RestoredAt().After(r.At) {
		e.RestoredAt = s.Seen.RestoredAt()
	}
	return e, nil
}

// showFinding records a finding of package inbound about the request, with hints for an
// operator. It records the Issuer, the NotOnOrAfter of a LogoutRequest and the logout URL only
// if they are wrong.
func (s *Service) showFinding(r *Report, q *inbound.Request, f saml.Finding, expect inbound.Expect) error {
	h, p := q.Header(), q.Provider
	isKept := f.Err == nil
	if err := r.noteRefused(f.Field, f.Err); err != nil {
		return err
	}
	switch f.Field {
	case "Destination":
		switch {
		case !isKept:
			r.addHint(s.destinationHints(h.Destination, expect.Destinations[0])...)
		case r.Year == "":
			r.noteSkipped(f.Field, "the year of the URL that it was sent to is unknown")
		default:
			seen := h.Destination
			if !h.HasDestination {
				seen = "none, which is allowed"
			}
			r.noteKept(f.Field, seen)
			if p != nil && p.IsLoginGovCompatible() {
				r.addHint("not compared: the registration has compat " + p.Compat)
			}
		}
	case "IssueInstant":
		if isKept {
			r.noteKept(f.Field, h.IssueInstant.UTC().Format(saml.TimeFormat))
			break
		}
		r.hintClock(h.IssueInstant)
	case "NotOnOrAfter":
		if !isKept {
			r.hintClock(h.IssueInstant)
		}
	case "AssertionConsumerServiceURL":
		if !isKept {
			r.addHint(acsHints(q.Authn.ACSURL, p.ACSURLs)...)
			break
		}
		r.noteKept(f.Field, q.ACSURL)
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
		r.noteKept(f.Field, strings.Join(q.Authn.ClassRefs, " "))
		r.addHint(contextHints(q.Need.Unknown)...)
		r.Levels = levelsOf(q.Need)
	case "encryption":
		if !isKept {
			break
		}
		seen := p.Encryption
		if to, _ := p.ChooseRecipient(q.Cert, r.At); to != nil {
			seen += ", to the certificate " + nameCertificate(to)
		}
		r.noteKept(f.Field, seen)
	}
	return nil
}

// showFormat records the format of the NameID, compared with the requested one.
func (r *Report) showFormat(q *inbound.Request, isKept bool) {
	if !isKept {
		r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(r.SP)).With(idp.OptionNameIDFormat, idp.NameIDFormatEmail).Labeled(idp.LabelAllowFormat))
		return
	}
	r.noteKept("NameIDPolicy", q.NameIDFormat)
	policy := q.Authn.NameIDPolicy
	if policy != nil && policy.Format != "" && policy.Format != q.NameIDFormat && policy.Format != saml.NameIDFormatUnspecified {
		r.addHint(policy.Format + " was asked for; software that insists on it will not take the Response")
	}
}

// checkYear checks whether the year answers.
func (s *Service) checkYear(r *Report, p *sp.Provider) error {
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
	case ok && entry.IsClosed():
		r.noteFault("year", string(r.Year), "this year is closed, because its signing key is not usable")
	case ok && entry.State.IsLive():
		r.noteKept("year", string(r.Year)+", "+string(entry.State))
		return nil
	case ok && entry.State == rotation.Created && p != nil && p.Preview == r.Year && (r.Cert != nil || p.SignRequests == idp.SignRequestsOptional):
		r.noteKept("year", string(r.Year)+", "+string(entry.State)+", in the preview that is registered for the service provider")
		return nil
	case ok:
		r.noteFault("year", string(r.Year), "this year is "+string(entry.State)+" and does not answer")
		if entry.State == rotation.Created {
			r.addHint("it answers a browser that opened a preview link, and a service provider whose registration has it as preview")
			r.addSuggestion(
				idp.Suggest(idp.DoRotationPreview, string(r.Year)).With(idp.OptionSP, string(r.SP)).Labeled(idp.LabelPreviewBrowser),
				idp.Suggest(idp.DoSPEdit, string(r.SP)).With(idp.OptionPreview, string(r.Year)).Labeled(idp.LabelPreviewProvider),
			)
		}
	default:
		r.noteFault("year", string(r.Year), "unknown year")
	}
	var live []string
	for _, e := range s.Years.Live(r.At) {
		live = append(live, string(e.Year()))
	}
	r.addHint("the years that answer, the preferred one first: " + strings.Join(live, ", "))
	return nil
}

// hintRefusedContexts adds the nearest known values, or the values that the registration lacks.
func (r *Report) hintRefusedContexts(refs []string, p *sp.Provider) {
	var unknown []string
	for _, ref := range refs {
		_, err := assurance.Resolve(assurance.Ask{ClassRefs: []string{ref}}, &p.ServiceProvider)
		switch codeOf(err) {
		case idp.RefusedAuthnContext:
			unknown = append(unknown, ref)
		case idp.RefusedAuthnContextLevel:
			r.addHint(fmt.Sprintf("%s may be asked for by a service provider whose ial allows it; now it is %s", ref, p.IAL))
			r.addSuggestion(idp.Suggest(idp.DoSPEdit, string(p.EntityID)).With(idp.OptionIAL, "").Labeled(idp.LabelAllowLevel))
		}
	}
	r.addHint(contextHints(unknown)...)
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
