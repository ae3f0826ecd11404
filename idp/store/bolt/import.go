package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"vernal/idp"
)

// ImportUsers adds users with their NameIDs in one transaction, and leaves out users that
// clash with existing ones.
func (s *Store) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	return changeValue(ctx, s, nil, func(w *writer) ([]error, error) {
		outcomes := make([]error, len(users))
		batch := &importWriter{writer: w, takenKeys: make(map[string]bool), changedUsers: make(map[idp.UserID]*idp.User)}
		for i := range users {
			err := batch.addUser(&users[i])
			if clash, ok := errors.AsType[clashError](err); ok {
				outcomes[i] = clash.error
				continue
			}
			if err != nil {
				return nil, err
			}
			if users[i].Event.Kind != "" {
				w.events = append(w.events, users[i].Event)
			}
		}
		return outcomes, nil
	})
}

// importWriter records the keys that it has queued, because a change does not see its own queued
// writes, and two users of one import may clash with each other.
type importWriter struct {
	*writer
	takenKeys    map[string]bool // bucket and key
	changedUsers map[idp.UserID]*idp.User
}

// clashError concerns one user and does not affect the others.
type clashError struct{ error }

// addUser queues one user. If the error is a clashError, it queues nothing.
func (m *importWriter) addUser(entry *idp.ImportedUser) error {
	id := []byte(entry.User.ID)
	isKnown := m.has(inUsers, id)
	switch {
	case entry.AlreadyExists && !isKnown:
		return clashError{missingError(inUsers)}
	case !entry.AlreadyExists && (isKnown || m.has(inUserTombstones, id)):
		return clashError{existsError(inUsers)}
	}
	var emails map[string]bool
	if !entry.IsDeleted && !entry.AlreadyExists {
		emails = listEmails(entry.User)
	}
	for email := range emails {
		isTaken, err := m.isEmailTaken(email)
		switch {
		case err != nil:
			return err
		case isTaken || m.takenKeys[inUserEmails.String()+string(m.emailKey(email))]:
			return clashError{existsError(inUserEmails)}
		}
		isReserved, err := m.isReservedForOther(email, entry.User.ID)
		switch {
		case err != nil:
			return err
		case isReserved || m.takenKeys[inUserEmails.String()+string(m.reservedKeys(idp.HashEmail(email))[0])]:
			return clashError{existsError(inUserEmails)}
		}
	}
	reserved, err := m.findNewReserved(entry)
	if err != nil {
		return err
	}
	if err := m.checkNameIDs(entry); err != nil {
		return err
	}
	for email := range emails {
		m.note(inUserEmails, m.emailKey(email), id)
	}
	for _, hash := range reserved {
		m.note(inUserEmails, m.reservedKeys(hash)[0], id)
	}
	for scope, name := range entry.NameIDs {
		m.note(inNameIDs, pairKey(string(scope), string(entry.User.ID)), []byte(name))
		m.note(inNameIDUsers, pairKey(string(scope), string(name)), id)
	}
	switch {
	case entry.AlreadyExists:
		return m.addDisclosures(entry.User, reserved)
	case entry.IsDeleted:
		m.note(inUserTombstones, id, m.newTombstone(entry.User.ID, reserved))
		return nil
	}
	m.takenKeys[inUsers.String()+string(id)] = true
	return m.putUserAndProfile(entry.User, entry.Profile, m.newUserKey(entry.User.ID))
}

// findNewReserved returns the reserved email addresses of an entry that are not reserved yet, or a
// clashError if another user needs one of them.
func (m *importWriter) findNewReserved(entry *idp.ImportedUser) (reserved [][]byte, err error) {
	for _, hash := range entry.User.ReservedEmails {
		reserver, err := m.findReserver(hash)
		if err != nil {
			return nil, err
		}
		isTaken := reserver != "" && reserver != entry.User.ID || m.takenKeys[inUserEmails.String()+string(m.reservedKeys(hash)[0])]
		switch {
		case isTaken && !entry.IsDeleted && !m.hasReserved(entry.User.ID, hash):
			return nil, clashError{existsError(inUserEmails)}
		case !isTaken && reserver == "" && !hasHash(reserved, hash):
			reserved = append(reserved, hash)
		}
	}
	if entry.IsDeleted && len(entry.NameIDs)+len(reserved) == 0 && len(entry.User.ReservedEmails) > 0 {
		return nil, clashError{existsError(inUserEmails)}
	}
	return reserved, nil
}

