package sso

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/saml"
	"vernal/idp/session"
	"vernal/idp/sp"
)

// accepted is an AuthnRequest that passed every check, and its sender.
type accepted struct {
	request  *idp.LoginRequest
	provider *sp.Provider
	need     *assurance.Requirement
	cert     *x509.Certificate // that verified the message, nil if unsigned
	subject  *saml.Subject     // that the message asks for; readSubject takes it over
	locale   string            // that came with the message, for the page of a refusal too
	// inStore and inBrowser say where the request waited; neither if it has just come.
	inStore, inBrowser bool
}

// accept decides whether an AuthnRequest that came to a year's address is one
// that we act upon. It verifies before it reads: the Issuer that is claimed
// serves to find certificates and for nothing else, and everything after that
// is read from the element that the signature covers.
//
// The provider is returned even with an error, once it is known, so that the
// page can name it.
func (h *Handler) accept(ctx context.Context, in saml.Inbound, year idp.Year, now time.Time) (accepted, error) {
	var a accepted
	msg, err := saml.Read(in)
	if err != nil {
		return a, err
	}
	a.locale = msg.Locale
	issuer, err := msg.ClaimedIssuer()
	if err != nil {
		return a, err
	}
	if a.provider, err = h.Registry.Lookup(ctx, issuer); errors.Is(err, idp.ErrNotFound) {
		return a, idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(issuer))
	} else if err != nil {
		return a, fmt.Errorf("look up issuer: %w", err)
	}
	if !a.provider.Active {
		return a, idp.Refuse(idp.RefusedSPInactive, "Issuer", string(issuer))
	}

	root, cert, err := msg.Verify(a.provider.RequestCerts, a.provider.SignRequests != idp.SignRequestsOptional)
	if err != nil {
		return a, err
	}
	a.cert = cert
	authn, err := saml.ParseAuthnRequest(root)
	if err != nil {
		return a, err
	}
	err = authn.Check(saml.Expect{
		Now: now, Issuer: issuer, Destinations: []string{h.IdP.AuthnURL(year), h.IdP.AuthnURL("")},
		AnyDestination: a.provider.IsLoginGovCompatible(), MaxAge: maxAge, Skew: maxSkew,
	})
	if err != nil {
		return a, err
	}
	acs, err := a.provider.ChooseACS(authn.ACSURL, authn.HasACSURL, authn.ACSIndex, authn.HasACSIndex)
	if err != nil {
		return a, err
	}
	format, err := a.provider.ChooseNameIDFormat(authn.NameIDPolicy)
	if err != nil {
		return a, err
	}
	a.subject = authn.Subject
	ask := assurance.Ask{Comparison: authn.Comparison, ClassRefs: authn.ClassRefs, Unsigned: cert == nil}
	if a.need, err = assurance.Resolve(ask, &a.provider.ServiceProvider); err != nil {
		return a, err
	}
	if err := ask.CheckLength(); err != nil {
		return a, err
	}
	a.request = &idp.LoginRequest{
		Handle: session.NewHandle(now),
		SP:     issuer, MessageID: authn.ID, Year: year, ACSURL: acs,
		RelayState: msg.RelayState, HasRelay: msg.HasRelay,
		ForceAuthn: authn.ForceAuthn, IsPassive: authn.IsPassive,
		NameIDFormat: format, Comparison: authn.Comparison, ClassRefs: authn.ClassRefs,
		Locale: msg.Locale, CertSHA256: a.provider.CertSHA256(cert), MessageHash: msg.Hash,
		IssuedAt: authn.IssueInstant, ReceivedAt: now, ExpiresAt: now.Add(session.RequestLifetime),
	}
	if authn.IsPassive {
		a.request.ExpiresAt = now.Add(passiveLifetime)
	}
	return a, a.current()
}

// current holds the request against the registration as it stands now, which
// may not be the one that it was accepted under: between a request and its
// answer lie a sign-in and up to a day. What was withdrawn meanwhile (an ACS,
// a certificate, leave to see an address) is not acted upon.
func (a *accepted) current() error {
	p, req := a.provider, a.request
	if !p.Active {
		return idp.Refuse(idp.RefusedSPInactive, "Issuer", string(req.SP))
	}
	if p.EntityID == idp.RehearsalSP && p.Preview != req.Year {
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)) // it is there for one year
	}
	if !slices.Contains(p.ACSURLs, req.ACSURL) {
		// Not quoted: a default ACS was never sent by whoever reads the page.
		return idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", "")
	}
	if req.NameIDFormat == saml.NameIDFormatEmail && !p.AllowsNameIDFormat(idp.NameIDFormatEmail) {
		return idp.Refuse(idp.RefusedNameIDFormat, "NameIDPolicy Format", req.NameIDFormat, saml.NameIDFormatPersistent)
	}
	if req.CertSHA256 == "" && p.SignRequests != idp.SignRequestsOptional {
		return idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")
	}
	if req.CertSHA256 != "" && a.cert == nil {
		i := slices.IndexFunc(p.RequestCerts, func(c *x509.Certificate) bool { return p.CertSHA256(c) == req.CertSHA256 })
		if i < 0 {
			return idp.Refuse(idp.RefusedSignature, "Signature", "").With(errors.New("the certificate that verified the request was removed"))
		}
		a.cert = p.RequestCerts[i]
	}
	_, err := a.recipient(req.ReceivedAt) // whether there is one does not depend on the time
	return err
}

// recipient is the certificate that the assertion is encrypted to at a time; nil:
// it is sent in the clear.
func (a *accepted) recipient(now time.Time) (*x509.Certificate, error) {
	return a.provider.Recipient(a.cert, now)
}
