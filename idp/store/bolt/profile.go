package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
	"vernal/idp/seal"
)

// errProofed refuses a change of what the profile alone may say: a level without
// a profile, or beside another one, would be believed by every decision.
var errProofed = errors.New("change of a person: Proofed is set with the profile and from it")

// profileContext names a sealed profile. It is not that of the person's record,
// so that neither can stand in for the other.
func profileContext(id idp.UserID) string { return "profile/" + string(id) }

// Profile unseals what was proofed of a person's identity. A profile that is not
// the one that the record speaks of is damage: somebody who can write to the file
// may have put back one of the person's earlier ones.
func (s *Store) Profile(ctx context.Context, id idp.UserID) (*idp.Profile, error) {
	return readValue(ctx, s, func(r *reader) (p *idp.Profile, err error) {
		u, err := r.user(id)
		if err != nil {
			return nil, err
		}
		key := []byte(id)
		sealed, err := r.get(inProfiles, key)
		switch {
		case err != nil:
			return nil, err
		case sealed == nil && u.Proofed == nil:
			return nil, missingError(inProfiles)
		case sealed != nil:
			if p, err = r.openProfile(id, sealed); err != nil {
				return nil, err
			}
		}
		if !p.Proofed().Equal(u.Proofed) {
			return nil, s.tamperedError(inProfiles, key)
		}
		return p, nil
	})
}

func (r *reader) openProfile(id idp.UserID, sealed []byte) (*idp.Profile, error) {
	dataKey, err := r.userKey(id)
	if err != nil {
		return nil, err
	}
	plain, err := dataKey.Open(profileContext(id), sealed)
	if err != nil {
		return nil, r.store.tamperedError(inProfiles, []byte(id))
	}
	p := new(idp.Profile)
	if json.Unmarshal(plain, p) != nil {
		return nil, corruptError(inProfiles, []byte(id), errors.New("not a profile")) // the cause could quote it
	}
	return p, nil
}

// SetProfile replaces a person's profile. The one before is not read.
func (s *Store) SetProfile(ctx context.Context, id idp.UserID, p *idp.Profile, at time.Time, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.user(id)
		if err != nil {
			return err
		}
		dataKey, err := w.userKey(id)
		if err != nil {
			return err
		}
		u.UpdatedAt = at
		return w.putProofed(u, p, dataKey)
	})
}

// putProofed notes a person with the profile, and the record says what the
// profile says. *u is not changed.
func (w *writer) putProofed(u *idp.User, p *idp.Profile, dataKey *seal.DataKey) error {
	key, kept := []byte(u.ID), *u
	kept.Proofed = p.Proofed()
	if p == nil {
		w.delete(inProfiles, key)
		return w.sealUser(&kept, dataKey)
	}
	plain, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	w.put(inProfiles, key, dataKey.Seal(profileContext(u.ID), plain))
	return w.sealUser(&kept, dataKey)
}
