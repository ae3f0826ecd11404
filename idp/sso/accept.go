package sso

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/inbound"
	"vernal/idp/keyring"
	"vernal/idp/saml"
	"vernal/idp/session"
	"vernal/idp/sp"
)

// accepted is an AuthnRequest that passed every check, and its sender.
type accepted struct {
	request  *idp.LoginRequest
	provider *sp.Provider
	// year is as the gate opened it for this HTTP request; signResponse opens it again.
	year keyring.Entry
	need *assurance.Requirement
	cert *x509.Certificate // that verified the message, nil if unsigned
	// inStore and inBrowser say where the request waited; neither if it has just come.
	inStore, inBrowser bool
}

// newRequest makes our record of a message that package inbound accepted.
func newRequest(q *inbound.Request, msg *saml.Message, year idp.Year, now time.Time) *idp.LoginRequest {
	req := &idp.LoginRequest{
		Handle: session.NewHandle(now),
		SP:     q.Issuer, MessageID: q.Authn.ID, Year: year, ACSURL: q.ACSURL,
		RelayState: msg.RelayState, HasRelay: msg.HasRelay,
		ForceAuthn: q.Authn.ForceAuthn, IsPassive: q.Authn.IsPassive,
		NameIDFormat: q.NameIDFormat, Comparison: q.Authn.Comparison, ClassRefs: q.Authn.ClassRefs,
		Locale: msg.Locale, CertSHA256: q.Provider.CertSHA256(q.Cert), MessageHash: msg.Hash,
		IssuedAt: q.Authn.IssueInstant, ReceivedAt: now, ExpiresAt: now.Add(session.RequestLifetime),
	}
	if req.IsPassive {
		req.ExpiresAt = now.Add(passiveLifetime)
	}
	return req
}

// acceptRequest has package inbound verify and judge a message that came to a year's URL. The
// sender and the locale are returned even with an error, for the page of the refusal.
func (h *Handler) acceptRequest(ctx context.Context, msg *saml.Message, year idp.Year, now time.Time) (a accepted, q inbound.Request, err error) {
	q, err = inbound.Accept(ctx, h.Registry, msg, inbound.AuthnRequest, inbound.Expect{
		Now: now, Destinations: []string{h.IdP.AuthnURL(year), h.IdP.AuthnURL("")},
	})
	a = accepted{provider: q.Provider, cert: q.Cert, need: q.Need}
	if err != nil {
		return a, q, err
	}
	a.request = newRequest(&q, msg, year, now)
	return a, q, a.checkRegistration()
}

// checkRegistration holds the request against the registration as it is now, which
// may not be the one that it was accepted under: between a request and its
// answer lie a sign-in and up to a day. What was withdrawn meanwhile (an ACS,
// a certificate, permission to see an address) is not acted upon.
func (a *accepted) checkRegistration() error {
	p, req := a.provider, a.request
	if err := inbound.CheckActive(p); err != nil {
		return err
	}
	if p.EntityID == idp.RehearsalSP && p.Preview != req.Year {
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)) // it is there for one year
	}
	if !slices.Contains(p.ACSURLs, req.ACSURL) {
		// Not quoted: the reader of the page never sent a default ACS.
		return idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", "")
	}
	if req.NameIDFormat == saml.NameIDFormatEmail && !p.AllowsNameIDFormat(idp.NameIDFormatEmail) {
		return idp.Refuse(idp.RefusedNameIDFormat, "NameIDPolicy Format", req.NameIDFormat, saml.NameIDFormatPersistent)
	}
	if req.CertSHA256 == "" && p.SignRequests != idp.SignRequestsOptional {
		return idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")
	}
	if req.CertSHA256 != "" && a.cert == nil {
		cert, err := inbound.RequestCert(p, req.CertSHA256)
		if err != nil {
			return err
		}
		a.cert = cert
	}
	_, err := p.Recipient(a.cert, req.ReceivedAt) // whether there is one does not depend on the time
	return err
}
