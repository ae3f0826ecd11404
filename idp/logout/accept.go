package logout

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/logoutscope"
	"vernal/idp/saml"
	"vernal/idp/session"
	"vernal/idp/sp"
)

// accepted is a LogoutRequest that was verified, and who sent it.
type accepted struct {
	// request is nil until read has found whom the message names.
	request  *idp.LogoutRequest
	provider *sp.Provider
	// verifiedRequest is what the signature covers; nil until it was verified.
	verifiedRequest *saml.LogoutRequest
	// cert is the provider's request certificate that verified the message.
	cert *x509.Certificate
	// verified is set once a certificate of the provider verified the message,
	// even if it is refused later.
	verified bool
	// preview says what opened the year, if it is not published.
	preview string
}

// accept decides whether a LogoutRequest that came to a year's URL is one that we
// act upon. It verifies before it reads, as package sso does; here a signature is
// always required. Which user it names is for read to find.
//
// The provider is returned even with an error, once it is known, so that the
// page can name it.
func (h *Handler) accept(ctx context.Context, msg *saml.Message, destinations []string, now time.Time) (a accepted, err error) {
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
	root, cert, err := msg.Verify(a.provider.RequestCerts, true)
	if err != nil {
		return a, err
	}
	a.verified, a.cert = true, cert
	req, err := saml.ParseLogoutRequest(root)
	if err != nil {
		return a, err
	}
	a.verifiedRequest = req
	return a, req.Check(saml.Expect{Now: now, Issuer: issuer, Destinations: destinations, AnyDestination: a.provider.IsLoginGovCompatible(), MaxAge: maxAge, Skew: maxSkew})
}

// read makes a.request of what was accepted at the year of the entry: it opens
// the name, if that is encrypted, and finds the user.
func (h *Handler) read(ctx context.Context, a *accepted, msg *saml.Message, entry keyring.Entry, now time.Time) error {
	req := a.verifiedRequest
	if err := open(req, entry.Key.Signer); err != nil {
		return err
	}
	a.request = &idp.LogoutRequest{
		Handle: session.NewHandle(now), SP: a.provider.EntityID, MessageID: req.ID, Year: entry.Key.Year,
		RelayState: msg.RelayState, HasRelay: msg.HasRelay, Locale: msg.Locale,
		SessionIndexes: req.SessionIndexes, CertSHA256: a.provider.CertSHA256(a.cert),
		ReceivedAt: now, ExpiresAt: now.Add(requestLifetime),
	}
	return logoutscope.Find(ctx, h.Store, a.provider, a.request, req.NameID)
}

// open decrypts the name, if it is encrypted to the year's key. The caller has
// verified the signature. Every failure is the same refusal: a difference would
// let an SP learn what another one has encrypted.
func open(req *saml.LogoutRequest, key crypto.Signer) error {
	if !req.Encrypted() {
		return nil
	}
	d, ok := key.(crypto.Decrypter)
	if !ok {
		return idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", "").With(errors.New("our key cannot decrypt"))
	}
	return req.Open(d)
}
