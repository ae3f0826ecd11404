package bolt

import (
	"context"
	"errors"
	"slices"

	"vernal/idp"
)

// RecordIssuance makes the durable write behind an assertion, the only write of a sign-in
// with an existing session. It does not change *i. A pending session counts as ended.
func (s *Store) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	if i.Request == nil {
		return idp.IssuedIDs{}, errors.New("record issuance: no request")
	}
	if i.At.IsZero() {
		return idp.IssuedIDs{}, errNoTime
	}
	return changeValue(ctx, s, []idp.AuditEvent{i.Event}, func(w *writer) (idp.IssuedIDs, error) { return w.recordIssuance(i) })
}

func (w *writer) recordIssuance(i *idp.Issuance) (ids idp.IssuedIDs, err error) {
	if err := w.checkAnswer(i.Check, i.Request.SP); err != nil {
		return ids, err
	}
	sess, err := w.readLiveSession(i.Session, false, i.User)
	if err != nil {
		return ids, err
	}
	if err := w.answerRequest(i.Request, i.At, i.Session); err != nil {
		return ids, err
	}
	if ids.NameID, err = w.assignNameID(i.Request.SP, i.Scope, i.User, i.ProposedNameID); err != nil {
		return ids, err
	}
	if err := w.recordVisit(i); err != nil {
		return ids, err
	}
	if ids.SessionIndex = sess.SessionIndex(i.Request.SP); ids.SessionIndex == "" {
		ids.SessionIndex = i.SessionIndex
	}
	before := computeSweepTime(sess)
	sess.Participants = addParticipant(sess.Participants, i.Request.SP, ids.NameID, i.Request.Year, i.At, ids.SessionIndex)
	if i.At.After(sess.SeenAt) {
		sess.SeenAt = i.At
	}
	w.putSession(sess)
	w.moveExpiry(sessionKind, []byte(sess.ID), before, computeSweepTime(sess))
	return ids, nil
}

// checkAnswer calls check for an answer to the provider. A nil check allows every answer.
func (w *writer) checkAnswer(check idp.Check, provider idp.EntityID) error {
	if check == nil {
		return nil
	}
	rotation, err := w.get(inDocuments, pairKey(idp.RotationKind, idp.RotationKey))
	if err != nil {
		return err
	}
	revision, err := w.get(inProviders, []byte(provider))
	if err != nil {
		return err
	}
	return check(idp.Standing{
		Rotation: rotation[min(timeLen, len(rotation)):], Revision: revision,
		Provider: func() (*idp.ServiceProvider, error) { return w.readProvider(provider) },
	})
}

// recordVisit decides again about the user's record, and records there the visit of the service
// provider, the consent, and the email address that was disclosed. An email address that the user
// has lost since the user was read is not recorded.
func (w *writer) recordVisit(i *idp.Issuance) error {
	u, err := w.readUser(i.User)
	if errors.Is(err, idp.ErrNotFound) {
		return nil // the user of a rehearsal has no record
	}
	if err != nil {
		return err
	}
	if i.CheckUser != nil {
		if err := i.CheckUser(u); err != nil {
			return err
		}
	}
	isChanged := u.RecordVisit(i.Request.SP, i.At, i.Consent)
	for n := range u.Emails {
		e := &u.Emails[n]
		if i.EmailAddress != "" && e.Address == i.EmailAddress && !slices.Contains(e.DisclosedTo, i.Request.SP) {
			e.DisclosedTo = append(e.DisclosedTo, i.Request.SP)
			isChanged = true
		}
	}
	if !isChanged {
		return nil
	}
	return w.putUser(u)
}
