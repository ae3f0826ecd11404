package sso

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/keyring"
	"vernal/idp/saml"
)

// readSubject has the request ask for the user whom its Subject names (saml-core
// §3.4.1). The Subject proves nothing: the user signs in as always, and is then held
// against it. Only a hash of the name is kept, as it may be another user's.
//
// An encrypted name is opened after the signature held and the year was found open, as
// that of a LogoutRequest is: a stranger must not have us decrypt.
func (h *Handler) readSubject(a *accepted, entry keyring.Entry) error {
	if a.subject == nil {
		return nil
	}
	if a.subject.IsEncrypted() {
		refused := idp.Refuse(idp.RefusedEncryptedID, "EncryptedID", "")
		if a.cert == nil || entry.Key == nil {
			return refused
		}
		key, ok := entry.Key.Signer.(crypto.Decrypter)
		if !ok {
			return refused.With(errors.New("our key cannot decrypt"))
		}
		if err := a.subject.Open(key); err != nil {
			return err
		}
	}
	id, format := a.subject.NameID, a.request.NameIDFormat
	if err := a.provider.CheckSubject(id, format, h.IdP.EntityID()); err != nil {
		return err
	}
	a.request.SubjectHash = idp.HashSubject(id.Value, format == saml.NameIDFormatEmail)
	return nil
}

// decide is next for this browser's user, held against the Subject of the request.
// With another user than that it ends in no assertion: the user is asked, or silently
// told NoPassive, which is also the answer without any session.
func (h *Handler) decide(ctx context.Context, a *accepted, s *idp.Session, user *idp.User) (step, error) {
	decided := next(a.request, a.need, s, user, h.Clock.Now())
	if len(a.request.SubjectHash) == 0 || decided.kind != stepIssue && decided.kind != stepUp {
		return decided, nil
	}
	is, err := h.isSubject(ctx, a, user)
	if err != nil {
		return step{}, err
	}
	if !is {
		return refuse(a.request, idp.Refuse(idp.RefusedSubject, "Subject NameID", "")), nil
	}
	return decided, nil
}

// isSubject reports whether the Response would name the user as the Subject does. A
// user who has not been at the provider has no persistent NameID there yet.
func (h *Handler) isSubject(ctx context.Context, a *accepted, user *idp.User) (bool, error) {
	isEmail := a.request.NameIDFormat == saml.NameIDFormatEmail
	name := signInAddress(user)
	if !isEmail {
		id, err := h.Store.NameID(ctx, a.provider.NameIDScope, user.ID)
		if errors.Is(err, idp.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look up NameID: %w", err)
		}
		name = string(id)
	}
	return bytes.Equal(idp.HashSubject(name, isEmail), a.request.SubjectHash), nil
}
