package sso

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/inbound"
	"vernal/idp/saml"
)

// readSubject records which user the Subject of the request names (saml-core §3.4.1). The
// Subject proves nothing: the user signs in as always and is compared with it afterwards. Only
// a hash of the name is kept, because it may be another user's. It is decrypted only after the
// signature was verified and the year was found open.
func (h *Handler) readSubject(a *acceptedRequest, q *inbound.Request) error {
	if q.Authn.Subject == nil {
		return nil
	}
	if err := q.OpenName(a.year.Key.Signer); err != nil {
		return err
	}
	if err := q.CheckSubject(h.IdP.EntityID()); err != nil {
		return err
	}
	a.request.SubjectHash = idp.HashSubject(q.Authn.Subject.NameID.Value, a.request.NameIDFormat == saml.NameIDFormatEmail)
	return nil
}

// decideStep decides the next step for this browser's user, and compares the user with the
// Subject of the request. It issues no assertion about another user: it asks the user, or
// silently returns NoPassive, which is also the answer without a session.
func (h *Handler) decideStep(ctx context.Context, a *acceptedRequest, s *idp.Session, user *idp.User) (step, error) {
	now := h.Clock.Now()
	next := nextStep(a.request, a.need, s, user, now)
	if len(a.request.SubjectHash) > 0 && (next.kind == stepIssue || next.kind == stepUp) {
		isMatch, err := h.isSubject(ctx, a, user)
		if err != nil {
			return step{}, err
		}
		if !isMatch {
			return refuseStep(a.request, idp.Refuse(idp.RefusedSubject, "Subject NameID", "")), nil
		}
	}
	return h.addConsent(a, next, user, now), nil
}

// isSubject reports whether the Response would name the user as the Subject does. A user who
// has never signed in to the provider has no persistent NameID there yet.
func (h *Handler) isSubject(ctx context.Context, a *acceptedRequest, user *idp.User) (bool, error) {
	isEmail := a.request.NameIDFormat == saml.NameIDFormatEmail
	name := a.chooseEmail(user)
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
