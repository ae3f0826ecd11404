package bolt

import (
	"context"
	"errors"
	"time"

	"vernal/idp"
	"vernal/idp/seal"
)

// errProofingChange refuses a change of Proofing without the profile, because decisions would
// trust a level that no profile proves.
var errProofingChange = errors.New("UpdateUser must not change Proofing: call SetProfile")

// Profile unseals the proofed identity of a user. A profile that does not match the user's
// record counts as tampering: an attacker with write access to the file may have put back an
// earlier profile of the same user.
func (s *Store) Profile(ctx context.Context, id idp.UserID) (*idp.Profile, error) {
	return readValue(ctx, s, func(r *reader) (p *idp.Profile, err error) {
		u, err := r.readUser(id)
		if err != nil {
			return nil, err
		}
		key := []byte(id)
		sealed, err := r.get(inProfiles, key)
		switch {
		case err != nil:
			return nil, err
		case sealed == nil && u.Proofing == nil:
			return nil, missingError(inProfiles)
		case sealed != nil:
			if p, err = openSealed[idp.Profile](r, inProfiles, id, sealed); err != nil {
				return nil, err
			}
		}
		if !p.Proofing().Equal(u.Proofing) {
			return nil, s.tamperedError(inProfiles, key)
		}
		return p, nil
	})
}

// SetProfile replaces a user's profile without reading the previous one.
func (s *Store) SetProfile(ctx context.Context, id idp.UserID, p *idp.Profile, at time.Time, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.readUser(id)
		if err != nil {
			return err
		}
		dataKey, err := w.openUserKey(id)
		if err != nil {
			return err
		}
		u.UpdatedAt, u.ProofingPausedAt = at, time.Time{}
		return w.putUserAndProfile(u, p, dataKey)
	})
}

// putUserAndProfile queues a user's profile, and the user's record with the matching Proofing. It
// does not change *u.
func (w *writer) putUserAndProfile(u *idp.User, p *idp.Profile, dataKey *seal.DataKey) error {
	user := *u
	user.Proofing = p.Proofing()
	if p == nil {
		w.delete(inProfiles, []byte(u.ID))
	} else if err := w.putSealed(inProfiles, u.ID, dataKey, p); err != nil {
		return err
	}
	return w.putSealed(inUsers, u.ID, dataKey, &user)
}
