package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"vernal/idp"
)

// ImportUsers adds users with their NameIDs in one transaction, and leaves out users that
// clash with existing ones.
func (s *Store) ImportUsers(ctx context.Context, users []idp.ImportedUser) ([]error, error) {
	return changeValue(ctx, s, nil, func(w *writer) ([]error, error) {
		outcome := make([]error, len(users))
		added := &importWriter{writer: w, takenKeys: make(map[string]bool), changedUsers: make(map[idp.UserID]*idp.User)}
		for i := range users {
			err := added.addUser(&users[i])
			if clash, ok := errors.AsType[clashError](err); ok {
				outcome[i] = clash.error
				continue
			}
			if err != nil {
				return nil, err
			}
			if users[i].Event.Kind != "" {
				w.events = append(w.events, users[i].Event)
			}
		}
		return outcome, nil
	})
}

// importWriter is a writer that knows which keys it has queued: a change does not see its own
// queued writes, and two users of one import may clash with each other.
type importWriter struct {
	*writer
	takenKeys   map[string]bool // bucket and key
	changedUsers map[idp.UserID]*idp.User
}

// clashError concerns one user and does not affect the others.
type clashError struct{ error }

// addUser queues one user completely, or not at all if the error is a clashError.
func (m *importWriter) addUser(p *idp.ImportedUser) error {
	id := []byte(p.User.ID)
	known := m.has(inUsers, id)
	switch {
	case p.AlreadyExists && !known:
		return clashError{missingError(inUsers)}
	case !p.AlreadyExists && (known || m.has(inUserTombstones, id)):
		return clashError{existsError(inUsers)}
	}
	var emails map[string]bool
	if !p.IsDeleted && !p.AlreadyExists {
		emails = listEmails(p.User)
	}
	for address := range emails {
		taken, err := m.isEmailTaken(address)
		switch {
		case err != nil:
			return err
		case taken || m.takenKeys[inUserEmails.String()+string(m.emailKey(address))]:
			return clashError{existsError(inUserEmails)}
		}
	}
	if err := m.checkNameIDs(p); err != nil {
		return err
	}
	for address := range emails {
		m.note(inUserEmails, m.emailKey(address), id)
	}
	for scope, name := range p.NameIDs {
		m.note(inNameIDs, pairKey(string(scope), string(p.User.ID)), []byte(name))
		m.note(inNameIDUsers, pairKey(string(scope), string(name)), id)
	}
	switch {
	case p.AlreadyExists:
		return m.addDisclosures(p.User)
	case p.IsDeleted:
		m.note(inUserTombstones, id, []byte(m.store.clock.Now().Format(time.RFC3339)))
		return nil
	}
	m.takenKeys[inUsers.String()+string(id)] = true
	return m.putUserAndProfile(p.User, p.Profile, m.newUserKey(p.User.ID))
}

// addDisclosures adds to the stored user the service providers that the email addresses were
// disclosed to.
func (m *importWriter) addDisclosures(more *idp.User) error {
	u, ok := m.changedUsers[more.ID]
	if !ok {
		var err error
		if u, err = m.readUser(more.ID); err != nil {
			return err
		}
	}
	added := false
	for _, e := range more.Emails {
		n := slices.IndexFunc(u.Emails, func(h idp.Email) bool { return strings.EqualFold(h.Address, e.Address) })
		for _, id := range e.DisclosedTo {
			if n >= 0 && !slices.Contains(u.Emails[n].DisclosedTo, id) {
				u.Emails[n].DisclosedTo = append(u.Emails[n].DisclosedTo, id)
				added = true
			}
		}
	}
	if !added {
		return nil
	}
	m.changedUsers[u.ID] = u
	return m.putUser(u)
}

// checkNameIDs finds the first NameID that cannot become the user's. A NameID that is already the
// user's can.
func (m *importWriter) checkNameIDs(p *idp.ImportedUser) error {
	for scope, name := range p.NameIDs {
		forward, reverse := pairKey(string(scope), string(p.User.ID)), pairKey(string(scope), string(name))
		has, isFree, err := m.checkNameID(scope, p.User.ID, name)
		switch {
		case err != nil:
			return err
		case !has && (!isFree || m.has(inNameIDs, forward) || m.has(inNameIDUsers, reverse)):
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

// NameIDScopes lists the scopes that contain NameIDs. It jumps from one scope to the next,
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
			// one: a UserID is shorter than 256 bytes of 0xff. A key that does is
			// forged, and comes next.
			at := slices.Clone(k)
			if k, v = c.Seek(append(pairKey(scope, ""), slices.Repeat([]byte{0xff}, 256)...)); bytes.Equal(k, at) {
				k, v = c.Next()
			}
		}
		return nil
	})
	slices.Sort(scopes)
	return scopes, err
}

// decodeFirst returns the first half of a pair.
func decodeFirst(key []byte) (string, error) {
	if len(key) >= 2 {
		if n := int(binary.BigEndian.Uint16(key)); len(key) >= 2+n {
			return string(key[2 : 2+n]), nil
		}
	}
	return "", errors.New("not a pair")
}
