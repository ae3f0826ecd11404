package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
)

// userContext names a sealed person, so that no record can stand in for
// another one's.
func userContext(id idp.UserID) string { return "user/" + string(id) }

// emailKey is the index entry of an address, which must not be readable.
func (s *Store) emailKey(address string) []byte {
	return s.sealer.Hash("user-email", []byte(strings.ToLower(address)))
}

// emailKeys is the set of the person's index entries.
func (s *Store) emailKeys(u *idp.User) map[string]bool {
	keys := make(map[string]bool, len(u.Emails))
	for _, e := range u.Emails {
		keys[string(s.emailKey(e.Address))] = true
	}
	return keys
}

func (r *reader) openUser(key, sealed []byte) (*idp.User, error) {
	plain, err := r.store.sealer.Open(userContext(idp.UserID(key)), sealed)
	if err != nil {
		return nil, corrupt(inUsers, key, err)
	}
	u := new(idp.User)
	if err := json.Unmarshal(plain, u); err != nil {
		// The cause could quote what was sealed.
		return nil, corrupt(inUsers, key, errors.New("not a person's record"))
	}
	return u, nil
}

func (r *reader) user(id idp.UserID) (*idp.User, error) {
	sealed := r.get(inUsers, []byte(id))
	if sealed == nil {
		return nil, missing(inUsers)
	}
	return r.openUser([]byte(id), sealed)
}

func (w *writer) putUser(u *idp.User) error {
	plain, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encode person: %w", err)
	}
	w.put(inUsers, []byte(u.ID), w.store.sealer.Seal(userContext(u.ID), plain))
	return nil
}

// CreateUser adds a person. An ID that was deleted is taken, too.
func (s *Store) CreateUser(ctx context.Context, u *idp.User, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		key := []byte(u.ID)
		if w.has(inUsers, key) || w.has(inUserTombstones, key) {
			return exists(inUsers)
		}
		if u.Proofed != nil {
			return errProofed
		}
		if err := w.indexEmails(u.ID, nil, s.emailKeys(u)); err != nil {
			return err
		}
		return w.putUser(u)
	})
}

// indexEmails changes the index from the entries before to those after.
func (w *writer) indexEmails(id idp.UserID, before, after map[string]bool) error {
	for key := range after {
		if before[key] {
			continue
		}
		if w.has(inUserEmails, []byte(key)) {
			return exists(inUserEmails)
		}
		w.put(inUserEmails, []byte(key), []byte(id))
	}
	for key := range before {
		if !after[key] {
			w.delete(inUserEmails, []byte(key))
		}
	}
	return nil
}

// User looks a person up.
func (s *Store) User(ctx context.Context, id idp.UserID) (u *idp.User, err error) {
	err = s.view(ctx, func(r *reader) error {
		u, err = r.user(id)
		return err
	})
	return u, err
}

// UserByEmail finds a person by an address.
func (s *Store) UserByEmail(ctx context.Context, address string) (u *idp.User, err error) {
	key := s.emailKey(address)
	err = s.view(ctx, func(r *reader) error {
		id := r.get(inUserEmails, key)
		if id == nil {
			return missing(inUserEmails)
		}
		if u, err = r.user(idp.UserID(id)); errors.Is(err, idp.ErrNotFound) {
			return corrupt(inUserEmails, key, errors.New("the person is gone"))
		}
		return err
	})
	return u, err
}

// Users lists people by ID.
func (s *Store) Users(ctx context.Context, after idp.UserID, limit int) ([]*idp.User, error) {
	var out []*idp.User
	err := s.view(ctx, func(r *reader) error {
		c := r.bucket(inUsers).Cursor()
		for k, v := c.Seek([]byte(after)); k != nil && len(out) < limit; k, v = c.Next() {
			if string(k) == string(after) {
				continue
			}
			u, err := r.openUser(k, v)
			if err != nil {
				return err
			}
			out = append(out, u)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateUser changes a person. ID and Proofed must stay.
func (s *Store) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.user(id)
		if err != nil {
			return err
		}
		before, proofed := s.emailKeys(u), u.Proofed
		if proofed != nil {
			kept := *proofed
			proofed = &kept
		}
		if err := apart(func() error { return change(u) }); err != nil {
			return err
		}
		if u.ID != id {
			return errors.New("change of a person: the ID must stay")
		}
		if !proofed.Equal(u.Proofed) {
			return errProofed
		}
		if err := w.indexEmails(id, before, s.emailKeys(u)); err != nil {
			return err
		}
		return w.putUser(u)
	})
}

// DeleteUser removes a person with their profile, sessions and addresses; ID and
// NameIDs stay taken.
func (s *Store) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.user(id)
		if err != nil {
			return err
		}
		if err := w.indexEmails(id, s.emailKeys(u), nil); err != nil {
			return err
		}
		w.delete(inUsers, []byte(id))
		w.delete(inProfiles, []byte(id))
		w.put(inUserTombstones, []byte(id), []byte(s.clock.Now().Format(time.RFC3339)))
		_, err = w.endUserSessions(id, "")
		return err
	})
}
