package bolt

import (
	"context"
	"errors"
	"slices"

	"vernal/idp"
)

// RecordIssuance makes the durable write behind an assertion, the only one of a warm
// sign-in. It does not change *i. A pending session counts as ended.
func (s *Store) RecordIssuance(ctx context.Context, i *idp.Issuance) (idp.IssuedIDs, error) {
	if i.Request == nil {
		return idp.IssuedIDs{}, errors.New("record issuance: no request")
	}
	if i.At.IsZero() {
		return idp.IssuedIDs{}, errNoTime
	}
	return changeValue(ctx, s, []idp.AuditEvent{i.Event}, func(w *writer) (idp.IssuedIDs, error) { return w.recordIssuance(i) })
}

func (w *writer) recordIssuance(i *idp.Issuance) (issued idp.IssuedIDs, err error) {
	if err := w.checkAnswer(i.Check, i.Request.SP); err != nil {
		return issued, err
	}
	sess, err := w.readLiveSession(i.Session, false, i.User)
	if err != nil {
		return issued, err
	}
	if err := w.answerRequest(i.Request, i.At, i.Session); err != nil {
		return issued, err
	}
	if issued.NameID, err = w.assignNameID(i.Request.SP, i.Scope, i.User, i.ProposedNameID); err != nil {
		return issued, err
	}
	if err := w.recordDisclosure(i); err != nil {
		return issued, err
	}
	if issued.SessionIndex = sess.SessionIndex(i.Request.SP); issued.SessionIndex == "" {
		issued.SessionIndex = i.SessionIndex
	}
	before := computeSweepTime(sess)
	sess.Participants = addParticipant(sess.Participants, i.Request.SP, issued.NameID, i.Request.Year, i.At, issued.SessionIndex)
	if i.At.After(sess.SeenAt) {
		sess.SeenAt = i.At
	}
	w.putSession(sess)
	w.moveExpiry(sessionKind, []byte(sess.ID), before, computeSweepTime(sess))
	return issued, nil
}

// checkAnswer asks check about an answer to the provider. A nil check allows every answer.
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

// recordDisclosure records the email address that was disclosed to the service provider. An email
// address that the user has lost since the user was read is not recorded.
func (w *writer) recordDisclosure(i *idp.Issuance) error {
	if i.EmailAddress == "" {
		return nil
	}
	u, err := w.readUser(i.User)
	if errors.Is(err, idp.ErrNotFound) {
		return nil // the user of a rehearsal
	}
	if err != nil {
		return err
	}
	for n := range u.Emails {
		e := &u.Emails[n]
		if e.Address == i.EmailAddress && !slices.Contains(e.DisclosedTo, i.Request.SP) {
			e.DisclosedTo = append(e.DisclosedTo, i.Request.SP)
			return w.putUser(u)
		}
	}
	return nil
}
