package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"vernal/idp"
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
func (s *Store) Profile(ctx context.Context, id idp.UserID) (p *idp.Profile, err error) {
	err = s.view(ctx, func(r *reader) error {
		u, err := r.user(id)
		if err != nil {
			return err
		}
		key := []byte(id)
		sealed := r.get(inProfiles, key)
		switch {
		case sealed == nil && u.Proofed == nil:
			return missing(inProfiles)
		case sealed != nil:
			if p, err = s.openProfile(id, sealed); err != nil {
				return corrupt(inProfiles, key, err)
			}
		}
		if !p.Proofed().Equal(u.Proofed) {
			return corrupt(inProfiles, key, errors.New("not the profile that the person's record speaks of"))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (s *Store) openProfile(id idp.UserID, sealed []byte) (*idp.Profile, error) {
	plain, err := s.sealer.Open(profileContext(id), sealed)
	if err != nil {
		return nil, err
	}
	p := new(idp.Profile)
	if json.Unmarshal(plain, p) != nil {
		return nil, errors.New("not a profile") // the cause could quote what was sealed
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
		u.UpdatedAt = at
		return w.putProofed(u, p)
	})
}

// putProofed notes a person with the profile, and the record says what the
// profile says. *u is not changed.
func (w *writer) putProofed(u *idp.User, p *idp.Profile) error {
	key, kept := []byte(u.ID), *u
	kept.Proofed = p.Proofed()
	if p == nil {
		w.delete(inProfiles, key)
		return w.putUser(&kept)
	}
	plain, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	w.put(inProfiles, key, w.store.sealer.Seal(profileContext(u.ID), plain))
	return w.putUser(&kept)
}

// profilesApart takes the profiles out of the records of people, where some
// builds of schema 1 kept them, into records of their own. One that cannot be
// read is left as it is.
func (w *writer) profilesApart() error {
	type proofedUser struct {
		idp.User
		Profile *idp.Profile `json:"profile"`
	}
	err := w.bucket(inUsers).ForEach(func(key, sealed []byte) error {
		plain, err := w.store.sealer.Open(userContext(idp.UserID(key)), sealed)
		var u proofedUser
		if err != nil || json.Unmarshal(plain, &u) != nil || string(u.ID) != string(key) || u.Profile == nil {
			return nil
		}
		return w.putProofed(&u.User, u.Profile)
	})
	if err != nil {
		return err
	}
	return w.flush()
}
