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

// acceptedRequest is an AuthnRequest that passed every check, with the service provider that sent it.
type acceptedRequest struct {
	request  *idp.LoginRequest
	provider *sp.Provider
	// year is the entry that the gate opened for this HTTP request. signResponse opens it
	// again.
	year keyring.Entry
	need *assurance.Requirement
	cert *x509.Certificate // verified the message, nil if unsigned
	// isInStore and isInBrowser report where the request waited. Both are false if it has just
	// arrived.
	isInStore, isInBrowser bool
}

// promptCreate is the value of the parameter prompt that asks for the creation of an account.
const promptCreate = "create"

// newRequest returns our record of a message that package inbound accepted.
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
	// Only a provider with the permission may begin with the creation of an account. A user who
	// is signed in is not asked.
	req.AsksForSignUp = msg.Prompt == promptCreate && q.Provider.AllowPromptCreate
	if req.IsPassive {
		req.ExpiresAt = now.Add(passiveLifetime)
	}
	return req
}

// acceptRequest has package inbound verify and check a message that arrived at a year's URL.
// It returns the sender and the locale even with an error, for the page of the refusal.
func (h *Handler) acceptRequest(ctx context.Context, msg *saml.Message, year idp.Year, now time.Time) (a acceptedRequest, q inbound.Request, err error) {
	q, err = inbound.Accept(ctx, h.Registry, msg, inbound.AuthnRequest, inbound.Expectation{
		Now: now, RestoredAt: h.Store.RestoredAt(), Destinations: []string{h.IdP.AuthnURL(year), h.IdP.AuthnURL("")},
	})
	a = acceptedRequest{provider: q.Provider, cert: q.Cert, need: q.Need}
	if err != nil {
		return a, q, err
	}
	a.request = newRequest(&q, msg, year, now)
	return a, q, a.checkRegistration()
}

// checkRegistration checks the request against the current registration. It may differ from the one
// that the request was accepted under, because a sign-in of up to a day can come between a request
// and its answer. The answer uses no ACS URL, certificate or permission to see an email address
// that was withdrawn since.
func (a *acceptedRequest) checkRegistration() error {
	p, req := a.provider, a.request
	if err := inbound.CheckActive(p); err != nil {
		return err
	}
	if p.EntityID == idp.RehearsalSP && p.Preview != req.Year {
		return idp.Refuse(idp.RefusedSPUnknown, "Issuer", string(req.SP)) // registered, but for one year only
	}
	if !slices.Contains(p.ACSURLs, req.ACSURL) {
		// Not quoted: the user who reads the page never sent a default ACS URL.
		return idp.Refuse(idp.RefusedACSURL, "AssertionConsumerServiceURL", "")
	}
	if req.NameIDFormat == saml.NameIDFormatEmail && !p.AllowsNameIDFormat(idp.NameIDFormatEmail) {
		return idp.Refuse(idp.RefusedNameIDFormat, "NameIDPolicy Format", req.NameIDFormat, saml.NameIDFormatPersistent)
	}
	if req.CertSHA256 == "" && p.SignRequests != idp.SignRequestsOptional {
		return idp.Refuse(idp.RefusedSignatureMissing, "Signature", "")
	}
	if req.CertSHA256 != "" && a.cert == nil {
		cert, err := inbound.FindRequestCert(p, req.CertSHA256)
		if err != nil {
			return err
		}
		a.cert = cert
	}
	_, err := p.ChooseRecipient(a.cert, req.ReceivedAt) // the time does not decide whether a recipient exists
	return err
}
