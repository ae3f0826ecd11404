package inbound

import (
	"context"
	"crypto/x509"
	"errors"
	"math"
	"time"

	"vernal/idp"
	"vernal/idp/assurance"
	"vernal/idp/saml"
	"vernal/idp/sp"
	"vernal/idp/suggest"
	"vernal/idp/xmltree"
)

// Kind is the kind of message that an endpoint accepts.
type Kind int

const (
	AuthnRequest Kind = iota
	LogoutRequest
	RemoteLogoutRequest // on the back channel, which answers in the HTTP response
)

// Expectation contains the values that a message is compared with, in addition to the registration.
type Expectation struct {
	Now time.Time
	// Destinations are the URLs that the message may name, beginning with the URL that it
	// came to.
	Destinations []string
	// AllowsAnyDestination is set if the URL that the message came to is unknown.
	AllowsAnyDestination bool
	// RestoredAt is when the store was restored from a backup, or zero.
	RestoredAt time.Time
}

// Request is a message with its parsed values. A field is set after the step that determines it.
type Request struct {
	Kind Kind
	// Provider is the sender, or nil if unknown.
	Provider *sp.Provider
	// Cert is the certificate of Provider that verified the message, or nil if it is unsigned.
	Cert *x509.Certificate
	// Issuer is the claimed Issuer, by which Provider was looked up.
	Issuer idp.EntityID
	// Authn or Logout is the content of the message, by Kind.
	Authn  *saml.AuthnRequest
	Logout *saml.LogoutRequest

	// An AuthnRequest also has the URL of its Response, the format of the NameID, and the
	// requirement for the sign-in.
	ACSURL, NameIDFormat string
	Need                 *assurance.Requirement
}

// Accept decides whether we act on a message. It verifies before it reads: all fields are read
// from the element that the signature covers. The error is the first refusal. Provider and
// Cert are set even then, once they are known, so that a page can name the sender.
func Accept(ctx context.Context, registry *sp.Registry, msg *saml.Message, kind Kind, e Expectation) (request Request, err error) {
	request.Kind = kind
	if request.Provider, err = LookupSender(ctx, registry, msg); err != nil {
		return request, err
	}
	request.Issuer = request.Provider.EntityID
	root, cert, err := Verify(msg, request.Provider, kind)
	if err != nil {
		return request, err
	}
	request.Cert = cert
	if err := request.Parse(root); err != nil {
		return request, err
	}
	var buf [8]saml.Finding // on the stack, because every sign-in needs it
	return request, request.AppendFindings(buf[:0], e).Err()
}

// Parse reads the fields of the message from an element that Verify returned.
func (q *Request) Parse(root *xmltree.Element) (err error) {
	if q.Kind == AuthnRequest {
		q.Authn, err = saml.ParseAuthnRequest(root)
	} else {
		q.Logout, err = saml.ParseLogoutRequest(root)
	}
	return err
}

// Header returns the fields that both kinds of messages have.
func (q *Request) Header() *saml.Header {
	if q.Authn != nil {
		return &q.Authn.Header
	}
	return &q.Logout.Header
}

// AppendFindings checks a parsed message against every rule and appends the results to dst,
// which may be nil. It leaves out rules about the registration if Provider is unknown. Each
// error is a *idp.Refusal.
func (q *Request) AppendFindings(dst saml.Findings, e Expectation) saml.Findings {
	expectation := saml.Expectation{
		Now: e.Now, Issuer: q.Issuer, Destinations: e.Destinations, RestoredAt: e.RestoredAt,
		AllowsAnyDestination: e.AllowsAnyDestination || q.Provider != nil && q.Provider.IsLoginGovCompatible(),
	}
	if q.Kind == AuthnRequest {
		return q.appendAuthnFindings(q.Authn.AppendFindings(dst, expectation), e.Now)
	}
	findings := q.Logout.AppendFindings(dst, expectation)
	if q.Provider != nil && q.Kind == LogoutRequest {
		findings = append(findings, saml.Finding{Field: "SingleLogoutService", Err: CheckLogoutURL(q.Provider)})
	}
	return findings
}

// appendAuthnFindings adds the findings about an AuthnRequest that depend on the registration.
func (q *Request) appendAuthnFindings(findings saml.Findings, now time.Time) saml.Findings {
	p, authn := q.Provider, q.Authn
	if p == nil {
		return findings
	}
	add := func(field string, err error) { findings = append(findings, saml.Finding{Field: field, Err: err}) }
	var err error
	q.ACSURL, err = p.ChooseACS(authn.ACSURL, authn.HasACSURL, authn.ACSIndex, authn.HasACSIndex)
	add("AssertionConsumerServiceURL", q.nameNearestACS(err))
	q.NameIDFormat, err = p.ChooseNameIDFormat(authn.NameIDPolicy)
	add("NameIDPolicy", err)
	contextRequest := assurance.ContextRequest{Comparison: authn.Comparison, ClassRefs: authn.ClassRefs, IsUnsigned: q.Cert == nil}
	if q.Need, err = assurance.Resolve(contextRequest, &p.ServiceProvider); err == nil {
		err = contextRequest.CheckLength()
	}
	add("RequestedAuthnContext", err)
	_, err = p.ChooseRecipient(q.Cert, now) // the result does not depend on the time
	add("encryption", err)
	return findings
}

// nameNearestACS adds the most similar registered ACS URL to a refusal. It does so only for a
// verified message, so that registered URLs are disclosed to no one else.
func (q *Request) nameNearestACS(err error) error {
	refusal, ok := errors.AsType[*idp.Refusal](err)
	if !ok || refusal.Code != idp.RefusedACSURL || refusal.Seen == "" || q.Cert == nil {
		return err
	}
	nearestURL := suggest.Nearest(refusal.Seen, q.Provider.ACSURLs, math.MaxInt)
	return idp.Refuse(idp.RefusedACSURL, refusal.Field, refusal.Seen, nearestURL)
}

// CheckLogoutURL refuses an SP without a registered URL for the answer. A URL in the request is
// only a claim of the sender.
func CheckLogoutURL(p *sp.Provider) error {
	if p.LogoutURL == "" {
		return idp.Refuse(idp.RefusedNoLogoutURL, "SingleLogoutService", "")
	}
	return nil
}