// hasReserved reports whether an earlier entry of the import reserved the email address for the same
// existing user.
func (m *importWriter) hasReserved(id idp.UserID, hash []byte) bool {
	u := m.changedUsers[id]
	return u != nil && hasHash(u.ReservedEmails, hash)
}

// addDisclosures adds reserved email addresses, and the service providers in DisclosedTo of source,
// to the stored user.
func (m *importWriter) addDisclosures(source *idp.User, reserved [][]byte) error {
	u, ok := m.changedUsers[source.ID]
	if !ok {
		var err error
		if u, err = m.readUser(source.ID); err != nil {
			return err
		}
	}
	hasChanged := len(reserved) > 0
	u.ReservedEmails = append(u.ReservedEmails, reserved...)
	for _, e := range source.Emails {
		n := slices.IndexFunc(u.Emails, func(other idp.Email) bool { return strings.EqualFold(other.Address, e.Address) })
		for _, id := range e.DisclosedTo {
			if n >= 0 && !slices.Contains(u.Emails[n].DisclosedTo, id) {
				u.Emails[n].DisclosedTo = append(u.Emails[n].DisclosedTo, id)
				hasChanged = true
			}
		}
	}
	if !hasChanged {
		return nil
	}
	m.changedUsers[u.ID] = u
	return m.putUser(u)
}

// checkNameIDs returns a clashError for the first NameID that the user neither has nor can get.
func (m *importWriter) checkNameIDs(entry *idp.ImportedUser) error {
	for scope, name := range entry.NameIDs {
		forwardKey, reverseKey := pairKey(string(scope), string(entry.User.ID)), pairKey(string(scope), string(name))
		hasNameID, isFree, err := m.checkNameID(scope, entry.User.ID, name)
		switch {
		case err != nil:
			return err
		case !hasNameID && (!isFree || m.has(inNameIDs, forwardKey) || m.has(inNameIDUsers, reverseKey)):
			return clashError{&idp.TakenError{Scope: scope}}
		}
	}
	return nil
}

func (m *importWriter) has(b bucket, key []byte) bool {
	return m.takenKeys[b.String()+string(key)] || m.writer.has(b, key)
}

func (m *importWriter) note(b bucket, key, value []byte) {
	m.takenKeys[b.String()+string(key)] = true
	m.put(b, key, value)
}

// NameIDScopes lists the scopes that contain NameIDs. It skips from one scope to the next,
// so its cost does not depend on the number of users.
func (s *Store) NameIDScopes(ctx context.Context) (scopes []idp.NameIDScope, err error) {
	err = s.view(ctx, func(r *reader) error {
		c := r.bucket(inNameIDs).Cursor()
		for k, v := c.First(); k != nil; {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := r.verifyValue(inNameIDs, k, v); err != nil {
				return err
			}
			scope, err := decodeFirst(k)
			if err != nil {
				return corruptError(inNameIDs, k, err)
			}
			scopes = append(scopes, idp.NameIDScope(scope))
			// No authentic key that begins with this scope's prefix sorts after this
			// one: a UserID is shorter than 256 bytes of 0xff. Any such key is
			// forged and is read next.
			currentKey := slices.Clone(k)
			if k, v = c.Seek(append(pairKey(scope, ""), slices.Repeat([]byte{0xff}, 256)...)); bytes.Equal(k, currentKey) {
				k, v = c.Next()
			}
		}
		return nil
	})
	slices.Sort(scopes)
	return scopes, err
}

// decodeFirst returns the first part of a pairKey.
func decodeFirst(key []byte) (string, error) {
	if len(key) >= 2 {
		if n := int(binary.BigEndian.Uint16(key)); len(key) >= 2+n {
			return string(key[2 : 2+n]), nil
		}
	}
	return "", errors.New("not a pair")
}
