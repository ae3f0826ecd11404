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

// Kind is the kind of message that an endpoint takes.
type Kind int

const (
	AuthnRequest Kind = iota
	LogoutRequest
	RemoteLogoutRequest // on the back channel, which answers in the HTTP response
)

// Expectation holds the values that a message is compared with, in addition to the registration.
type Expectation struct {
	Now time.Time
	// Destinations are the URLs that the message may name, beginning with the one that it came
	// to.
	Destinations []string
	// AllowsAnyDestination is set if the URL that the message came to is unknown.
	AllowsAnyDestination bool
	// RestoredAt is when the store was restored from a backup, or zero.
	RestoredAt time.Time
}

// Request is a message with the values found in it. Which fields are set depends on how many
// rules the message met.
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

	// The following fields are set for an AuthnRequest: the URL of its Response, the format of the
	// NameID, and the requirement of the sign-in.
	ACSURL, NameIDFormat string
	Need                 *assurance.Requirement
}

// Accept decides whether we act on a message. It verifies before it reads: all fields are read
// from the element that the signature covers. The error is the first refusal. Provider and
// Cert are set even then, once they are known, so that a page can name the sender.
func Accept(ctx context.Context, registry *sp.Registry, msg *saml.Message, kind Kind, e Expectation) (q Request, err error) {
	q.Kind = kind
	if q.Provider, err = LookupSender(ctx, registry, msg); err != nil {
		return q, err
	}
	q.Issuer = q.Provider.EntityID
	root, cert, err := Verify(msg, q.Provider, kind)
	if err != nil {
		return q, err
	}
	q.Cert = cert
	if err := q.Parse(root); err != nil {
		return q, err
	}
	var room [8]saml.Finding // on the stack, because every sign-in passes here
	return q, q.AppendFindings(room[:0], e).Err()
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
	expect := saml.Expectation{
		Now: e.Now, Issuer: q.Issuer, Destinations: e.Destinations, RestoredAt: e.RestoredAt,
		AllowsAnyDestination: e.AllowsAnyDestination || q.Provider != nil && q.Provider.IsLoginGovCompatible(),
	}
	if q.Kind == AuthnRequest {
		return q.appendAuthnFindings(q.Authn.AppendFindings(dst, expect), e.Now)
	}
	found := q.Logout.AppendFindings(dst, expect)
	if q.Provider != nil && q.Kind == LogoutRequest {
		found = append(found, saml.Finding{Field: "SingleLogoutService", Err: CheckLogoutURL(q.Provider)})
	}
	return found
}

// appendAuthnFindings adds the findings about an AuthnRequest that depend on the registration.
func (q *Request) appendAuthnFindings(found saml.Findings, now time.Time) saml.Findings {
	p, authn := q.Provider, q.Authn
	if p == nil {
		return found
	}
	add := func(field string, err error) { found = append(found, saml.Finding{Field: field, Err: err}) }
	var err error
	q.ACSURL, err = p.ChooseACS(authn.ACSURL, authn.HasACSURL, authn.ACSIndex, authn.HasACSIndex)
	add("AssertionConsumerServiceURL", q.nameNearestACS(err))
	q.NameIDFormat, err = p.ChooseNameIDFormat(authn.NameIDPolicy)
	add("NameIDPolicy", err)
	ask := assurance.ContextRequest{Comparison: authn.Comparison, ClassRefs: authn.ClassRefs, IsUnsigned: q.Cert == nil}
	if q.Need, err = assurance.Resolve(ask, &p.ServiceProvider); err == nil {
		err = ask.CheckLength()
	}
	add("RequestedAuthnContext", err)
	_, err = p.ChooseRecipient(q.Cert, now) // the time does not decide whether a recipient exists
	add("encryption", err)
	return found
}

// nameNearestACS adds the registered ACS URL that was probably meant to a refusal. Only the
// page of a verified message quotes it, so that registered URLs are not disclosed to anyone
// else.
func (q *Request) nameNearestACS(err error) error {
	refusal, ok := errors.AsType[*idp.Refusal](err)
	if !ok || refusal.Code != idp.RefusedACSURL || refusal.Seen == "" || q.Cert == nil {
		return err
	}
	near := suggest.Nearest(refusal.Seen, q.Provider.ACSURLs, math.MaxInt)
	return idp.Refuse(idp.RefusedACSURL, refusal.Field, refusal.Seen, near)
}

// CheckLogoutURL refuses an SP without a registered URL for the answer. A URL in metadata or
// in the request would only be the sender's claim.
func CheckLogoutURL(p *sp.Provider) error {
	if p.LogoutURL == "" {
		return idp.Refuse(idp.RefusedNoLogoutURL, "SingleLogoutService", "")
	}
	return nil
}
