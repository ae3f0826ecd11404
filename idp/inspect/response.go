package inspect

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/xmldsig"
	"vernal/idp/xmltree"
)

// checkResponse checks a message of ours against our certificates, and against the rules that
// its service provider must insist on.
func (s *Service) checkResponse(ctx context.Context, r *Report, msg *saml.Message, opened *OpenedAssertion) error {
	issuer, err := msg.ClaimedIssuer()
	if err != nil {
		return r.noteRefused("Issuer", err)
	}
	if issuer != s.IdP.EntityID() {
		r.noteSkipped("Issuer", "it is from "+string(issuer)+", not from "+string(s.IdP.EntityID()))
		r.addHint(describeDifference(string(issuer), string(s.IdP.EntityID())))
		r.Unknown = true
	} else {
		r.noteOK("Issuer", string(issuer))
	}
	r.showStatus(msg.Root)
	if r.Unknown {
		return nil
	}
	if msg.Root.Local == "LogoutResponse" {
		return s.checkLogoutResponse(ctx, r, msg.Root)
	}
	whole, err := s.verifySigned(r, "Response Signature", msg.Root, xmldsig.VerifyResponse)
	if err != nil {
		return err
	}
	assertion, err := s.findAssertion(ctx, r, msg.Root, opened)
	if err != nil {
		return err
	}
	if assertion == nil {
		if whole == nil && s.Years != nil && !r.Unknown {
			return r.noteRefused("Response Signature", idp.Refuse(idp.RefusedSignatureMissing, "Signature", ""))
		}
		return nil
	}
	own, err := s.verifySigned(r, "Assertion Signature", assertion, xmldsig.VerifyEnveloped)
	if err != nil {
		return err
	}
	if own != nil {
		assertion = own // read only the signed content, if any is signed
	} else if whole == nil && s.Years != nil && !r.Refused {
		// Ours are always signed. An SP that accepts an unsigned assertion accepts anyone's.
		_ = r.noteRefused("Assertion Signature", idp.Refuse(idp.RefusedSignatureMissing, "Assertion Signature", ""))
	}
	return s.checkAssertion(ctx, r, msg.Root, assertion)
}

// statusHints explains the status codes that we send.
var statusHints = map[string]string{
	saml.StatusNoPassive:        "IsPassive was asked for, and a page would have been needed",
	saml.StatusUnknownPrincipal: "the named user is not the one of the session, or was never known to the service provider",
	saml.StatusPartialLogout:    "the session has ended here, and other service providers may still have theirs",
	saml.StatusRequestDenied:    "the request was refused. Look up the error ID in its message or in the log",
}

// showStatus records the codes of a message's Status.
func (r *Report) showStatus(root *xmltree.Element) {
	var codes, hints []string
	message := ""
	for e := range root.All() {
		switch {
		case e.Is(saml.NamespaceProtocol, "StatusCode"):
			v, _ := e.Attr("Value")
			codes = append(codes, v)
			if hint := statusHints[v]; hint != "" {
				hints = append(hints, hint)
			}
		case e.Is(saml.NamespaceProtocol, "StatusMessage"):
			message = strings.TrimSpace(e.Text())
		}
	}
	r.add(Check{Field: "Status", Outcome: OutcomeOK, Seen: strings.Join(codes, " "), Note: message, Hints: hints})
}

// listOurCertificates returns the certificates of our years, and the year of each.
func (s *Service) listOurCertificates(at time.Time) (list []*x509.Certificate, years map[*x509.Certificate]idp.Year) {
	years = map[*x509.Certificate]idp.Year{}
	for _, entry := range s.Years.All(at) {
		if entry.Key != nil && entry.Key.Cert != nil {
			list = append(list, entry.Key.Cert)
			years[entry.Key.Cert] = entry.Key.Year
		}
	}
	return list, years
}

// verifySigned looks for a certificate of ours that verifies the element. It returns the
// signed content, or nil if the element has no valid signature.
func (s *Service) verifySigned(r *Report, field string, e *xmltree.Element, verify func(*xmltree.Element, []*x509.Certificate) (*xmldsig.VerifiedDocument, error)) (*xmltree.Element, error) {
	if s.Years == nil {
		r.Unknown = true
		r.noteSkipped(field, "none of our certificates is available to verify it with")
		return nil, nil
	}
	if e.Child(xmldsig.Namespace, "Signature") == nil {
		r.noteSkipped(field, "it has none of its own")
		return nil, nil
	}
	list, years := s.listOurCertificates(r.AssumedAt)
	v, err := verify(e, list)
	if err != nil {
		err = r.noteRefused(field, err)
		for _, c := range listEmbeddedCerts(e) {
			if !slices.ContainsFunc(list, c.Equal) {
				r.addHint("it carries a certificate that is none of our years': " + nameCertificate(c))
			}
		}
		return nil, err
	}
	r.Year = years[v.Cert]
	r.Cert = newCert(v.Cert)
	r.noteOK(field, "by our certificate of "+string(r.Year)+", "+nameCertificate(v.Cert))
	return v.Element, nil
}

// checkLogoutResponse checks the destination and the signature, which is optional.
func (s *Service) checkLogoutResponse(ctx context.Context, r *Report, root *xmltree.Element) error {
	if _, err := s.verifySigned(r, "Signature", root, xmldsig.VerifyEnveloped); err != nil {
		return err
	}
	destination, _ := root.Attr("Destination")
	if destination == "" || s.Registry == nil {
		return nil
	}
	p, err := s.findProvider(ctx, func(p *sp.Provider) bool { return p.LogoutURL == destination })
	if err != nil {
		return err
	}
	if p == nil {
		r.noteFault("Destination", destination, "this is no registered logout URL")
		return nil
	}
	r.SP, r.SPName = p.EntityID, p.Name
	r.noteOK("Destination", destination)
	if p.SignLogoutResponse && root.Child(xmldsig.Namespace, "Signature") == nil {
		r.addHint("the registration asks for signed LogoutResponses now; this one is not")
	}
	return s.showRequest(ctx, r, root)
}

// findProvider returns the first registered SP that meets a condition, or nil.
func (s *Service) findProvider(ctx context.Context, is func(*sp.Provider) bool) (*sp.Provider, error) {
	all, err := s.Registry.All(ctx)
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], err
	}
	return nil, err
}

// showRequest records which request a message answers.
func (s *Service) showRequest(ctx context.Context, r *Report, root *xmltree.Element) error {
	id, ok := root.Attr("InResponseTo")
	if !ok || s.History == nil {
		return nil
	}
	var login *idp.LoginRequest
	var logout *idp.LogoutRequest
	var err error
	key, at := idp.RequestKey{SP: r.SP, MessageID: id}, time.Time{}
	if root.Local == "LogoutResponse" {
		if logout, err = s.History.LogoutRequest(ctx, key); err == nil {
			at = logout.ReceivedAt
		}
	} else if login, err = s.History.LoginRequest(ctx, key); err == nil {
		at = login.ReceivedAt
	}
	if errors.Is(err, idp.ErrNotFound) {
		r.noteSkipped("InResponseTo", "no request "+id+" of this service provider is recorded; records are kept for a day at most")
		return nil
	}
	if err == nil {
		r.note("InResponseTo", id, "a request that came at "+formatTime(at))
	}
	return err
}
