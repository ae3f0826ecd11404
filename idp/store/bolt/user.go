package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// newUserKey queues a new key for a user.
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
func (r *reader) emailKey(email string) []byte {
	return r.ring.Hash(emailHash, []byte(strings.ToLower(email)))
}

// olderEmailKeys returns the index keys under ring keys that are being replaced.
func (r *reader) olderEmailKeys(email string) [][]byte {
	return r.ring.OlderHashes(emailHash, []byte(strings.ToLower(email)))
}

// findEmailOwner returns the user with the email address, or idp.ErrNotFound.
func (r *reader) findEmailOwner(email string) (idp.UserID, error) {
	for _, key := range append([][]byte{r.emailKey(email)}, r.olderEmailKeys(email)...) {
		if id, err := r.get(inUserEmails, key); id != nil || err != nil {
			return idp.UserID(id), err
		}
	}
	return "", missingError(inUserEmails)
}

// isEmailTaken reports whether a user has the email address.
func (r *reader) isEmailTaken(email string) (bool, error) {
	_, err := r.findEmailOwner(email)
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

// sealedContext names a sealed record, so that it cannot replace the record of another user or of
// another kind.
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
	plaintext, err := dataKey.Open(sealedContext(b, id), sealed)
	if err != nil {
		return nil, r.store.tamperedError(b, []byte(id))
	}
	record := new(R)
	if json.Unmarshal(plaintext, record) != nil {
		return nil, corruptError(b, []byte(id), errors.New("not a record")) // the cause could quote sealed data
	}
	return record, nil
}

// putSealed queues a record that is sealed with its user's key.
func (w *writer) putSealed(b bucket, id idp.UserID, key *seal.DataKey, record any) error {
	plaintext, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record for %v: %w", b, err)
	}
	w.put(b, []byte(id), key.Seal(sealedContext(b, id), plaintext))
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
	for email := range after {
		if before[email] {
			continue
		}
		if isTaken, err := w.isEmailTaken(email); err != nil {
			return err
		} else if isTaken {
			return existsError(inUserEmails)
		}
		if isReserved, err := w.isReservedForOther(email, id); err != nil {
			return err
		} else if isReserved {
			return existsError(inUserEmails)
		}
		w.put(inUserEmails, w.emailKey(email), []byte(id))
	}
	for email := range before {
		if after[email] {
			continue
		}
		for _, key := range append(w.olderEmailKeys(email), w.emailKey(email)) {
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
func (s *Store) UserByEmail(ctx context.Context, email string) (*idp.User, error) {
	return readValue(ctx, s, func(r *reader) (*idp.User, error) {
		id, err := r.findEmailOwner(email)
		if err != nil {
			return nil, err
		}
		u, err := r.readUser(id)
		if err != nil && !errors.Is(err, idp.ErrNotFound) {
			return nil, err
		}
		if !listEmails(u)[strings.ToLower(email)] {
			return nil, s.tamperedError(inUserEmails, r.emailKey(email))
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
				var content []byte
				if content, err = r.verifyValue(b, k, v); err == nil {
					_, u.ReservedEmails, err = r.decodeTombstone(u.ID, content)
				}
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

// UpdateUser changes a user. ID, Proofing and ReservedEmails must not change.
func (s *Store) UpdateUser(ctx context.Context, id idp.UserID, change func(*idp.User) error, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error { return w.changeUser(id, change) })
}

// changeUser queues a change of a user.
func (w *writer) changeUser(id idp.UserID, change func(*idp.User) error) error {
	u, err := w.readUser(id)
	if err != nil {
		return err
	}
	before, disclosed, proofing, reserved := listEmails(u), listDisclosed(u), u.Proofing, slices.Clone(u.ReservedEmails)
	if proofing != nil {
		previous := *proofing
		proofing = &previous
	}
	if err := change(u); err != nil {
		return err
	}
	if u.ID != id {
		return errors.New("a change of a user must not change its ID")
	}
	if !proofing.Equal(u.Proofing) {
		return errProofingChange
	}
	if !slices.EqualFunc(reserved, u.ReservedEmails, bytes.Equal) {
		return errors.New("a change of a user must not change its ReservedEmails")
	}
	if err := w.indexEmails(id, before, listEmails(u)); err != nil {
		return err
	}
	w.reserveEmails(u, disclosed, listDisclosed(u))
	return w.putUser(u)
}

// DeleteUser removes a user with the profile, sessions and email addresses. The ID and the
// NameIDs stay taken, and disclosed email addresses reserved.
func (s *Store) DeleteUser(ctx context.Context, id idp.UserID, events ...idp.AuditEvent) error {
	return s.update(ctx, events, func(w *writer) error {
		u, err := w.readUser(id)
		if err != nil {
			return err
		}
		if err := w.indexEmails(id, listEmails(u), nil); err != nil {
			return err
		}
		// A renewal does not visit the tombstone, because it has the newest keys.
		if err := w.renewReserved(id, u.ReservedEmails); err != nil {
			return err
		}
		w.reserveEmails(u, listDisclosed(u), nil)
		w.delete(inUserKeys, []byte(id))
		w.delete(inUsers, []byte(id))
		w.delete(inProfiles, []byte(id))
		w.put(inUserTombstones, []byte(id), w.newTombstone(id, u.ReservedEmails))
		_, err = w.endUserSessions(id, "")
		return err
	})
}
