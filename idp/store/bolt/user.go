package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/seal"
)

// openUserKey opens the key of a stored user.
func (r *reader) openUserKey(id idp.UserID) (*seal.DataKey, error) {
	number, wrapped := splitUserKey(r.bucket(inUserKeys).Get([]byte(id)))
	key, err := r.store.masters.OpenDataKey(userKeyContext(number, id), wrapped)
	if err != nil {
		return nil, r.store.tamperedError(inUserKeys, []byte(id))
	}
	return key, nil
}

// newUserKey notes a new key for a user.
func (w *writer) newUserKey(id idp.UserID) *seal.DataKey {
	number := w.ring.Generations()[0].Number
	key, wrapped := w.store.masters.NewDataKey(userKeyContext(number, id))
	w.put(inUserKeys, []byte(id), append([]byte{number}, wrapped...))
	return key
}

// emailHash is the context of the hash under which an email address is looked up.
const emailHash = "user-email"

// emailKey returns the index key of an email address. It is a hash, because the store must not
// show the email address.
func (r *reader) emailKey(address string) []byte {
	return r.ring.Hash(emailHash, []byte(strings.ToLower(address)))
}

// olderEmailKeys returns the index keys under ring keys that are being replaced.
func (r *reader) olderEmailKeys(address string) [][]byte {
	return r.ring.OlderHashes(emailHash, []byte(strings.ToLower(address)))
}

// findEmailOwner returns the user with the email address, or idp.ErrNotFound.
func (r *reader) findEmailOwner(address string) (idp.UserID, error) {
	for _, key := range append([][]byte{r.emailKey(address)}, r.olderEmailKeys(address)...) {
		if id, err := r.get(inUserEmails, key); id != nil || err != nil {
			return idp.UserID(id), err
		}
	}
	return "", missingError(inUserEmails)
}

// isEmailTaken reports whether a user has the email address.
func (r *reader) isEmailTaken(address string) (bool, error) {
	_, err := r.findEmailOwner(address)
	if errors.Is(err, idp.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// listEmails returns the set of a user's email addresses in the form of the index.
func listEmails(u *idp.User) map[string]bool {
	if u == nil {
		return nil
	}
	set := make(map[string]bool, len(u.Emails))
	for _, e := range u.Emails {
		set[strings.ToLower(e.Address)] = true
	}
	return set
}

// sealedContext names a sealed record, so that no record can take the place of another user's,
// nor a user's record that of their profile.
func sealedContext(b bucket, id idp.UserID) string {
	if b == inProfiles {
		return "profile/" + string(id)
	}
	return "user/" + string(id)
}

// openSealed reads a record that is sealed with its user's key.
func openSealed[R any](r *reader, b bucket, id idp.UserID, sealed []byte) (*R, error) {
	dataKey, err := r.openUserKey(id)
	if err != nil {
		return nil, err
	}
	plain, err := dataKey.Open(sealedContext(b, id), sealed)
	if err != nil {
		return nil, r.store.tamperedError(b, []byte(id))
	}
	record := new(R)
	if json.Unmarshal(plain, record) != nil {
		return nil, corruptError(b, []byte(id), errors.New("not a record")) // the cause could quote sealed data
	}
	return record, nil
}

// putSealed notes a record that is sealed with its user's key.
func (w *writer) putSealed(b bucket, id idp.UserID, key *seal.DataKey, record any) error {
	plain, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record for %v: %w", b, err)
	}
	w.put(b, []byte(id), key.Seal(sealedContext(b, id), plain))
	return nil
}

func (r *reader) readUser(id idp.UserID) (*idp.User, error) {
	sealed, err := r.find(inUsers, []byte(id))
	if err != nil {
		return nil, err
	}
	return r.openUser(id, sealed)
}

// openUser opens the record of a user.
func (r *reader) openUser(id idp.UserID, sealed []byte) (*idp.User, error) {
	u, err := openSealed[idp.User](r, inUsers, id, sealed)
	if err != nil {
		return nil, err
	}
	u.ExpireUntil(r.store.RestoredAt())
	return u, nil
}

// putUser queues the record of a stored user.
func (w *writer) putUser(u *idp.User) error {
	key, err := w.openUserKey(u.ID)
	if err != nil {
		return err
	}
	return w.putSealed(inUsers, u.ID, key, u)
}

// indexEmails changes the index of email addresses from the set before to the set after.
func (w *writer) indexEmails(id idp.UserID, before, after map[string]bool) error {
	for address := range after {
		if before[address] {
			continue
		}
		if taken, err := w.isEmailTaken(address); err != nil {
			return err
		} else if taken {
			return existsError(inUserEmails)
		}
		w.put(inUserEmails, w.emailKey(address), []byte(id))
	}
	for address := range before {
		if after[address] {
			continue
		}
		for _, key := range append(w.olderEmailKeys(address), w.emailKey(address)) {
			w.delete(inUserEmails, key)
		}
	}
	return nil
}

// User returns a user by ID.
func (s *Store) User(ctx context.Context, id idp.UserID) (*idp.User, error) {
	return readValue(ctx, s, func(r *reader) (*idp.User, error) { return r.readUser(id) })
}

// UserByEmail returns a user by email address. An index entry that the user's record does
// not confirm counts as tampering.
func (s *Store) UserByEmail(ctx context.Context, address string) (*idp.User, error) {
	return readValue(ctx, s, func(r *reader) (*idp.User, error) {
		id, err := r.findEmailOwner(address)
		if err != nil {
			return nil, err
		}
		u, err := r.readUser(id)
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return nil, err
		}
		if !listEmails(u)[strings.ToLower(address)] {
			return nil, s.tamperedError(inUserEmails, r.emailKey(address))
		}
		return u, nil
	})
}

// Users lists users by ID.
func (s *Store) Users(ctx context.Context, q idp.UserQuery) ([]*idp.User, error) {
	return readValue(ctx, s, func(r *reader) (out []*idp.User, err error) {
		b := inUsers
		if q.Deleted {
			b = inUserTombstones
		}
		for k, v := range r.scanAfter(b, []byte(q.After)) {
			if len(out) >= q.Limit {
				break
			}
			u := &idp.User{ID: idp.UserID(k)}
			if q.Deleted {
				_, err = r.verifyValue(b, k, v)
			} else {
				u, err = r.openUser(u.ID, v)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, u)
		}
		return out, nil
	})
}

// UpdateUser changes a user. ID and Proofed must not change.
func (s *Store) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.readUser(id)
		if err != nil {
			return err
		}
		before, proofed := listEmails(u), u.Proofing
		if proofed != nil {
			kept := *proofed
			proofed = &kept
		}
		if err := change(u); err != nil {
			return err
		}
		if u.ID != id {
			return errors.New("change of a user: the ID must stay")
		}
		if !proofed.Equal(u.Proofing) {
			return errProofingChange
		}
		if err := w.indexEmails(id, before, listEmails(u)); err != nil {
			return err
		}
		return w.putUser(u)
	})
}

// DeleteUser removes a user with the profile, sessions and email addresses. The ID and the
// NameIDs stay taken.
func (s *Store) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.readUser(id)
		if err != nil {
			return err
		}
		if err := w.indexEmails(id, listEmails(u), nil); err != nil {
			return err
		}
		w.delete(inUserKeys, []byte(id))
		w.delete(inUsers, []byte(id))
		w.delete(inProfiles, []byte(id))
		w.put(inUserTombstones, []byte(id), []byte(s.clock.Now().Format(time.RFC3339)))
		_, err = w.endUserSessions(id, "")
		return err
	})
}
