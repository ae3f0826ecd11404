package logout

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"vernal/certs"
	"vernal/idp"
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
func (h *Handler) read(ctx context.Context, a *accepted, msg *saml.Message, entry certs.Entry, now time.Time) error {
	req := a.verifiedRequest
	if err := open(req, entry.Key.Signer); err != nil {
		return err
	}
	user, err := h.named(ctx, a.provider, req.NameID)
	if err != nil {
		return err
	}
	a.request = &idp.LogoutRequest{
		Handle: session.NewHandle(now), SP: a.provider.EntityID, MessageID: req.ID, Year: entry.Key.Year,
		RelayState: msg.RelayState, HasRelay: msg.HasRelay, Locale: msg.Locale,
		User: user, SessionIndexes: req.SessionIndexes, CertSHA256: a.provider.CertSHA256(a.cert),
		ReceivedAt: now, ExpiresAt: now.Add(requestLifetime),
	}
	return h.readUUIDs(ctx, a.provider, a.request)
}

// readUUIDs looks among the SessionIndexes for UUIDs that the provider was given
// of users. A lone one says which user, on the back channel. Beside others it
// only says that every session is meant: one message reaches one user.
func (h *Handler) readUUIDs(ctx context.Context, p *sp.Provider, req *idp.LogoutRequest) error {
	for _, index := range req.SessionIndexes {
		user, err := h.Store.UserByNameID(ctx, p.NameIDScope, idp.NameID(index))
		if errors.Is(err, idp.ErrNotFound) {
			continue
		}
		if err != nil {
			return wrap(err)
		}
		if user == req.User {
			req.UUIDIndex = true
		}
		if len(req.SessionIndexes) == 1 {
			req.IndexUser = user
		}
	}
	return nil
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

// named finds the user who was disclosed to the provider under a NameID; "" if
// no one was. The format is not looked at: software sends it wrong or not at all,
// and the value is enough.
//
// An email address names a user only to a provider that is given email addresses,
// and only if this one was given as a NameID. Another address of the same user is
// answered like one that no one has: else an SP could reach users who never were
// there, and find out which addresses belong together.
func (h *Handler) named(ctx context.Context, p *sp.Provider, id *saml.NameID) (idp.UserID, error) {
	user, err := h.Store.UserByNameID(ctx, p.NameIDScope, idp.NameID(id.Value))
	if err == nil || !errors.Is(err, idp.ErrNotFound) {
		return user, wrap(err)
	}
	if !p.AllowsNameIDFormat(idp.NameIDFormatEmail) {
		return "", nil
	}
	u, err := h.Store.UserByEmail(ctx, id.Value)
	switch {
	case errors.Is(err, idp.ErrNotFound):
		return "", nil
	case err != nil:
		return "", wrap(err)
	case u.DisclosedEmail(p.EntityID, id.Value) == nil:
		return "", nil
	}
	// A provider that was removed and added again may be somebody else's: it
	// knows nobody before they come.
	_, err = h.Store.NameID(ctx, p.NameIDScope, u.ID)
	if errors.Is(err, idp.ErrNotFound) {
		return "", nil
	}
	return u.ID, wrap(err)
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("look up person of logout: %w", err)
	}
	return nil
}
